"""stream-conductor beside nginx, HAProxy and systemd-socket-proxyd in one run: tools/bench."""

import argparse
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

import building
import durability
import insight
import launch
import network
import proxies
import scenarios
import tables

SMOKE_SECONDS = 0.05
ALONE = (scenarios.WORKERS, durability.GROUP, insight.GROUP)


def parse_arguments(words):
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--peers", default="nginx,haproxy,systemd-socket-proxyd,direct",
                        help="what to compare with (default: %(default)s)")
    parser.add_argument("--only", default=",".join(scenarios.GROUPS),
                        help="groups of scenarios (default: %(default)s); for itself is each of "
                        "`workers`, which compares 1 with 2 of them, `durability`, which compares "
                        "sessions that outlive the process with others, and `insight`, which compares "
                        "a service that is asked about all it does with one that is not")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--workers", type=int, default=1,
                        help="threads or processes of each proxy, and its cores")
    parser.add_argument("--sendfile", action="store_true",
                        help="the load sends without a copy, in pages of 4 KiB")
    parser.add_argument("--compare-binary", type=pathlib.Path, metavar="BINARY",
                        help="another build of stream-conductor, beside the first")
    parser.add_argument("--congestion-control", metavar="NAME",
                        help="of TCP, in a network namespace of the run's own; `host` stays in the "
                        f"host's as it is (default: {' or '.join(network.DEFAULTS)}, for root)")
    parser.add_argument("--output", type=pathlib.Path, help="a file in place of standard output")
    building.add_arguments(parser)
    parser.add_argument("--smoke", action="store_true",
                        help="once and short, to see that it runs and that the bytes are right")
    chosen = parser.parse_args(words)
    chosen.peers = [name for name in chosen.peers.split(",") if name]
    chosen.only = [name for name in chosen.only.split(",") if name]
    for name in chosen.peers:
        if name not in proxies.ALL or name in (tables.OURS, proxies.OtherBuild.name):
            parser.error(f"--peers: no {name!r}")
    chosen.compares_workers = chosen.only == [scenarios.WORKERS]
    chosen.compares_durability = chosen.only == [durability.GROUP]
    chosen.compares_insight = chosen.only == [insight.GROUP]
    for name in ALONE:
        if name in chosen.only and chosen.only != [name]:
            parser.error(f"--only: {name} has other services than the rest, and goes with none of it")
    for name in chosen.only:
        if name not in (*scenarios.GROUPS, *ALONE):
            parser.error(f"--only: no {name!r}; there are {', '.join(scenarios.GROUPS)}")
    if chosen.rounds < 1 or not 0 < chosen.seconds <= 600 or chosen.workers < 1:
        parser.error("--rounds and --workers are at least 1, --seconds above 0 and at most 600")
    if chosen.smoke:
        chosen.rounds, chosen.seconds, chosen.output = 1, SMOKE_SECONDS, None
    return chosen


def preface(bench, command):
    chosen = bench.chosen
    lines = [
        f"Made by `{command}`.",
        "",
        f"- {building.machine()}",
        f"- {versions(bench)}.",
        f"- Load average of the machine before the start: {bench.busy:.2f}. Where it is far from 0, "
        "others had a share of the cores.",
        f"- {network.sentence(bench.network)}",
        "- A port of an ended connection is free for the next "
        + (f"after {network.REUSE_MS} ms." if bench.reuses_ports
           else "when the kernel says, usually after a second."),
        f"- Over loopback. {placing(bench)}",
        f"- Rounds: {chosen.rounds}, of {chosen.seconds:g} s for each figure; within a round every "
        "proxy has its turn in each scenario, in an order that rotates. Median, and in brackets the "
        "lowest and the highest.",
        "- CPU is what the scheduler counted for all threads and processes of the proxy. Bulk counts "
        "bytes that reached the far end. The load sends "
        + ("by sendfile, in pages of 4 KiB." if chosen.sendfile else "by copying."),
    ]
    if chosen.compares_durability:
        lines.append("- off, established, early: what `durable` of the streams is; after: DURABLE_AFTER. "
                     f"The goal for push and drop is {durability.MOST_PUSH_AND_DROP} µs.")
    elif chosen.compares_insight:
        lines.append("- all of it: sessions are logged (200 a second, the rest is counted), each is an event "
                     "that somebody reads, /metrics is asked every second, what the page's list asks every "
                     "two; the reader is on the load's core, whose time it takes.")
    elif not chosen.compares_workers:
        lines.append("- Idle: what resident memory grew by, of a proxy just started; memory of the kernel's "
                     "(sockets, pipes) is not in it. Fairness: a p99 is to be read with what the bulk beside "
                     "it got. direct: without any proxy.")
    return lines


