// Questions. Escape closes them, and the focus goes back to where it was: the browser's <dialog>.
import {button, el, setText} from "./dom.js";

let made = 0;

// Shows `content` until it is closed; `closed` is then fulfilled. `closeWords`: of a button for it.
export function modal(title, content, {wide = false, closeWords = null} = {}) {
  const id = `dialog-${++made}`;
  const dialog = el("dialog", {"aria-labelledby": id, class: wide && "wide"},
    el("h2", {id}, title), content,
    closeWords && el("div", {class: "buttons"}, button(closeWords, () => dialog.close())));
  document.body.append(dialog);
  const closed = new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve();
  }));
  dialog.showModal();
  return {dialog, closed, close: () => dialog.close()};
}

// A form in a dialog: `work()` runs when it is sent, an error of it is shown and the dialog stays.
// `onError(error)` may show it better and say so by true. True if the work was done.
export async function formDialog(title, {content, action, danger = false, work, onError, wide}) {
  let is_done = false;
  const alert = el("p", {class: "problem", role: "alert"});
  const send = el("button", {type: "submit", class: danger ? "danger" : "primary"}, action);
  const form = el("form", {class: "dialog-form", novalidate: true}, content, alert,
    el("div", {class: "buttons"}, button("Cancel", () => shown.close(), {class: "quiet"}), send));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    send.disabled = true;
    setText(alert, "");
    try {
      await work();
      is_done = true;
      shown.close();
    } catch (error) {
      setText(alert, onError?.(error) ? "" : error.message);
    } finally {
      send.disabled = false;
    }
  });
  const shown = modal(title, form, {wide});
  await shown.closed;
  return is_done;
}

let fields = 0;

// An input with its label, a hint, and a place for what is wrong with it.
export function field(title, input, hint) {
  const id = `field-${++fields}`;
  input.id = id;
  const wrong = el("span", {class: "wrong", id: `${id}-wrong`});
  const about = hint ? el("span", {class: "hint", id: `${id}-hint`}, hint) : null;
  input.setAttribute("aria-describedby", about ? `${id}-wrong ${id}-hint` : `${id}-wrong`);
  const element = el("div", {class: "field"}, el("label", {for: id}, title), input, wrong, about);
  const setWrong = (text) => {
    setText(wrong, text);
    input.setAttribute("aria-invalid", text ? "true" : "false");
  };
  return {element, input, setWrong};
}

// `try_token(text)` throws why it is refused.
export function askToken(why, tryToken) {
  const token = field("Token", el("input", {
    type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "off",
    placeholder: "sc_…"}), "Kept in this page's memory alone; a reload forgets it.");
  return formDialog("Who are you?", {
    content: [el("p", {}, why), token.element],
    action: "Use token",
    work: () => tryToken(token.input.value.trim()),
    onError: (error) => {
      token.setWrong(error.message);
      token.input.focus();
      return true;
    },
  });
}
