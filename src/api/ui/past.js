// What happened at a port: sessions that failed, and changes of the stream.
import {get, query} from "./api.js";
import {button, el, keyed, setClass, setText} from "./dom.js";
import {bytes, count, duration, faultWords, when} from "./format.js";

const kMostFailures = 100;
const kPage = 25;

// `ENETUNREACH after 0.31 ms` for each address that was tried.
export function triedList(tried) {
  return el("ul", {class: "tried"}, (tried ?? []).map(({address, result, error, took_ms}) =>
    el("li", {class: result}, el("code", {}, address), ` ${result}`,
       error ? ` (${error})` : "", ` after ${duration(took_ms)}`)));
}

// The next process may give the same id.
const keyOf = ({id, accepted_at: at}) => `${id} ${at}`;

function makeFailure(ended) {
  const facts = [`in phase ${ended.phase}`, `after ${duration(ended.ended_after_ms)}`,
                 `${bytes(ended.bytes_in)} in`, `${bytes(ended.bytes_out)} out`];
  const element = el("li", {class: "failure"},
    el("p", {class: "head"}, when(ended.accepted_at), " ", el("code", {}, ended.reason), " ",
       el("b", {class: `fault ${ended.fault}`}, faultWords(ended.fault))),
    el("p", {}, ended.message),
    el("p", {class: "hint"}, "client ", el("code", {}, ended.client), `, ${facts.join(", ")}`),
    (ended.tried ?? []).length > 1 &&
      el("details", {}, el("summary", {}, "addresses tried"), triedList(ended.tried)));
  return {element, update() {}};
}

// The service groups failures the same way (relay/failure_log.cc).
function groupOf({reason, fault, address, backend, tried = [], error, accepted_at: at, ended_after_ms: after}) {
  const failed = tried.find((each) => each.error === error && each.result !== "connected");
  const ended = new Date(Date.parse(at) + after).toISOString();
  return {reason, fault, address: address ?? (failed ?? tried[0])?.address ?? backend, error: error ?? null,
          count: 1, first: ended, last: ended};
}

const groupKeyOf = ({reason, address, error}) => JSON.stringify([reason, address, error]);

function makeGroup({reason, fault, address, error}) {
  const number = el("b", {class: "count"});
  const times = el("span", {});
  const element = el("li", {class: "group"}, number, " × ", el("code", {}, reason), " ",
    el("b", {class: `fault ${fault}`}, faultWords(fault)), " ", el("code", {}, address ?? ""), error ? ` ${error}` : "", " ",
    times);
  const update = ({count: now, first, last}) => {
    setText(number, count(now));
    times.replaceChildren(...(now === 1 ? [when(last)] : [when(first), " to ", when(last)]));
  };
  return {element, update};
}

// The largest group gives way, so that what is frequent does not hide what is rare.
function trimmed(failures) {
  const groups = new Map();
  for (const each of failures) {
    const key = groupKeyOf(groupOf(each));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(each);
  }
  const gone = new Set();
  for (let left = failures.length; left > kMostFailures; --left) {
    const largest = [...groups.values()].reduce((one, other) => (other.length >= one.length ? other : one));
    gone.add(largest.pop());
  }
  return failures.filter((each) => !gone.has(each));
}

export class FailuresPanel {
  constructor(port) {
    this.port = port;
    this.failures = [];
    this.groups = new Map();
    this.came = [];  // and is not drawn
    this.frame = null;
    this.loads = new Set();  // of each that is under way: what came since it began
    this.list = el("ul", {class: "entries"});
    this.groupList = el("ul", {class: "groups", "aria-label": "Failures by reason, address and error"});
    this.empty = el("p", {class: "empty", hidden: true}, "No session has failed.");
    this.element = el("section", {class: "failures", "aria-labelledby": "failures-title"},
                      el("h2", {id: "failures-title"}, "Failures"), this.empty, this.groupList, this.list);
  }

  // The answer may be older than what comes meanwhile, and knows all that came before.
  async load(signal) {
    const since = [];
    this.loads.add(since);
    try {
      const page = await get(`/v1/streams/${this.port}/failures`, signal);
      this.came = [];
      this.groups = new Map((page.groups ?? []).map((each) => [groupKeyOf(each), {...each}]));
      this.show(page.failures, since);
    } finally {
      this.loads.delete(since);
    }
  }

