// Values in words. The API's own words (states, reasons) stay as they are, so that they can be
// searched for in logs and metrics.
import {el} from "./dom.js";

const kUnits = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  let unit = 0;
  while (number >= 999.5 && unit < kUnits.length - 1) {
    number /= 1000;
    ++unit;
  }
  return `${unit > 0 && number < 9.95 ? number.toFixed(1) : Math.round(number)} ${kUnits[unit]}`;
}

export const rate = (number) => `${bytes(number)}/s`;

export const count = (number) =>
  number === null || number === undefined ? "–" : number.toLocaleString("en-GB");

// As the service says durations (core/session.cc), and days.
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const us = Math.round(ms * 1e3);
  if (us === 0) return "0 ms";  // of what is told in whole milliseconds
  if (us < 10) return "under 0.01 ms";
  const at = (unit) => Math.round(us / unit);
  if (at(10) < 100) return `${(at(10) / 100).toFixed(2)} ms`;
  if (at(100) < 100) return `${(at(100) / 10).toFixed(1)} ms`;
  if (at(1e3) < 1000) return `${at(1e3)} ms`;
  if (at(100e3) < 600) return `${(at(100e3) / 10).toFixed(1)} s`;
  const seconds = at(1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = at(60e6);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = at(3600e6);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const kTime = {hour: "2-digit", minute: "2-digit", second: "2-digit"};
const kDay = {day: "2-digit", month: "short"};

function timeWords(iso) {
  const time = new Date(iso);
  if (time.toDateString() === new Date().toDateString())
    return time.toLocaleTimeString("en-GB", kTime);
  const day = {...kDay};
  if (time.getFullYear() !== new Date().getFullYear()) day.year = "numeric";
  return time.toLocaleString("en-GB", {...day, ...kTime});
}

// This browser's time zone; the service's UTC as the title.
export function when(iso) {
  return iso ? el("time", {datetime: iso, title: iso}, timeWords(iso)) : "–";
}

const kFaults = {
  nobody: "nobody's fault",
  client: "the client's fault",
  backend: "the backend's fault",
  policy: "a setting asked for it",
  operator: "an operator ended it",
  service: "this service's or its host's fault",
};
export const faultWords = (fault) => kFaults[fault] ?? fault;

export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;
