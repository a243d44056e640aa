"""What outlives how many kills, and for how long clients wait: tools/handoff --help"""

import argparse
import contextlib
import math
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time

import box
import box_host
import building
import handoff
import handoff_servers
import launch
import network
import processes
import traffic
from handoff_servers import MB

LONGEST_MEDIAN_PAUSE = 0.25  # s
MOST_OF_MANAGER = 0.02  # of a core
BOTH_WAYS = (signal.SIGKILL, signal.SIGTERM)  # a kill, `systemctl restart`, and so on


class Run:
    """Where and how large; a scenario takes one and gives what the client saw, in words."""

    def __init__(self, scale, the_box):
        self.scale = scale
        self.box = the_box
        self.host = self.traffic = self.folder = None

    def times(self, count):
        return max(1, math.ceil(count * self.scale))

    def check_kills(self, count):
        """The traffic lasted for as many."""
        assert self.host.kills >= self.times(count), f"{self.host.kills} kills only"

    @contextlib.contextmanager
    def started(self, environment=None):
        """A fresh service, a backend and a folder."""
        environment = environment or {"DURABLE_AFTER": "0"}
        with tempfile.TemporaryDirectory(prefix="sc-handoff-") as folder, \
                contextlib.ExitStack() as stack:
            self.folder = pathlib.Path(folder)
            self.folder.chmod(0o755)
            self.traffic = traffic.Traffic()
            stack.callback(self.traffic.stop)
            self.host = (box_host.BoxHost(self.box, environment) if self.box
                         else handoff.ManagedHost(self.folder, environment))
            stack.callback(self.host.close)
            yield self.host

    def stream(self, durable="early", port=None):
        return self.host.stream(port or self.traffic.port, durable=durable)

    def finish(self, client):
        """What client and backend agree on."""
        outcome = traffic.assert_right(client.outcome(600))
        traffic.assert_right(self.traffic.finish(), outcome["good"])
        self.host.check_store()
        return outcome


def pause(outcome):
    return f"longest pause {outcome['longest_pause_ms']:.0f} ms"


def bulk(run):
    """One session, 2 GB up and 2 GB down at once"""
    with run.started() as host:
        size = run.times(2000) * MB
        client = run.traffic.client(run.stream(), up=size, down=size, rate=100 * MB)
        host.kill_during(client, run.times(16), 0.8)
        outcome = run.finish(client)
        run.check_kills(16)
        assert outcome["bytes_up"] == outcome["bytes_down"] == size
        return f"every byte right, {outcome['seconds']:.0f} s, {pause(outcome)}"


