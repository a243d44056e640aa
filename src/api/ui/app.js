// What is always there: the lines of the service's status and of what is wrong, the token, the way
// between the views.
import {ask, hasToken, setToken} from "./api.js";
import {askToken} from "./dialogs.js";
import {el, keyed, setClass, setText, visible} from "./dom.js";
import {count, plural} from "./format.js";
import {ListView} from "./list.js";
import {Poll} from "./poll.js";
import {StreamView} from "./stream.js";

const kStatusTurn = 5000;  // ms

const byId = (id) => document.getElementById(id);

// The time of `#/as-of/TIME` in ISO 8601, or null: anybody may have written it.
function timeOf(text) {
  try {
    return new Date(decodeURIComponent(text)).toISOString();
  } catch {
    return null;
  }
}

class App {
  constructor() {
    this.view = null;
    this.asks_token = false;
    this.version = null;
    this.troubles = new Map();  // of each source: {text, is_silence}
    this.status = new Poll(kStatusTurn, (signal) => this.loadStatus(signal),
                           (error) => this.trouble(error, "status"));
    window.addEventListener("hashchange", () => this.route());
    byId("token").addEventListener("click", () => this.onTokenButton());
    byId("skip").addEventListener("click", (event) => {
      event.preventDefault();  // the hash says which view it is
      byId("main").focus();
    });
  }

  async start() {
    this.status.start();
    this.route();
  }

  go(hash) {
    if (location.hash === hash || (hash === "#/" && location.hash === "")) this.route();
    else location.hash = hash;
  }

  refresh() { this.view?.refresh(); }

  makeView() {
    const [, kind, argument] = location.hash.split("/");
    if (kind === "streams" && /^[0-9]{1,5}$/.test(argument))
      return new StreamView(this, Number(argument));
    return new ListView(this, kind === "as-of" ? timeOf(argument) : null);
  }

  route() {
    const is_first = this.view === null;
    this.view?.stop();
    for (const source of this.troubles.keys())
      if (source !== "status") this.troubles.delete(source);
    this.showTroubles();
    this.view = this.makeView();
    byId("main").replaceChildren(this.view.element);
    document.title = `${this.view.title} · stream-conductor`;
    if (!this.asks_token) this.view.start();
    if (is_first) return;
    scrollTo(0, 0);
    this.view.element.querySelector("h1")?.focus();
  }

  // What went wrong with something that is asked for again and again stays to be read until the
  // same `source` is well. What went wrong with a click is said where that was.
  trouble(error, source) {
    if (this.asksToken(error)) return;
    const words = error.message || String(error);
    this.troubles.set(source, {text: `${words[0].toUpperCase()}${words.slice(1)}`,
                               is_silence: error.status === undefined});
    this.showTroubles();
  }

  well(source) { if (this.troubles.delete(source)) this.showTroubles(); }

  isTroubled(source) { return this.troubles.has(source); }

  showTroubles() {
    const troubles = [...this.troubles.values()];
    const texts = [...new Set(troubles.map(({text}) => text))];
    keyed(byId("trouble"), texts, (text) => text,
          (text) => ({element: el("p", {}, text), update() {}}));
    byId("trouble").hidden = texts.length === 0;
    setClass(byId("status"), "lost", troubles.some(({is_silence: is}) => is));
  }

  // Returns whether a token is missing, and then asks for one. `forbidden` without a token means the
  // same: the page was opened by a name under which the service trusts no caller. With 429 the token
  // that the page has may be good, so the page keeps it.
  asksToken(error) {
    const is_missing = error.status === 401 || (error.type === "forbidden" && !hasToken());
    if (is_missing) this.needToken(error.message);
    return is_missing;
  }

  // Nothing more is asked until there is a token: each wrong one counts.
  async needToken(why) {
    if (this.asks_token) return;
    this.asks_token = true;
    this.status.stop();
    this.view?.stop();
    this.troubles.clear();
    this.showTroubles();
    setToken(null);
    setText(byId("status"), "a token is asked for");
    const is_good = await askToken(why, async (text) => {
      setToken(text);
      try {
        await ask("GET", "/v1/status");
      } catch (error) {
        setToken(null);
        throw error;
      }
    });
    this.asks_token = false;
    this.showToken();
    if (is_good) {
      this.status.start();
      this.view?.start();
    } else {
      setText(byId("status"), "no token, nothing is asked");
    }
  }

  showToken() { setText(byId("token"), hasToken() ? "Forget token" : "Token …"); }

  onTokenButton() {
    const had = hasToken();
    setToken(null);
    this.showToken();
    if (had) location.reload();
    else this.needToken("Act as the one whose token this is.");
  }

  async loadStatus(signal) {
    const {json} = await ask("GET", "/v1/status", {signal});
    this.well("status");
    this.showStatus(json);
  }

  showStatus(status) {
    this.noteVersion(status.version);
    const {streams} = status;
    const parts = [
      `version ${status.version}`, status.phase,
      plural(status.sessions_active, "session", "sessions"),
      plural(streams.listening, "stream listens", "streams listen"),
    ];
    for (const state of ["failed", "draining", "disabled"])
      if (streams[state]) parts.push(`${count(streams[state])} ${state}`);
    const conditions = status.degraded.filter((each) => each.component);
    for (const {component, reason} of conditions) parts.push(`${component}: ${reason}`);
    const line = byId("status");
    const dot = el("span", {class: "dot", "aria-hidden": "true"});
    if (line.dataset.text !== parts.join()) {
      line.dataset.text = parts.join();
      line.replaceChildren(dot, visible(parts.join(" · ")));
    }
    setClass(line, "bad", streams.failed > 0 || conditions.length > 0 || status.phase !== "serving");
  }

  // This page's files are those of the process that it was loaded from.
  noteVersion(version) {
    this.version ??= version;
    if (this.version === version) return;
    const line = byId("outdated");
    setText(line, `The service is now version ${version}: reload this page.`);
    line.hidden = false;
  }
}

new App().start();
