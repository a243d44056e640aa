// Is the backend reached, now and from the service's host? Each step with its time.
import {ask} from "./api.js";
import {button, el} from "./dom.js";
import {duration, when} from "./format.js";
import {triedList} from "./past.js";

const kPatience = 120000;  // ms: as long as the longest connect time-out that is of use

// How old the addresses are, and for how long they are good.
function ageOf(resolution) {
  if (resolution?.age_ms === null || resolution?.age_ms === undefined || resolution.ttl_s === null) return "";
  const stale = resolution.stale ? ", stale because no DNS server answers" : "";
  return ` (${duration(resolution.age_ms)} old, TTL ${resolution.ttl_s} s${stale})`;
}

export class CheckPanel {
  constructor(port) {
    this.port = port;
    this.result = el("div", {role: "status"});
    this.element = el("section", {class: "check", "aria-labelledby": "check-title", hidden: true},
      el("h2", {id: "check-title"}, "Check of the backend"), this.result,
      el("div", {class: "buttons"}, button("Close", () => { this.element.hidden = true; },
                                           {class: "quiet small"})));
  }

  async run() {
    this.element.hidden = false;
    const asked = this.asked = Symbol("check");
    this.show(el("p", {}, "asking the backend …"));
    try {
      const {json} = await ask("POST", `/v1/streams/${this.port}:check`, {patience: kPatience});
      if (this.asked === asked) this.show(this.report(json));
    } catch (error) {
      if (this.asked === asked) this.show(el("p", {class: "problem"}, error.message));
    }
  }

  show(...nodes) { this.result.replaceChildren(...nodes.flat()); }

  report(told) {
    const verdict = told.reachable
      ? `${told.address} is reached, after ${duration(told.took_ms)} in all.`
      : `${told.message || told.reason} (after ${duration(told.took_ms)} in all)`;
    const steps = [];
    if (told.resolved_after_ms !== null && told.resolved_after_ms !== undefined)
      steps.push(el("li", {}, `the name was looked up in ${duration(told.resolved_after_ms)}: `,
                    el("code", {}, (told.addresses ?? []).join(", ") || "no address"), ageOf(told.resolution)));
    if (told.tried?.length)
      steps.push(el("li", {}, "addresses tried:", triedList(told.tried)));
    return [
      el("p", {class: told.reachable ? "verdict good" : "verdict bad"},
         el("b", {}, told.reachable ? "Reachable. " : "Not reachable. "), verdict,
         !told.reachable && told.reason && [" ", el("code", {}, told.reason)]),
      el("ol", {class: "steps"}, steps),
      el("p", {class: "hint"}, `backend ${told.backend}, checked at `, when(new Date().toISOString())),
    ];
  }
}