  // Thousands a second cost the browser as much as it draws anyway.
  add(ended) {
    for (const some of [this.came, ...this.loads]) {
      some.push(ended);
      if (some.length > 2 * kMostFailures) some.splice(0, kMostFailures);
    }
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.show(this.failures, this.came);
      this.came = [];
    });
  }

  // `failures`: the latest first; `newer`: the latest last, and perhaps among them already.
  show(failures, newer = []) {
    const known = new Set(failures.map(keyOf));
    const fresh = [];
    for (const each of newer) {
      if (!known.has(keyOf(each))) {
        fresh.unshift(each);
        this.count(groupOf(each));
      }
      known.add(keyOf(each));
    }
    this.failures = failures = trimmed([...fresh, ...failures]);
    const shown = new Set(failures.map((each) => groupKeyOf(groupOf(each))));
    for (const key of this.groups.keys()) if (!shown.has(key)) this.groups.delete(key);
    const groups = [...this.groups.values()].sort((one, other) => (one.last < other.last ? 1 : -1));
    keyed(this.groupList, groups, groupKeyOf, makeGroup);
    keyed(this.list, failures, keyOf, makeFailure);
    this.empty.hidden = failures.length > 0;
  }

  count(one) {
    const known = this.groups.get(groupKeyOf(one));
    if (!known) return this.groups.set(groupKeyOf(one), one);
    ++known.count;
    if (one.last > known.last) known.last = one.last;
    return known;
  }
}

function changeWords({action, backend_before: before, backend_after: after}) {
  if (before && after && before !== after) return `${before} → ${after}`;
  return action === "removed" ? before ?? "" : after ?? before ?? "";
}

function makeEvent(event) {
  const words = changeWords(event);
  const element = el("li", {},
    el("p", {class: "head"}, when(event.at), " ", el("b", {}, event.action),
       words && [" ", el("code", {}, words)]),
    event.detail && el("p", {}, event.detail),
    event.actor && el("p", {class: "hint"}, `by ${event.actor}`,
                      event.request_id && `, request ${event.request_id}`));
  return {element, update() {}};
}

export class HistoryPanel {
  constructor(port, app) {
    this.port = port;
    this.events = [];
    this.cursor = null;
    this.list = el("ol", {class: "entries"});
    this.empty = el("p", {class: "empty", hidden: true}, "Nothing is known.");
    this.older = button("Older", () => this.onOlder(app), {class: "quiet", hidden: true});
    this.problem = el("p", {class: "problem", role: "alert"});
    this.element = el("section", {class: "history", "aria-labelledby": "history-title"},
      el("h2", {id: "history-title"}, "History"), this.empty, this.list, this.older,
      this.problem);
  }

  page(cursor, signal) {
    return get(`/v1/history${query({port: this.port, limit: kPage, cursor})}`, signal);
  }

  async load(signal) {
    const {events, next_cursor: cursor} = await this.page(null, signal);
    const last = events.at(-1)?.id ?? 0;
    const meets = this.events.length > 0 && last <= this.events[0].id;
    // What was asked for stays, unless there is a gap before it.
    const older = meets ? this.events.filter(({id}) => id < last) : [];
    if (older.length === 0) this.cursor = cursor;
    this.events = [...events, ...older];
    this.show();
  }

  async onOlder(app) {
    setText(this.problem, "");
    try {
      await this.loadOlder();
    } catch (error) {
      if (!app.asksToken(error)) setText(this.problem, error.message);
    }
  }

  async loadOlder() {
    const {events, next_cursor: cursor} = await this.page(this.cursor);
    this.cursor = cursor;
    this.events = [...this.events, ...events];
    this.show();
  }

  show() {
    keyed(this.list, this.events, ({id}) => id, makeEvent);
    this.empty.hidden = this.events.length > 0;
    this.older.hidden = !this.cursor;
  }
}

// How ended sessions ended: `finished 312`, `backend_refused 2`.
export class EndsPanel {
  constructor() {
    this.list = el("ul", {class: "ends"});
    this.element = el("div", {class: "ended"}, el("h3", {}, "How sessions ended"), this.list);
  }

  show(ended) {
    const entries = Object.entries(ended ?? {}).sort((a, b) => b[1] - a[1]);
    this.element.hidden = entries.length === 0;
    keyed(this.list, entries, ([reason]) => reason, ([reason]) => {
      const number = el("b", {});
      const element = el("li", {}, el("code", {}, reason), " ", number);
      setClass(element, "good", reason === "finished" || reason === "empty");
      return {element, update: ([, now]) => setText(number, now.toLocaleString("en-GB"))};
    });
  }
}