def versions(bench):
    if bench.chosen.compares_workers:
        version = proxies.StreamConductor.version() + building.revision()
        return f"{tables.OURS} {version}, with 1 worker and with 2"
    if bench.chosen.compares_durability or bench.chosen.compares_insight:
        return f"{tables.OURS} {proxies.StreamConductor.version()}{building.revision()}"
    found = [f"{each.name} {each.version()}" for each in bench.classes if each.name != "direct"]
    found[0] += building.revision()
    workers = bench.chosen.workers
    return f"{', '.join(found)}; each with {workers} worker{'s' * (workers > 1)}"


def placing(bench):
    proxy_cores, load_cores = (",".join(map(str, sorted(each))) for each in bench.cores)
    if bench.chosen.compares_workers:
        return (f"Proxy, load and backend all on cores {proxy_cores}: what a second worker uses, the load "
                "goes without, so CPU per byte, request or session is what to read.")
    return (f"The proxy on core {proxy_cores}, the load and its backend on core {load_cores}. Where the "
            "load's core is busy all the time, throughput and requests/s say how fast both are together, "
            "and CPU per byte, request or session tells more of the proxy.")


class Bench:
    def __init__(self, chosen, folder, found):
        self.chosen = chosen
        self.network = found
        self.reuses_ports = found.own and network.reuse_ports_soon()
        self.folder = pathlib.Path(folder)
        self.busy = os.getloadavg()[0]
        self.cores = launch.shared_cores(2) if chosen.compares_workers else launch.split_cores(
            chosen.workers)
        self.load = launch.Load(chosen.load, self.cores[1], ["--sendfile"] if chosen.sendfile else [])
        self.context = scenarios.Context(self.load, chosen.seconds, chosen.smoke)
        proxies.StreamConductor.binary = chosen.binary
        proxies.OtherBuild.binary = chosen.compare_binary
        self.classes = self.choose_classes()
        self.results = tables.Results([each.name for each in self.classes])
        self.scenarios = [each for each in scenarios.make_all() + durability.make_all() + insight.make_all()
                          if each.group in chosen.only]
        self.started = 0
        self.running = {}

    def choose_classes(self):
        """Ours, whose ratios to the others are told, is the first; or the one that they are told to."""
        if self.chosen.compares_workers:
            return [proxies.TwoWorkers, proxies.OneWorker]
        if self.chosen.compares_durability:
            durability.Kept.store_cores = self.cores[1]
            return durability.CLASSES
        if self.chosen.compares_insight:
            insight.Observed.observer_cores = self.cores[1]
            return insight.CLASSES
        names = [tables.OURS]
        if self.chosen.compare_binary:
            names.append(proxies.OtherBuild.name)
        return [proxies.ALL[name] for name in names + self.chosen.peers]

    def make(self, proxy_class):
        self.started += 1
        return proxy_class(self.folder / f"{self.started}", self.load.ports, self.cores[0],
                           self.chosen.workers)

    def run(self):
        try:
            self.load.start_backend(verify=self.chosen.smoke)
            for proxy_class in self.classes:
                proxy = self.running[proxy_class.name] = self.make(proxy_class)
                proxy.start()
            for number in range(self.chosen.rounds):
                self.run_round(number)
        finally:
            for proxy in self.running.values():
                proxy.stop()
            self.load.stop()

    def run_round(self, number):
        turn = number % len(self.classes)
        order = self.classes[turn:] + self.classes[:turn]
        for scenario in self.scenarios:
            for proxy_class in order:
                if scenario.wants(proxy_class):
                    print(f"round {number + 1}: {scenario.group}: {scenario.name}: "
                          f"{proxy_class.name}", file=sys.stderr, flush=True)
                    self.measure(scenario, proxy_class)

    def measure(self, scenario, proxy_class):
        try:
            if scenario.fresh:
                with scenarios.running(self.make(proxy_class)) as proxy:
                    figures = scenario.measure(self.context, proxy)
            else:
                figures = scenario.measure(self.context, self.running[proxy_class.name])
            self.results.add(scenario, proxy_class.name, figures)
        except launch.Failed as error:
            sentence = f"{proxy_class.name}, {scenario.group}, {scenario.name}: {error}"
            print(sentence, file=sys.stderr)
            self.results.failures.append(sentence)

    def document(self, words):
        command = shlex.join(["tools/bench", *words])
        return tables.document(self.results, self.scenarios, preface(self, command),
                               self.context.notes)


def main(words):
    chosen = parse_arguments(words)
    # So that what was started is ended also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    launch.raise_descriptor_limit()
    folder = None
    try:
        if not chosen.no_build:
            building.build()
        folder = tempfile.mkdtemp(prefix="sc-bench-")
        os.chmod(folder, 0o755)  # nginx's workers have a user of their own
        bench = Bench(chosen, folder, network.enter(chosen.congestion_control))
        for each in bench.classes:
            each.version()  # is it there?
        bench.run()
        text = bench.document(words)
    except (launch.Failed, subprocess.CalledProcessError, OSError) as error:
        print(f"tools/bench: {error}", file=sys.stderr)
        return 1
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 1 if bench.results.failures else 0
