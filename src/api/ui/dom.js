// The only place that makes elements. Texts become text nodes: nothing of a stream is ever read as
// HTML.

const kSvg = "http://www.w3.org/2000/svg";

// Characters that show nothing or turn the text around them, as base/hidden_text has them, are shown
// as their code: a text of another person must not look like another text. Line feeds and tabs stay.
// So do joiners and variation selectors where a script or an emoji needs them.
const kHidden = "\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160" +
  "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164" +
  "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}";
const kSelectors = "\u180b-\u180d\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}";
const kJoined = `[^\u0000-\u007f${kHidden}](?:[${kSelectors}][\u200c\u200d]?|[\u200c\u200d])`;
const kJoinedOrHidden = new RegExp(`(${kJoined})|[${kHidden}]`, "gu");

export function visible(text) {
  return String(text).replace(kJoinedOrHidden, (each, joined) =>
    joined ?? `\\u{${each.codePointAt(0).toString(16)}}`);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") {
      node.addEventListener(name, value);
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== false)
      node.append(child instanceof Node ? child : visible(child));
  return node;
}

// `el("button", {type: "button", click: onClick}, "Remove")`: a function listens, true is an
// attribute without a value, null and false are left out.
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(kSvg, name), attributes, children);
}

export function button(text, onClick, attributes = {}) {
  return el("button", {type: "button", click: onClick, ...attributes}, text);
}

// Only what changes is touched, so that selections stay and live regions are silent.
export function setText(node, text) {
  const shown = visible(text);
  if (node.textContent !== shown) node.textContent = shown;
}

export function setClass(node, name, is_on) {
  if (node.classList.contains(name) !== is_on) node.classList.toggle(name, is_on);
}

const entriesOf = new WeakMap();

// Makes the children those of `items`, in their order. Elements of items that stay are kept, and
// with them the focus. `make(item)` returns {element, update(item)}.
export function keyed(parent, items, keyOf, make) {
  const before = entriesOf.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const entry = before.get(key) ?? make(item);
    entry.update(item);
    now.set(key, entry);
  }
  for (const [key, entry] of before) if (!now.has(key)) entry.element.remove();
  let place = parent.firstElementChild;
  for (const {element} of now.values()) {
    if (element === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(element, place);
    }
  }
  entriesOf.set(parent, now);
}

// Of both live regions: what a screen reader tells without the focus being moved.
export function say(text) {
  const region = document.getElementById("said");
  region.textContent = visible(text);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { region.textContent = ""; }, 8000);
}
