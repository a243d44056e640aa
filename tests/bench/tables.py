"""Figures as Markdown: medians, spread, ratios, and what was to be reached."""

import collections
import itertools
import statistics

import durability
import insight
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
    "durability": "Sessions that outlive the process",
    "insight": "A service that is watched",
}
# A ratio of ours to each of `others`; at least that where more is better, else at most.
Goal = collections.namedtuple("Goal", "group concerns metric others")


def beside_proxies(group, ending, metric, nginx, haproxy):
    return Goal(group, lambda name: not ending or name.endswith(f", {ending}"), metric,
                {"nginx": nginx, "haproxy": haproxy})


def beside_off(start, metric, wanted, group=durability.GROUP):
    return Goal(group, lambda name: name.startswith(start), metric,
                {durability.OFF: wanted})


GOALS = (
    beside_proxies("bulk", "", scenarios.THROUGHPUT, 2.2, 1.5),
    beside_proxies("bulk", "", scenarios.GIB_PER_CPU, 4.0, 2.8),
    beside_proxies("pingpong", "100 sessions", scenarios.REQUESTS, 1.05, 1.05),
    beside_proxies("pingpong", "1 session", scenarios.P50, 1.0, 1.0),
    beside_proxies("connect", "", scenarios.SESSIONS, 1.0, 1.0),
    beside_proxies("idle", "", scenarios.MEMORY, 0.15, 0.5),
    beside_proxies("fairness", "", scenarios.P99, 1.0, 1.0),
    beside_off("ping-pong", scenarios.REQUESTS, 0.85),
    beside_off("bulk", scenarios.THROUGHPUT, 0.95),
    beside_off("connect", scenarios.SESSIONS, 0.9),
    beside_off("ping-pong", scenarios.REQUESTS, 0.97, insight.GROUP),
    beside_off("bulk", scenarios.THROUGHPUT, 0.97, insight.GROUP),
)


class Results:
    """Values by scenario, proxy and metric. Ratios are of the first of `proxies` to the others, or of
    the others to the one that is `off`."""

    def __init__(self, proxies):
        self.proxies = proxies
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

    def pairs(self):
        """Whose ratios are told."""
        first, *others = self.proxies
        if first == durability.OFF:
            return [(other, first) for other in others]
        return [(first, other) for other in others if other != "direct"]

    def ratio(self, scenario, pair, metric):
        if metric.more is None:
            return None
        ours, theirs = (self.median(scenario, each, metric) for each in pair)
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


def group_table(results, group, chosen):
    """A table for those that follow each other with the same metrics."""
    lines = []
    for metrics, some in itertools.groupby(chosen, lambda scenario: scenario.metrics):
        lines += figures_table(results, metrics, list(some))
    return [f"## {TITLES[group]}", "", *lines] if lines else []


def figures_table(results, metrics, chosen):
    """Ratios are in a table of their own below the figures."""
    rows = []
    for scenario in chosen:
        for proxy in results.proxies:
            if not any(results.of(scenario, proxy, metric) for metric in metrics):
                continue
            rows.append([scenario.name, proxy,
                         *(cell(results.of(scenario, proxy, metric), metric) for metric in metrics)])
    if not rows:
        return []
    lines = table(["", "", *(each.title for each in metrics)], rows)
    ratios = []
    for scenario in chosen:
        for pair in results.pairs():
            found = [results.ratio(scenario, pair, metric) for metric in metrics]
            if any(found):
                ratios.append([scenario.name, " / ".join(pair),
                               *(f"{each:.2f}×" if each else "–" for each in found)])
    if ratios:
        lines += table(["ratio", "", *(each.title for each in metrics)], ratios)
    return lines


def goal_table(results, chosen):
    rows = []
    for goal in GOALS:
        for scenario in chosen:
            if scenario.group != goal.group or not goal.concerns(scenario.name):
                continue
            for pair in results.pairs():
                wanted = goal.others.get(pair[1])
                ratio = results.ratio(scenario, pair, goal.metric) if wanted else None
                if ratio is None:
                    continue
                met = ratio >= wanted if goal.metric.more else ratio <= wanted
                rows.append([f"{TITLES[goal.group]}: {scenario.name}", goal.metric.title, told(pair),
                             f"{'≥' if goal.metric.more else '≤'} {wanted:g}×", f"{ratio:.2f}×",
                             "met" if met else "**missed**"])
    if not rows:
        return []
    head = ["", "figure", "beside", "to reach", "measured", ""]
    return ["## Figures to reach", "", *table(head, rows)]


def told(pair):
    """Whom ours is beside; of services that are all ours, which one as well."""
    return " / ".join(pair) if pair[1] == durability.OFF else pair[1]


def document(results, chosen, preface, notes):
    lines = ["# Benchmarks", "", *preface, ""]
    lines += goal_table(results, chosen)
    for group in TITLES:
        in_group = [scenario for scenario in chosen if scenario.group == group]
        if in_group:
            lines += group_table(results, group, in_group)
    if notes or results.failures:
        lines += ["## Notes", "", *(f"- {note}" for note in [*notes, *results.failures]), ""]
    return "\n".join(lines).rstrip() + "\n"
