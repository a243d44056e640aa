// GET /v1/events by fetch: an EventSource cannot show a token.
import {open} from "./api.js";

const kFirstWait = 1000;  // ms
const kMostWait = 30000;

// One event of a text/event-stream (WHATWG HTML section 9.2.6) from its lines.
function parse(lines) {
  const event = {type: "message", data: []};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;  // a comment, which keeps the connection alive
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event.type = value;
    if (name === "data") event.data.push(value);
  }
  return {...event, data: event.data.join("\n")};
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield parse(block.split("\n"));
  }
}

const rest = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, {once: true});
});

// Follows until `stop()`, through restarts of the service, but only while the page is visible.
// `onEvent(type, data)`; `onOpen()` each time that it begins: what happened before is asked for then,
// so no event has to be sent again.
export class Events {
  constructor(path, {onEvent, onOpen}) {
    this.path = path;
    this.onEvent = onEvent;
    this.onOpen = onOpen;
    this.abort = null;
    this.is_open = false;
    this.onVisibility = () => {
      this.abort?.abort();
      if (!document.hidden) this.follow();
    };
  }

  start() {
    document.addEventListener("visibilitychange", this.onVisibility);
    if (!document.hidden) this.follow();
  }

  stop() {
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.abort?.abort();
  }

  async follow() {
    const {signal} = this.abort = new AbortController();
    let wait = kFirstWait;
    while (!signal.aborted) {
      try {
        await this.read(signal, () => { wait = kFirstWait; });
      } catch (error) {
        if ([401, 403, 404].includes(error.status)) return;  // polling says what is to be said
      }
      if (signal.aborted) return;
      await rest(wait, signal);
      wait = Math.min(2 * wait, kMostWait);
    }
  }

  async read(signal, onBegin) {
    const response = await open(this.path, {Accept: "text/event-stream"}, signal);
    this.is_open = true;
    try {
      onBegin();
      this.onOpen();
      for await (const event of eventsOf(response.body)) {
        if (event.type !== "missed" && !event.data) continue;
        this.onEvent(event.type, event.data ? JSON.parse(event.data) : null);
      }
    } finally {
      if (this.abort?.signal === signal) this.is_open = false;
    }
  }
}
