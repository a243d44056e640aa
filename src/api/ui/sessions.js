// The sessions that run through a stream.
import {ask, get, query} from "./api.js";
import {formDialog, modal} from "./dialogs.js";
import {button, el, say, setText} from "./dom.js";
import {bytes, count, duration, plural} from "./format.js";
import {Table} from "./tables.js";

const kMost = 100;

const kColumns = [
  {title: "Client"}, {title: "Backend"}, {title: "State"}, {title: "Age", class: "number"},
  {title: "Idle", class: "number"}, {title: "In", class: "number"}, {title: "Out", class: "number"},
  {title: "", class: "actions"},
];

async function kill(session, app) {
  let ended = null;
  const is_done = await formDialog("End this session?", {
    content: el("p", {}, `The session of ${session.client} is reset on both sides. ` +
                         "What was on its way is lost."),
    action: "End it",
    danger: true,
    work: async () => {
      ended = (await ask("DELETE", `/v1/sessions/${session.id}`)).json;
    },
  });
  if (!is_done) return;
  say(`The session of ${session.client} is ended: ${ended.message ?? ended.reason}`);
  app.refresh();
}

const kFacts = {
  state: ["state", (value) => value], local: ["our end", (value) => value],
  rtt_ms: ["round trip", duration], rttvar_ms: ["its variation", duration],
  retransmits: ["retransmitted", (value) => plural(value, "segment", "segments")],
  lost: ["lost now", (value) => plural(value, "segment", "segments")],
  congestion_window: ["window", (value) => plural(value, "segment", "segments")],
  mss: ["segment", (value) => plural(value, "byte", "bytes")], unread: ["unread", bytes], unsent: ["unsent", bytes],
  unacknowledged: ["unacknowledged", bytes],
};

function socketFacts(title, facts) {
  if (!facts) return [el("h3", {}, title), el("p", {class: "empty"}, "no socket yet")];
  const rows = Object.entries(facts).map(([name, value]) => {
    const [words, format] = kFacts[name] ?? [name.replaceAll("_", " "), String];
    return el("div", {}, el("dt", {}, words), el("dd", {}, value === null ? "–" : format(value)));
  });
  return [el("h3", {}, title), el("dl", {class: "facts"}, rows)];
}

async function showDetails(session, app) {
  try {
    const told = await get(`/v1/sessions/${session.id}`);
    const content = el("div", {},
      el("p", {}, `${told.client} → port ${told.port} → ${told.address ?? told.backend}, ` +
                  `${told.state} for ${duration(told.age_ms)}`),
      socketFacts("The client's socket", told.client_socket),
      socketFacts("The backend's socket", told.backend_socket));
    modal(`Session ${told.id}`, content, {wide: true, closeWords: "Close"});
  } catch (error) {
    if (app.asksToken(error)) return;
    modal(`Session ${session.id}`, el("p", {class: "problem", role: "alert"}, error.message),
          {closeWords: "Close"});
  }
}

function makeRow(session, app) {
  const state = el("span", {});
  const address = el("span", {});
  const numbers = [0, 1, 2, 3].map(() => el("span", {}));
  let latest = session;
  const actions = el("span", {class: "buttons"},
    button("Details", () => showDetails(latest, app),
           {class: "quiet small", "aria-label": `Details of the session of ${session.client}`}),
    button("End …", () => kill(latest, app),
           {class: "quiet small", "aria-label": `End the session of ${session.client}`}));
  const update = (now) => {
    latest = now;
    setText(address, now.address ?? now.backend);
    setText(state, now.durable ? `${now.state}, durable` : now.state);
    const texts = [duration(now.age_ms), duration(now.idle_ms), bytes(now.bytes_in),
                   bytes(now.bytes_out)];
    texts.forEach((text, i) => setText(numbers[i], text));
  };
  return {cells: [el("code", {}, session.client), address, state, ...numbers, actions], update};
}

export class SessionsPanel {
  constructor(port, app) {
    this.port = port;
    this.table = new Table({
      label: "Sessions", columns: kColumns, keyOf: ({id}) => id,
      make: (session) => makeRow(session, app), empty: "No session runs.",
    });
    this.more = el("p", {class: "hint"});
    this.element = el("section", {class: "sessions", "aria-labelledby": "sessions-title"},
                      el("h2", {id: "sessions-title"}, "Sessions"), this.table.element, this.more);
  }

  async load(signal) {
    const page = await get(`/v1/sessions${query({port: this.port, limit: kMost})}`, signal);
    this.table.show(page.sessions);
    const notes = [];
    if (page.next_cursor) notes.push(`The latest ${count(kMost)} of more.`);
    const missing = page.missing_workers.join(", ");
    if (missing) notes.push(`${missing} does not answer, its sessions are missing here.`);
    setText(this.more, notes.join(" "));
  }
}
