// What is always there: the line of the service's status, the token, the way between the views.
import {ask, hasToken, setToken} from "./api.js";
import {askToken} from "./dialogs.js";
import {el, setClass, setText} from "./dom.js";
import {count, plural} from "./format.js";
import {ListView} from "./list.js";
import {Poll} from "./poll.js";
import {StreamView} from "./stream.js";

const kStatusTurn = 5000;  // ms

const byId = (id) => document.getElementById(id);

class App {
  constructor() {
    this.view = null;
    this.asks_token = false;
    this.version = null;
    this.status = new Poll(kStatusTurn, (signal) => this.loadStatus(signal),
                           (error) => this.trouble(error));
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
    if (kind === "as-of" && !Number.isNaN(Date.parse(decodeURIComponent(argument ?? ""))))
      return new ListView(this, new Date(decodeURIComponent(argument)).toISOString());
    return new ListView(this);
  }

  route() {
    const is_first = this.view === null;
    this.view?.stop();
    this.well();
    this.view = this.makeView();
    byId("main").replaceChildren(this.view.element);
    document.title = `${this.view.title} · stream-conductor`;
    if (!this.asks_token) this.view.start();
    if (is_first) return;
    scrollTo(0, 0);
    this.view.element.querySelector("h1")?.focus();
  }

  // What went wrong stays to be read until the next answer that is good.
  trouble(error) {
    if (error.status === 401 || error.status === 429) {
      this.needToken(error.message);
      return;
    }
    const line = byId("trouble");
    setText(line, error.message ? `${error.message[0].toUpperCase()}${error.message.slice(1)}`
                                : String(error));
    line.hidden = false;
    if (error.status === undefined) setClass(byId("status"), "lost", true);
  }

  well() {
    const line = byId("trouble");
    if (!line.hidden && !this.is_outdated) line.hidden = true;
    setClass(byId("status"), "lost", false);
  }

  // Nothing more is asked until there is a token: each wrong one counts.
  async needToken(why) {
    if (this.asks_token) return;
    this.asks_token = true;
    this.status.stop();
    this.view?.stop();
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
    const line = byId("status");
    const dot = el("span", {class: "dot", "aria-hidden": "true"});
    if (line.dataset.text !== parts.join()) {
      line.dataset.text = parts.join();
      line.replaceChildren(dot, parts.join(" · "));
    }
    setClass(line, "bad", streams.failed > 0 || status.phase !== "serving");
    setClass(line, "lost", false);
  }

  // This page's files are those of the process that it was loaded from.
  noteVersion(version) {
    this.version ??= version;
    if (this.version === version || this.is_outdated) return;
    this.is_outdated = true;
    const line = byId("trouble");
    setText(line, `The service is now version ${version}: reload this page.`);
    line.hidden = false;
  }
}

new App().start();
