// The streams of the service, as they are now or as they were at another time.
import {get, query} from "./api.js";
import {button, el, setClass, setText} from "./dom.js";
import {editStream} from "./form.js";
import {count, plural, rate, when} from "./format.js";
import {Sparkline} from "./graph.js";
import {Poll} from "./poll.js";
import {Table} from "./tables.js";
import {Traffic} from "./traffic.js";

const kPage = 100;
const kMost = 1000;  // of one answer
const kTurn = 2000;  // ms
const kWindow = 60000;  // ms, of a small graph

const kStates = ["listening", "failed", "draining", "disabled"];

const kColumns = [
  {title: "Port", class: "port"}, {title: "Backend", class: "backend"},
  {title: "State", class: "state"}, {title: "Owner", class: "owner"},
];
const kLiveColumns = [
  {title: "Sessions", class: "number"}, {title: "In", class: "number in"},
  {title: "Out", class: "number out"}, {title: "Last minute", class: "spark"},
];

// What was looked for stays while somebody goes to a stream and back.
const wanted = {text: "", state: ""};

function matches(stream, text) {
  return [String(stream.port), stream.backend, stream.label, stream.owner, stream.note,
          stream.reason, stream.state].some((each) => each?.toLowerCase().includes(text));
}

export function stateBadge() {
  const word = el("span", {class: "badge"});
  const reason = el("span", {class: "reason"});
  const update = (stream) => {
    setText(word, stream.state);
    if (word.dataset.state !== stream.state) word.dataset.state = stream.state;
    setText(reason, stream.reason ?? "");
    setClass(word, "troubled", stream.state === "listening" && Boolean(stream.reason));
  };
  return {word, reason, update};
}

// The streams that are looked for, of a page or of all.
async function loadStreams(asOf, cursor, signal) {
  const text = wanted.text.trim().toLowerCase();
  const parameters = {state: wanted.state, as_of: asOf};
  if (!text) {
    const page = await get(`/v1/streams${query({...parameters, limit: kPage, cursor})}`, signal);
    return {streams: page.streams, next: page.next_cursor};
  }
  // The service filters by whole values only.
  const found = [];
  let at = null;
  let pages = 0;
  do {
    const page = await get(`/v1/streams${query({...parameters, limit: kMost, cursor: at})}`, signal);
    found.push(...page.streams.filter((stream) => matches(stream, text)));
    at = page.next_cursor;
    ++pages;
  } while (at);
  const from = Number(cursor ?? 0);
  const next = found.length > from + kPage ? String(from + kPage) : null;
  return {streams: found.slice(from, from + kPage), next, found: found.length, pages};
}

export class ListView {
  // `asOf`: a time as ISO 8601, or null for now.
  constructor(app, asOf = null) {
    this.app = app;
    this.as_of = asOf;
    this.cursors = [null];  // of the pages up to this one
    this.next = null;
    this.traffic = new Map();
    this.is_on = false;
    this.poll = new Poll(kTurn, (signal) => this.load(signal),
                         (error) => app.trouble(error, "list"));
    this.table = new Table({
      label: "Streams", columns: asOf ? kColumns : [...kColumns, ...kLiveColumns],
      keyOf: ({port, created_at: at}) => `${port} ${at}`, make: (stream) => this.makeRow(stream),
      empty: "",
    });
    this.total = el("p", {class: "hint", role: "status"});
    this.element = el("div", {class: asOf ? "list past" : "list"},
      this.makeHead(), this.makeTools(), this.table.element, this.makePages());
    this.title = asOf ? "Streams of another time" : "Streams";
  }

  makeHead() {
    if (!this.as_of)
      return el("div", {class: "head"}, el("h1", {tabindex: "-1"}, "Streams"),
                button("New stream …", () => this.create(), {class: "primary"}));
    return el("div", {class: "head"},
      el("h1", {tabindex: "-1"}, "Streams as they were"),
      el("p", {class: "past-mark"}, "Read-only: what was mapped at ", when(this.as_of),
         ". Nothing here is live."));
  }

  makeTools() {
    const search = el("input", {type: "search", value: wanted.text, id: "search", autocomplete: "off",
                                spellcheck: "false", placeholder: "port, backend, label, owner …"});
    search.addEventListener("input", () => this.look({text: search.value}));
    const state = el("select", {id: "state"}, el("option", {value: ""}, "every state"),
      kStates.map((name) => el("option", {value: name, selected: name === wanted.state}, name)));
    state.addEventListener("change", () => this.look({state: state.value}));
    return el("div", {class: "tools", role: "search"},
      el("label", {for: "search"}, "Find"), search,
      el("label", {for: "state"}, "State"), state,
      this.makeTimePicker());
  }

