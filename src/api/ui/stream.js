// One stream: what it carries, its sessions, what failed, what happened, and what may be done to it.
import {ask, query} from "./api.js";
import {CheckPanel} from "./check.js";
import {field, formDialog} from "./dialogs.js";
import {button, el, keyed, say, setText, visible} from "./dom.js";
import {Events} from "./events.js";
import {editStream} from "./form.js";
import {bytes, count, plural, rate, when} from "./format.js";
import {Graph} from "./graph.js";
import {stateBadge} from "./list.js";
import {EndsPanel, FailuresPanel, HistoryPanel} from "./past.js";
import {Poll} from "./poll.js";
import {SessionsPanel} from "./sessions.js";
import {Traffic} from "./traffic.js";

const kTurn = 1000;  // ms
const kSessionsTurn = 2000;
const kPastTurn = 5000;  // where no events come
const kWindow = 120000;  // of the graphs

const kFacts = [
  ["Listens at", ({listen_address: address, port}) =>
    address ? `${address.includes(":") ? `[${address}]` : address}:${port}` : null],
  ["Label", ({label}) => label], ["Owner", ({owner}) => owner], ["Note", ({note}) => note],
  ["Ends at", ({expires_at: at}) => at && when(at)],
  ["Sessions at most", ({max_sessions: most}) => most && count(most)],
  ["Time to reach the backend", ({connect_timeout: time}) => time],
  ["Ends idle sessions after", ({idle_timeout: time}) => time],
  ["Ends sessions after", ({lifetime}) => lifetime],
  ["Outlives a restart", ({durable}) => durable],
  ["Carried since it was created", ({sessions_total: total, bytes_in: into, bytes_out: out}) =>
    `${plural(total, "session", "sessions")}, ${bytes(into)} in, ${bytes(out)} out`],
  ["Created", ({created_at: at, created_by: by}) => [when(at), by && ` by ${by}`]],
  ["Changed", ({updated_at: at, revision}) => [when(at), `, revision ${revision}`]],
];

async function removeStream(stream, etag, app) {
  const drain = field("Running sessions may take", el("input", {
    type: "text", value: "30s", autocomplete: "off", spellcheck: "false"}),
    "then they are reset; 0: at once; empty: as the service is set");
  const is_done = await formDialog(`Remove the stream at port ${stream.port}?`, {
    content: [el("p", {}, `Port ${stream.port} takes no more clients for ${stream.backend}. ` +
                          `Sessions that run: ${count(stream.sessions_active)}.`), drain.element],
    action: "Remove it",
    danger: true,
    work: () => ask("DELETE", `/v1/streams/${stream.port}${query({drain: drain.input.value.trim()})}`,
                    {headers: etag ? {"If-Match": etag} : {}}),
  });
  if (!is_done) return;
  say(`The stream at port ${stream.port} is removed.`);
  app.go("#/");
}

export class StreamView {
  constructor(app, port) {
    this.app = app;
    this.port = port;
    this.title = `Port ${port}`;
    this.stream = null;
    this.etag = null;
    this.is_on = false;
    this.traffic = new Traffic(kWindow);
    this.panels = {
      sessions: new SessionsPanel(port, app), failures: new FailuresPanel(port),
      history: new HistoryPanel(port, app), ends: new EndsPanel(), check: new CheckPanel(port),
    };
    this.graphs = [
      new Graph({title: "Bytes per second", lines: {in: "in", out: "out"}, format: rate}),
      new Graph({title: "Sessions", lines: {sessions: "running"}, format: count}),
    ];
    this.makeElement();
    this.makePolls();
  }

  makeElement() {
    const {sessions, failures, history, ends, check} = this.panels;
    this.heading = el("h1", {tabindex: "-1"}, `Port ${this.port}`);
    this.badge = stateBadge();
    this.facts = el("dl", {class: "facts"});
    this.actions = el("div", {class: "buttons"},
      button("Check backend", () => check.run(), {class: "quiet"}),
      button("Edit …", () => this.edit(), {class: "quiet"}),
      button("Remove …", () => removeStream(this.stream, this.etag, this.app),
             {class: "quiet danger"}));
    this.alive = el("div", {class: "alive", hidden: true},
      el("p", {class: "state-line"}, this.badge.word, " ", this.badge.reason),
      this.actions, check.element,
      el("section", {class: "graphs", "aria-label": "Traffic"},
         this.graphs.map(({element}) => element)),
      el("section", {class: "about", "aria-label": "About"}, this.facts, ends.element));
    this.missing = el("div", {class: "missing", hidden: true},
      el("p", {}, `Port ${this.port} has no stream.`),
      button("New stream here …", () => this.create(), {class: "primary"}));
    this.element = el("div", {class: "stream"},
      el("nav", {"aria-label": "Way back"}, el("a", {href: "#/"}, "← All streams")),
      this.heading, this.missing, this.alive, sessions.element,
      el("div", {class: "two"}, failures.element, history.element));
  }

