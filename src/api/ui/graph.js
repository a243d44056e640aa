// Graphs of the last minutes as SVG.
import {el, setText, svg} from "./dom.js";
import {kMostGap} from "./traffic.js";

const kWidth = 600;
const kHeight = 100;

// The next of 1, 2, 5, 10, 20 ...: an axis that does not change at every sample.
function niceTop(value) {
  if (value <= 1) return 1;
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * ten >= value) * ten;
}

// Runs of samples that have the value and follow each other without a gap.
function runsOf(samples, name) {
  const runs = [];
  let last = null;
  for (const sample of samples) {
    if (sample[name] === null || sample[name] === undefined) {
      last = null;
      continue;
    }
    if (last === null || sample.at - last.at > kMostGap) runs.push([]);
    runs.at(-1).push(sample);
    last = sample;
  }
  return runs;
}

function pathsOf(samples, name, {from, span, top}) {
  const x = (at) => (kWidth * (at - from) / span).toFixed(1);
  const y = (value) => (kHeight * (1 - value / top)).toFixed(1);
  let line = "";
  let area = "";
  for (const run of runsOf(samples, name)) {
    const points = run.map((sample) => `${x(sample.at)} ${y(sample[name])}`).join("L");
    line += `M${points}`;
    area += `M${x(run[0].at)} ${kHeight}L${points}L${x(run.at(-1).at)} ${kHeight}Z`;
  }
  return {line, area};
}

const highest = (samples, names) =>
  Math.max(0, ...samples.flatMap((sample) => names.map((name) => sample[name] ?? 0)));

// Stretched to the size of its box; strokes and texts are not.
function canvas(names, attributes) {
  const lines = new Map(names.map((name) => [name, {
    area: svg("path", {class: `area ${name}`}),
    line: svg("path", {class: `line ${name}`, "vector-effect": "non-scaling-stroke"}),
  }]));
  const image = svg("svg", {viewBox: `0 0 ${kWidth} ${kHeight}`, preserveAspectRatio: "none",
                            ...attributes},
                    [...lines.values()].flatMap(({area, line}) => [area, line]));
  const draw = (traffic, scale) => {
    for (const [name, {area, line}] of lines) {
      const paths = pathsOf(traffic.samples, name, scale);
      area.setAttribute("d", paths.area);
      line.setAttribute("d", paths.line);
    }
  };
  return {image, draw};
}

// Small, without words: those stand beside it.
export class Sparkline {
  constructor() {
    const {image, draw} = canvas(["in", "out"], {class: "sparkline", "aria-hidden": "true"});
    this.element = image;
    this.paint = draw;
  }

  draw(traffic) {
    const span = traffic.window_ms;
    this.paint(traffic, {from: traffic.now.at - span, span,
                         top: Math.max(1, 1.05 * highest(traffic.samples, ["in", "out"]))});
  }
}

// With a scale, what it is now in words, and what it was under the pointer.
export class Graph {
  // `lines`: {in: "in", out: "out"}, a name of a sample's value and what it is called.
  constructor({title, lines, format}) {
    this.title = title;
    this.lines = lines;
    this.format = format;
    this.pointed = null;  // 0 to 1, across
    const {image, draw} = canvas(Object.keys(lines), {role: "img"});
    this.image = image;
    this.paint = draw;
    this.top = el("span", {class: "top"});
    this.since = el("span", {});
    this.cursor = svg("path", {class: "cursor", "vector-effect": "non-scaling-stroke"});
    image.append(svg("path", {class: "grid", d: "M0 0H600M0 50H600M0 100H600",
                              "vector-effect": "non-scaling-stroke"}), this.cursor);
    this.values = Object.fromEntries(Object.keys(lines).map((name) => [name, el("b", {})]));
    this.at = el("span", {class: "at"});
    this.element = el("figure", {class: "graph"},
      el("figcaption", {}, el("span", {class: "title"}, title),
         Object.entries(lines).map(([name, words]) =>
           el("span", {class: `key ${name}`}, words, " ", this.values[name])), this.at),
      el("div", {class: "plot"}, this.top, image),
      el("div", {class: "axis"}, this.since, el("span", {}, "now")));
    image.addEventListener("pointermove", (event) => this.point(event));
    image.addEventListener("pointerleave", () => { this.pointed = null; this.redraw(); });
  }

  point(event) {
    const box = this.image.getBoundingClientRect();
    this.pointed = (event.clientX - box.left) / box.width;
    this.redraw();
  }

  redraw() {
    if (this.traffic) this.draw(this.traffic);
  }

  draw(traffic) {
    this.traffic = traffic;
    const span = traffic.window_ms;
    const from = traffic.now.at - span;
    const top = niceTop(highest(traffic.samples, Object.keys(this.lines)));
    this.paint(traffic, {from, span, top});
    setText(this.top, this.format(top));
    setText(this.since, `${Math.round(span / 60000)} min ago`);
    this.tell(traffic, from, span);
  }

  tell(traffic, from, span) {
    let shown = traffic.now;
    if (this.pointed !== null) {
      const wanted = from + this.pointed * span;
      const distance = (sample) => Math.abs(sample.at - wanted);
      for (const each of traffic.samples) if (distance(each) < distance(shown)) shown = each;
    }
    const x = kWidth * (shown.at - from) / span;
    this.cursor.setAttribute("d", this.pointed === null ? "" : `M${x} 0V${kHeight}`);
    const ago = Math.round((traffic.now.at - shown.at) / 1000);
    setText(this.at, this.pointed === null || ago === 0 ? "" : `${ago} s ago`);
    const words = Object.entries(this.lines).map(([name, line]) => {
      const value = shown[name] === null ? "–" : this.format(shown[name]);
      setText(this.values[name], value);
      return `${line} ${value}`;
    });
    this.image.setAttribute("aria-label", `${this.title}: ${words.join(", ")}`);
  }
}