  makeTimePicker() {
    const time = el("input", {type: "datetime-local", id: "as-of", step: "1"});
    if (this.as_of) {
      const local = new Date(this.as_of);
      local.setMinutes(local.getMinutes() - local.getTimezoneOffset());
      time.value = local.toISOString().slice(0, 19);
    }
    const show = () => {
      if (time.value) this.app.go(`#/as-of/${new Date(time.value).toISOString()}`);
      else time.focus();
    };
    time.addEventListener("keydown", (event) => { if (event.key === "Enter") show(); });
    return el("div", {class: "time"}, el("label", {for: "as-of"}, "As of"), time,
      button("Show", show, {class: "quiet"}),
      this.as_of && button("Back to now", () => this.app.go("#/"), {class: "primary"}));
  }

  makePages() {
    this.before = button("Previous", () => this.turn(-1), {class: "quiet"});
    this.after = button("Next", () => this.turn(1), {class: "quiet"});
    return el("nav", {class: "pages", "aria-label": "Pages of streams"}, this.total, this.before,
              this.after);
  }

  start() {
    this.is_on = true;
    this.poll.start();
  }

  stop() {
    this.is_on = false;
    clearTimeout(this.typing);
    this.poll.stop();
  }

  // The poll of another time stops by itself.
  refresh() { if (this.is_on) this.poll.start(); }

  look(change) {
    Object.assign(wanted, change);
    this.cursors = [null];
    this.poll.ms = kTurn;
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.refresh(), 150);
  }

  turn(direction) {
    if (direction > 0) this.cursors.push(this.next);
    else this.cursors.pop();
    this.refresh();
  }

  async create() {
    const made = await editStream({});
    if (made) this.app.go(`#/streams/${made.port}`);
  }

  async load(signal) {
    const {streams, next, found, pages} =
      await loadStreams(this.as_of, this.cursors.at(-1), signal);
    if (this.as_of) this.poll.stop();  // it will not change
    this.poll.ms = kTurn * (pages ?? 1);  // whoever looks for one of thousands asks less often
    this.app.well("list");
    this.note(streams);
    this.next = next;
    const is_filtered = Boolean(wanted.text.trim() || wanted.state);
    this.table.show(streams, is_filtered ? "No stream is like that." :
      this.as_of ? "Nothing was mapped." : "Nothing is mapped yet.");
    const first = (this.cursors.length - 1) * kPage;
    const last = first + streams.length;
    setText(this.total, streams.length === 0 ? "" : found !== undefined
      ? `${count(first + 1)} to ${count(last)} of ${count(found)} found`
      : first === 0 && !next ? plural(last, "stream", "streams")
                             : `${count(first + 1)} to ${count(last)}`);
    this.before.hidden = this.after.hidden = first === 0 && !next;
    this.before.disabled = first === 0;
    this.after.disabled = !next;
  }

  note(streams) {
    if (this.as_of) return;
    const now = performance.now();
    const kept = new Map();
    for (const stream of streams) {
      const key = this.table.keyOf(stream);
      const traffic = this.traffic.get(key) ?? new Traffic(kWindow);
      traffic.add(now, stream);
      kept.set(key, traffic);
    }
    this.traffic = kept;
  }

  makeRow(stream) {
    const address = `#/streams/${stream.port}`;
    const backend = el("span", {class: "leads"});
    const label = el("span", {class: "label"});
    const owner = el("span", {});
    const state = stateBadge();
    const cells = [
      this.as_of ? el("b", {}, stream.port) : el("a", {href: address}, stream.port),
      el("span", {class: "inline"}, backend, label),
      el("span", {class: "inline"}, state.word, state.reason), owner,
    ];
    const live = this.as_of ? null : this.makeLive();
    if (live) cells.push(...live.cells);
    const update = (now) => {
      setText(backend, now.backend);
      setText(label, now.label ?? "");
      setText(owner, now.owner ?? "");
      state.update(now);
      live?.update(now, this.traffic.get(this.table.keyOf(now)));
    };
    return {cells, update};
  }

  makeLive() {
    const sessions = el("span", {});
    const into = el("span", {});
    const out = el("span", {});
    const graph = new Sparkline();
    const update = (stream, traffic) => {
      setText(sessions, count(stream.sessions_active));
      setText(into, traffic.now.in === null ? "–" : rate(traffic.now.in));
      setText(out, traffic.now.out === null ? "–" : rate(traffic.now.out));
      graph.draw(traffic);
    };
    return {cells: [sessions, into, out, graph.element], update};
  }
}
