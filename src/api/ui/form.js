// Creates and changes streams. What may stand in a field is the service's to say: texts go there as
// they were typed, and its answer is shown at the field that it names.
import {ask} from "./api.js";
import {field, formDialog} from "./dialogs.js";
import {el} from "./dom.js";

const kFields = [
  {name: "port", title: "Port", hint: "empty: any free one of the range", numeric: true, fixed: true},
  {name: "backend", title: "Backend", hint: "where it leads: name:port, 10.1.0.1:2000 or [::1]:22"},
  {name: "label", title: "Label", hint: "what it belongs to; lists can be filtered by it"},
  {name: "owner", title: "Owner"},
  {name: "note", title: "Note"},
  {name: "ttl", title: "Ends after", hint: "such as 1h or 30d; empty: never", fresh: true},
  {name: "expires_at", title: "Ends at", hint: "such as 2026-11-01T14:03:00Z; empty: never",
   later: true},
  {name: "max_sessions", title: "Sessions at most", hint: "empty: as the service is set",
   numeric: true, more: true},
  {name: "connect_timeout", title: "Time to reach the backend",
   hint: "such as 5s; empty: as the service is set", more: true},
  {name: "idle_timeout", title: "End sessions without a byte for",
   hint: "such as 10m, 0: never; empty: as the service is set", more: true},
  {name: "lifetime", title: "End sessions that are older than",
   hint: "such as 1d; empty: they may stay", more: true},
  {name: "listen_address", title: "Listen at", hint: "an address of this host; empty: as the service is set",
   more: true},
  {name: "durable", title: "Sessions outlive a restart", options: {
    established: "once they are established", early: "from the first moment", off: "never"},
   more: true},
  {name: "enabled", title: "Enabled", hint: "listens, and takes clients", check: true},
];

function inputOf({numeric, options, check}, value) {
  if (options)
    return el("select", {}, Object.entries(options).map(([option, words]) =>
      el("option", {value: option, selected: option === value}, words)));
  if (check) return el("input", {type: "checkbox", checked: value !== false});
  return el("input", {type: "text", value: value ?? "", autocomplete: "off", spellcheck: "false",
                      autocapitalize: "off", inputmode: numeric && "numeric"});
}

function valueOf({numeric, check}, input) {
  if (check) return input.checked;
  const text = input.value.trim();
  if (numeric && /^[0-9]{1,9}$/.test(text)) return Number(text);
  return text;
}

function makeFields(stream) {
  return kFields
    .filter(({fresh, later, fixed, name}) => (stream ? !fresh && !fixed : !later)
      && !(stream && !(name in stream)))
    .map((about) => {
      const {name, title, hint} = about;
      const made = field(title, inputOf(about, stream?.[name]), hint);
      if (about.check) made.element.classList.add("check");
      return {...about, ...made, first: valueOf(about, made.input)};
    });
}

// Of a new stream what was filled in, of another one what was changed.
function bodyOf(fields, stream) {
  const body = {};
  for (const each of fields) {
    const value = valueOf(each, each.input);
    if (value === each.first && (stream || each.options || each.check || value === "")) continue;
    body[each.name] = value === "" && each.name !== "backend" ? null : value;
  }
  return body;
}

const elementOf = ({element}) => element;

// At the fields that the problem names; false if it names none that is here.
function showFaults(fields, error) {
  let is_first = true;
  const rest = [];
  for (const {pointer, detail} of error.faults ?? []) {
    const found = fields.find(({name}) => pointer === `/${name}`);
    if (!found) {
      rest.push(detail);
      continue;
    }
    found.setWrong(detail);
    found.element.closest("details")?.setAttribute("open", "");
    if (is_first) found.input.focus();
    is_first = false;
  }
  return !is_first && rest.length === 0;
}

// Asks for the fields of a new stream, or of `stream` as it was with the tag `etag`. The stream as
// it is then, or null if nothing came of it.
export async function editStream({stream = null, etag = null, port = null}) {
  const fields = makeFields(stream);
  const more = fields.filter((each) => each.more);
  if (port) fields.find(({name}) => name === "port").input.value = port;
  let result = null;
  const work = async () => {
    for (const each of fields) each.setWrong("");
    const json = bodyOf(fields, stream);
    const sent = stream
      ? await ask("PATCH", `/v1/streams/${stream.port}`, {
          json, type: "application/merge-patch+json", headers: etag ? {"If-Match": etag} : {}})
      : await ask("POST", "/v1/streams", {json});
    result = sent.json;
  };
  await formDialog(stream ? `Change the stream at port ${stream.port}` : "New stream", {
    content: [el("div", {class: "pairs"}, fields.filter((each) => !each.more).map(elementOf)),
              el("details", {}, el("summary", {}, "Limits and more"),
                 el("div", {class: "pairs"}, more.map(elementOf)))],
    action: stream ? "Change" : "Create",
    work,
    onError: (error) => showFaults(fields, error),
    wide: true,
  });
  return result;
}