  makePolls() {
    const past = new Poll(kPastTurn, async (signal) => {
      if (!this.events.is_open || this.app.isTroubled("past")) await this.loadPast(signal);
    }, this.troubleOf("past"));
    this.polls = [
      new Poll(kTurn, (signal) => this.load(signal), this.troubleOf("stream")),
      // Those of a stream that is not there any more may still run.
      new Poll(kSessionsTurn, (signal) => this.loadSessions(signal), this.troubleOf("sessions")),
      past,
    ];
    this.events = new Events(`/v1/events${query({port: this.port, types: "stream,failure"})}`, {
      onEvent: (type, data) => this.onEvent(type, data),
      onOpen: () => this.loadPast().catch(this.troubleOf("past")),
    });
  }

  // Answers may still come when somebody has gone to another view, which nothing would clear.
  troubleOf(source) {
    return (error) => { if (this.is_on) this.app.trouble(error, source); };
  }

  start() {
    this.is_on = true;
    for (const poll of this.polls) poll.start();
    this.events.start();
  }

  stop() {
    this.is_on = false;
    for (const poll of this.polls) poll.stop();
    this.events.stop();
  }

  refresh() {
    for (const poll of this.polls) poll.now();
  }

  onEvent(type, data) {
    if (type === "failure") this.panels.failures.add(data);
    if (type === "missed") this.loadPast().catch(this.troubleOf("past"));
    if (type === "stream") {
      this.panels.history.load().catch(this.troubleOf("past"));
      this.polls[0].now();
    }
  }

  async loadPast(signal) {
    const {failures, history} = this.panels;
    await history.load(signal);
    // Of a stream that is not there no failures are told.
    if (this.stream) await failures.load(signal);
    if (this.is_on) this.app.well("past");
  }

  async loadSessions(signal) {
    await this.panels.sessions.load(signal);
    this.app.well("sessions");
  }

  async load(signal) {
    try {
      const {json, etag} = await ask("GET", `/v1/streams/${this.port}`, {signal});
      const is_first = this.stream === null;
      this.etag = etag;
      this.stream = json;
      this.show(json);
      if (is_first) this.panels.failures.load().catch(this.troubleOf("past"));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.stream = null;
      this.app.well("stream");
    }
    this.alive.hidden = this.stream === null;
    this.missing.hidden = this.stream !== null;
    this.panels.failures.element.hidden = this.stream === null;
    if (this.stream === null) setText(this.heading, `Port ${this.port}`);
  }

  show(stream) {
    this.app.well("stream");
    setText(this.heading, `${stream.port} → ${stream.backend}`);
    this.badge.update(stream);
    this.traffic.add(performance.now(), stream);
    for (const graph of this.graphs) graph.draw(this.traffic);
    this.panels.ends.show(stream.ended);
    const facts = kFacts.map(([words, of]) => ({words, value: of(stream)}))
      .filter(({value}) => value !== null && value !== undefined && value !== "");
    keyed(this.facts, facts, ({words}) => words, ({words}) => {
      const text = el("dd", {});
      const update = ({value}) => {
        const parts = [value].flat().filter(Boolean)
          .map((part) => (part instanceof Node ? part : visible(part)));
        const now = parts.map((part) => part.textContent ?? part).join("");
        if (text.textContent !== now) text.replaceChildren(...parts);
      };
      return {element: el("div", {}, el("dt", {}, words), text), update};
    });
  }

  async edit() {
    const changed = await editStream({stream: this.stream, etag: this.etag});
    if (!changed) return;
    say(`The stream at port ${this.port} is changed.`);
    this.refresh();
  }

  async create() {
    if (await editStream({port: this.port})) this.refresh();
  }
}