def halves(run):
    """50 sessions, half of them half-closed; also killed before READY"""
    with run.started() as host:
        size = run.times(160) * MB // 10
        client = run.traffic.client(run.stream(), sessions=50, up=size, down=size,
                                    rate=MB * 4 // 10, modes="both,down-last")
        host.kill_also_early(client, run.times(100), 0.3)
        outcome = run.finish(client)
        run.check_kills(100)
        return f"{outcome['good']} of 50 exact, {pause(outcome)}"


def ssh(run):
    """scp of 200 MB beside an ssh session; kills and restarts"""
    with run.started() as host, handoff_servers.Ssh(run.folder) as server:
        port = run.stream(port=server.port)
        sent = server.random_file("sent", run.times(200) * MB)
        count = run.times(200)
        session = server.session(port, f"for i in $(seq {count}); do echo $i; sleep 0.05; done")
        copy = server.copy(port, sent, run.folder / "came", 16 * MB)
        host.again_during(copy, run.times(10), 0.6)
        copy.outcome()
        said = session.outcome()
        assert said.split() == [str(at + 1) for at in range(count)], said
        same = handoff_servers.digest(run.folder / "came") == handoff_servers.digest(sent)
        assert same, "the file is another one"
        run.check_kills(10)
        return "the file is the same, the session said every line"


def redis(run):
    """redis-benchmark, 50 clients; kills and restarts"""
    with run.started() as host, handoff_servers.Redis(run.folder) as server:
        port = run.stream(port=server.port)
        runs = 0
        while host.kills < run.times(10):
            benchmark = server.benchmark(port, run.times(500_000))
            host.again_during(benchmark, run.times(10), 0.6)
            output = benchmark.outcome()
            assert "rror" not in output, output
            runs += 1
        return f"no error in {runs} run{'s' if runs > 1 else ''}"


def postgres(run):
    """pgbench, 8 clients; kills and restarts"""
    with run.started() as host, tempfile.TemporaryDirectory(prefix="sc-handoff-") as folder, \
            handoff_servers.Postgres(folder) as server:
        benchmark = server.benchmark(run.stream(port=server.port), run.times(15))
        host.again_during(benchmark, run.times(10), 0.6)
        output = benchmark.outcome()
        assert "number of failed transactions: 0 " in output and "rror" not in output, output
        sums = server.balances()
        assert len(sums) == 1, sums
        run.check_kills(10)
        done = next(line for line in output.splitlines() if "actually processed" in line)
        return f"no error, {done.rpartition(' ')[2]} transactions, the books balance"


def short(run, durable, most_failures, rate=0):
    with run.started() as host:
        seconds = 10 * run.scale
        client = run.traffic.begin("rate", run.stream(durable), per_second=500, seconds=seconds,
                                   rate=rate)
        between = 2 * max(0.0, seconds / run.times(20) - (0.3 if run.box else 0.15))
        for _ in range(run.times(20)):
            client.ends_within(host.random.uniform(0, between))
            host.again()
        outcome = client.outcome()
        assert outcome["wrong"] == 0 and outcome["bad"] <= most_failures, outcome
        host.check_store()
        return (f"{outcome['bad']} of {outcome['good'] + outcome['bad']} failed, "
                f"p99 {outcome['p99_ms']:.0f} ms, at most {outcome['max_ms']:.0f} ms")


def short_early(run):
    """5,000 short sessions at 500/s, `early`"""
    return short(run, "early", 0)


def short_established(run):
    """5,000 short sessions at 500/s, `established`, DURABLE_AFTER=0"""
    return short(run, "established", 2)


def longer_early(run):
    """The same, of 20 ms each, `early`"""
    return short(run, "early", 0, 25_000)


def longer_established(run):
    """The same, of 20 ms each, `established`, DURABLE_AFTER=0"""
    return short(run, "established", 2, 25_000)


def idle(run):
    """4,000 idle sessions"""
    with run.started() as host:
        sessions = run.times(4000)
        held = run.traffic.hold(run.stream(), sessions)
        host.wait_durable(sessions)
        for at in range(run.times(10)):
            host.again(BOTH_WAYS[at % 2])
        outcome = run.finish(held)
        pause_of_most = statistics.median(host.pauses)
        assert pause_of_most <= LONGEST_MEDIAN_PAUSE, f"{1000 * pause_of_most:.0f} ms to READY"
        return f"{outcome['good']} of {sessions} alive afterwards"


def manager_cpu(run):
    """1,000 short sessions/s, `early`: the CPU of PID 1"""
    with run.started():
        client = run.traffic.begin("rate", run.stream(), per_second=1000, seconds=10 * run.scale)
        began, before = time.monotonic(), processes.cpu_seconds(run.box.pid)
        outcome = traffic.assert_right(client.outcome())
        share = (processes.cpu_seconds(run.box.pid) - before) / (time.monotonic() - began)
        assert share <= MOST_OF_MANAGER, f"{100 * share:.1f} %"
        return f"{100 * share:.1f} %, {outcome['good']} sessions"


def connection_rate(run):
    """Short sessions as fast as they come, beside `durable: off`; DURABLE_AFTER=0"""
    network.choose(network.DEFAULTS)  # of the box
    ports_rest = "" if network.reuse_ports_soon() else "; ports rest for as long as the kernel says"
    with run.started({"DURABLE_AFTER": "0", "WORKERS": "1"}) as host, contextlib.ExitStack() as stack:
        process = host.main_pid()
        ours, others = launch.split_cores(1)
        for thread in os.listdir(f"/proc/{process}/task"):
            os.sched_setaffinity(int(thread), ours)
        for each in (0, run.box.pid):  # and what is started from here: the load
            stack.callback(os.sched_setaffinity, each, os.sched_getaffinity(each))
            os.sched_setaffinity(each, others)
        load = launch.Load(building.ROOT / "build" / building.LOADS[0], None)
        stack.callback(load.stop)
        load.start_backend(verify=False)
        ports = {durable: host.stream(load.ports["echo"], durable=durable)
                 for durable in ("off", "established", "early")}
        told = "; ".join(beside_off(run, load, ports, concurrency) for concurrency in (64, 16))
        assert host.main_pid() == process, "the service was started again"
        assert not any(host.durability()["not_durable"].values()), host.durability()
        host.check_store()
        return told + ports_rest


def beside_off(run, load, ports, concurrency):
    found = {durable: [] for durable in ports}
    spent = {durable: 0.0 for durable in ports}  # by PID 1
    for number in range(run.times(9)):
        turn = number % len(ports)
        for durable in [*ports, *ports][turn:turn + len(ports)]:
            before = processes.cpu_seconds(run.box.pid)
            found[durable].append(load.run("connect", ports[durable], size=64, concurrency=concurrency,
                                           seconds=0.6))
            spent[durable] += processes.cpu_seconds(run.box.pid) - before
    rates = {durable: statistics.median(each["sessions_per_second"] for each in runs)
             for durable, runs in found.items()}
    cost = {durable: 1e6 * spent[durable] / sum(each["started"] for each in runs)
            for durable, runs in found.items()}
    told = [f"`{durable}` {rates[durable] / rates['off']:.2f} × ({cost[durable]:.1f} µs of PID 1 each)"
            for durable in ports if durable != "off"]
    return f"{concurrency} at a time: {rates['off']:,.0f}/s, {', '.join(told)}"


SCENARIOS = (bulk, halves, ssh, redis, postgres, short_early, short_established, longer_early,
             longer_established, idle)


def row(run, scenario):
    """A line of the table, and whether all was as it should be."""
    try:
        seen, right = scenario(run), True
    except (AssertionError, launch.Failed, OSError) as error:
        seen, right = "FAILED: " + " ".join(str(error).split())[:300], False
    host, kills, ready = run.host, "", ""
    if host:  # it came to be
        kills = f"{host.kills}" + (f", {host.early_kills} of them before READY" if host.early_kills
                                   else "")
    if host and host.pauses:
        ready = f"{1000 * statistics.median(host.pauses):.0f}, {1000 * max(host.pauses):.0f}"
    return f"| {scenario.__doc__} | {kills} | {seen} | {ready} |", right


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="tools/handoff", description="Kills and restarts the service under traffic; a table.")
    parser.add_argument("--stand-in", action="store_true",
                        help="the manager of the tests, in place of a systemd in a box")
    names = [scenario.__name__ for scenario in all_scenarios(True)]
    parser.add_argument("--only", action="append", metavar="NAME", choices=names,
                        help=", ".join(names))
    parser.add_argument("--scale", type=float, default=1.0,
                        help="of bytes, kills and times; 0.1 is a tenth")
    parser.add_argument("--no-build", action="store_true", help="install and build nothing")
    return parser.parse_args(words)


def all_scenarios(in_box):
    return (*SCENARIOS, manager_cpu, connection_rate) if in_box else SCENARIOS


def main(words):
    chosen = arguments(words)
    if not chosen.no_build:
        building.build("handoff", "tests/traffic/sc-traffic", building.LOADS[0])
    reason = "" if chosen.stand_in else box.why_not()
    if reason:
        print(f"no box, so the stand-in: {reason}", file=sys.stderr)
    in_box = not chosen.stand_in and not reason
    wanted = [scenario for scenario in all_scenarios(in_box)
              if not chosen.only or scenario.__name__ in chosen.only]
    if not wanted:
        print("these are for a box alone", file=sys.stderr)
        return 1
    all_right = True
    with box.Box(installed=True) if in_box else contextlib.nullcontext() as the_box:
        if chosen.scale != 1:
            print(f"Bytes, sessions, kills and times are {chosen.scale:g} times those told here.\n")
        print("| traffic | kills | what the clients saw | signal to READY: median, most, ms |\n"
              "|---|---|---|---|", flush=True)
        for scenario in wanted:
            line, right = row(Run(chosen.scale, the_box), scenario)
            print(line, flush=True)
            all_right = all_right and right
    return 0 if all_right else 1
