"""Figures as Markdown: medians, spread, ratios, and what was to be reached."""

import collections
import itertools
import statistics

import scenarios

OURS = "stream-conductor"
TITLES = {
    "bulk": "Bulk",
    "pingpong": "Ping-pong",
    "connect": "Connect, request, reply, close",
    "idle": "Idle sessions",
    "fairness": "Fairness: ping-pong beside bulk",
    "api": "API",
    "scale": "Many sessions",
    "workers": "Workers",
}
# A ratio of ours to theirs; at least that where more is better, else at most.
Goal = collections.namedtuple("Goal", "group filter metric nginx haproxy")
GOALS = (
    Goal("bulk", "", scenarios.THROUGHPUT, 2.2, 1.5),
    Goal("bulk", "", scenarios.GIB_PER_CPU, 4.0, 2.8),
    Goal("pingpong", "100 sessions", scenarios.REQUESTS, 1.05, 1.05),
    Goal("pingpong", "1 session", scenarios.P50, 1.0, 1.0),
    Goal("connect", "", scenarios.SESSIONS, 1.0, 1.0),
    Goal("idle", "", scenarios.MEMORY, 0.15, 0.5),
    Goal("fairness", "", scenarios.P99, 1.0, 1.0),
)


class Results:
    """Values by scenario, proxy and metric; ratios are of `ours` to others."""

    def __init__(self, ours):
        self.ours = ours
        self._values = collections.defaultdict(list)
        self.failures = []

    def add(self, scenario, proxy, figures):
        for key, value in figures.items():
            self._values[scenario.name, scenario.group, proxy, key].append(value)

    def of(self, scenario, proxy, metric):
        return self._values.get((scenario.name, scenario.group, proxy, metric.key), [])

    def median(self, scenario, proxy, metric):
        values = self.of(scenario, proxy, metric)
        return statistics.median(values) if values else None

    def ratio(self, scenario, proxy, metric):
        if metric.more is None:
            return None
        ours, theirs = (self.median(scenario, each, metric) for each in (self.ours, proxy))
        return ours / theirs if ours is not None and theirs else None


def number(value, digits):
    return f"{value:,.{digits}f}"


def cell(values, metric):
    if not values:
        return "–"
    text = number(statistics.median(values), metric.digits)
    if len(values) > 1:
        text += f" ({number(min(values), metric.digits)}–{number(max(values), metric.digits)})"
    return text


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return [row(head), "|" + "---|" * len(head), *map(row, rows), ""]


def group_table(results, group, chosen, proxies):
    """A table for those that follow each other with the same metrics."""
    lines = []
    for metrics, some in itertools.groupby(chosen, lambda scenario: scenario.metrics):
        lines += figures_table(results, metrics, list(some), proxies)
    return [f"## {TITLES[group]}", "", *lines] if lines else []


def figures_table(results, metrics, chosen, proxies):
    """Ratios are in a table of their own below the figures."""
    rows = []
    for scenario in chosen:
        for proxy in proxies:
            if not any(results.of(scenario, proxy, metric) for metric in metrics):
                continue
            rows.append([scenario.name, proxy,
                         *(cell(results.of(scenario, proxy, metric), metric) for metric in metrics)])
    if not rows:
        return []
    lines = table(["", "", *(each.title for each in metrics)], rows)
    others = [proxy for proxy in proxies if proxy not in (results.ours, "direct")]
    ratios = []
    for scenario in chosen:
        for proxy in others:
            found = [results.ratio(scenario, proxy, metric) for metric in metrics]
            if any(found):
                ratios.append([scenario.name, f"{results.ours} / {proxy}",
                               *(f"{each:.2f}×" if each else "–" for each in found)])
    if ratios:
        lines += table(["ratio", "", *(each.title for each in metrics)], ratios)
    return lines


def goal_table(results, chosen):
    rows = []
    for goal in GOALS:
        for scenario in chosen:
            if scenario.group != goal.group or not matches(scenario.name, goal.filter):
                continue
            for proxy, wanted in (("nginx", goal.nginx), ("haproxy", goal.haproxy)):
                ratio = results.ratio(scenario, proxy, goal.metric)
                if ratio is None:
                    continue
                met = ratio >= wanted if goal.metric.more else ratio <= wanted
                rows.append([f"{TITLES[goal.group]}: {scenario.name}", goal.metric.title, proxy,
                             f"{'≥' if goal.metric.more else '≤'} {wanted:g}×", f"{ratio:.2f}×",
                             "met" if met else "**missed**"])
    if not rows:
        return []
    head = ["", "figure", "beside", "to reach", "measured", ""]
    return ["## Figures to reach", "", *table(head, rows)]


def matches(name, wanted):
    return not wanted or name.endswith(f", {wanted}")


def document(results, chosen, proxies, preface, notes):
    lines = ["# Benchmarks", "", *preface, ""]
    lines += goal_table(results, chosen)
    for group in TITLES:
        in_group = [scenario for scenario in chosen if scenario.group == group]
        if in_group:
            lines += group_table(results, group, in_group, proxies)
    if notes or results.failures:
        lines += ["## Notes", "", *(f"- {note}" for note in [*notes, *results.failures]), ""]
    return "\n".join(lines).rstrip() + "\n"
