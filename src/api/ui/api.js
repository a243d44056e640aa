// Asks the service, as its user.

// In this variable and nowhere else: a reload forgets it, and no storage, cookie or URL has it.
let token = null;

export const hasToken = () => token !== null;
export function setToken(text) {
  token = text || null;
}

// The service said no, by a problem (RFC 9457).
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the service answers ${status}`);
    this.status = status;
    this.type = (problem.type ?? "").replace("urn:stream-conductor:problem:", "");
    this.faults = problem.errors ?? [];  // {pointer: "/backend", detail}
  }
}

// Nobody answered.
export class Silence extends Error {}

const kPatience = 15000;  // ms

async function refusalOf(response) {
  try {
    return new Refusal(response.status, await response.json());
  } catch {
    return new Refusal(response.status, {});
  }
}

// The mode stays `cors`: in any other one a browser that sends no referrer calls the origin of what
// is posted `null`, and the service refuses that.
async function send(method, path, {json, headers = {}, signal, type}) {
  const all = {Accept: "application/json", ...headers};
  if (token !== null) all.Authorization = `Bearer ${token}`;
  if (json !== undefined) all["Content-Type"] = type ?? "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers: all, signal, body: json === undefined ? undefined : JSON.stringify(json),
      cache: "no-store", credentials: "omit", redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted && signal.reason?.name !== "TimeoutError") throw signal.reason;
    throw new Silence("the service does not answer");
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

// {json, etag}. Throws Refusal, Silence, or why `signal` was aborted.
export async function ask(method, path, options = {}) {
  const limits = [AbortSignal.timeout(options.patience ?? kPatience)];
  if (options.signal) limits.push(options.signal);
  const response = await send(method, path, {...options, signal: AbortSignal.any(limits)});
  const text = await response.text();
  return {json: text ? JSON.parse(text) : null, etag: response.headers.get("ETag")};
}

export const get = async (path, signal) => (await ask("GET", path, {signal})).json;

// An answer that goes on until it is aborted.
export const open = (path, headers, signal) => send("GET", path, {headers, signal});

export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}
