"""Mixed traffic through one stream-conductor, and what of it stays behind: tools/soak.

Bulk, ping-pong, connects, half-closes, resets from either side, a backend that refuses, creates and
removes, all at once and verified. After a warm-up of the same, when no session runs any more, its
memory, descriptors and threads are looked at, and again at the end. It fails when there are more
descriptors or threads, when memory grew too far, and when anything was not as it should be.
"""

import argparse
import collections
import sys
import time

import building
import launch
import mix
import peers
import processes
import procfs
import runs
import tables
from harness import PIPES_KEPT
from waiting import wait_until

STREAMS = 10  # at most, of the activities
SPARE_PORTS = 10  # for streams that come and go
QUIET_SECONDS = 30  # for sessions to end; DRAIN_TIMEOUT is 10
SAY_SECONDS = 60
MIB = 1 << 20
MOST_GROWTH = 2 * MIB  # or
MOST_GROWTH_SHARE = 0.05

State = collections.namedtuple("State", "resident threads listeners sockets pipes others")


def parse_arguments(words):
    parser = argparse.ArgumentParser(prog="tools/soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=building.number(0.01, 10_000, float), default=10)
    parser.add_argument("--warm-up", type=building.number(0.1, 600, float), default=10,
                        metavar="SECONDS")
    parser.add_argument("--workers", type=building.number(1, 256), help="default: one per core")
    building.add_arguments(parser)
    return parser.parse_args(words)


class Soak:
    def __init__(self, chosen, folder, found):
        self.chosen, self.network = chosen, found
        self.load = launch.Load(chosen.load, cores=None)
        first = peers.free_ports(STREAMS + SPARE_PORTS)
        self.unused = iter(range(first, first + STREAMS))
        self.spare_ports = range(first + STREAMS, first + STREAMS + SPARE_PORTS)
        self.service = runs.make_service(chosen, folder, first, STREAMS + SPARE_PORTS,
                                         {"workers": chosen.workers})
        self.activities = []
        self.failures = []
        self.before = self.after = None

    def create(self, backend_port):
        return self.service.create(next(self.unused), f"127.0.0.1:{backend_port}")

    def run(self):
        try:
            self.load.start_backend(verify=True)
            self.service.start()
            self.activities = mix.make_all(self)
            print("warm-up", file=sys.stderr, flush=True)
            self.mix(self.chosen.warm_up)
            self.before = self.look()
            if not self.failures:
                self.mix(self.chosen.minutes * 60)
            self.after = self.look()
        finally:
            self.end()

    def end(self):
        try:
            for activity in self.activities:
                activity.close()
            self.service.finish()
        finally:
            self.load.stop()

    def mix(self, seconds):
        for activity in self.activities:
            activity.turns = activity.sessions = 0
        began = time.monotonic()
        run = mix.Run(self.activities)
        try:
            while (left := began + seconds - time.monotonic()) > 0:
                if not run.wait(min(left, SAY_SECONDS)):
                    break
                resident = procfs.resident_bytes([self.service.pid]) / MIB
                print(f"{time.monotonic() - began:.0f} s: {resident:.2f} MiB resident, "
                      f"{len(run.failures)} failures", file=sys.stderr, flush=True)
        finally:
            self.failures += run.end()

    def look(self):
        """Once no session is left."""
        pid = self.service.pid
        sockets = self.service.at_ready.sockets
        wait_until(lambda: processes.descriptors(pid).sockets <= sockets, QUIET_SECONDS,
                   "the end of all sessions")
        return State(procfs.resident_bytes([pid]), processes.threads(pid),
                     *processes.descriptors(pid))

    # What is said of it.

    def rows(self):
        """[what, before, after, limit, is it kept]"""
        before, after = self.before, self.after
        most = before.resident + max(MOST_GROWTH, MOST_GROWTH_SHARE * before.resident)
        pipes = self.service.at_ready.pipes + self.service.workers * PIPES_KEPT
        return [
            ["resident memory, MiB", *(f"{each / MIB:.2f}" for each in (before.resident, after.resident)),
             f"≤ {most / MIB:.2f}", after.resident <= most],
            ["threads", before.threads, after.threads, before.threads, after.threads == before.threads],
            ["descriptors: listening", before.listeners, after.listeners, before.listeners,
             after.listeners == before.listeners],
            ["of sessions and API clients", before.sockets, after.sockets, before.sockets,
             after.sockets == before.sockets],
            ["of pipes, with those that workers keep", before.pipes, after.pipes, f"≤ {pipes}",
             after.pipes <= pipes],
            ["others", before.others, after.others, before.others, after.others == before.others],
        ]

    def is_well(self):
        return not self.failures and all(row[-1] for row in self.rows())

    def document(self, command):
        kept = [[*map(str, row[:-1]), "kept" if row[-1] else "**broken**"] for row in self.rows()]
        done = [[each.name, f"{each.turns:,}", f"{each.sessions:,}"] for each in self.activities]
        lines = ["# Soak", "", f"Made by `{command}`.", "",
                 *runs.preface(self.network, self.chosen.binary),
                 f"- {self.service.workers} workers; {self.chosen.minutes:g} minutes after a warm-up of "
                 f"{self.chosen.warm_up:g} s. Before and after: with no session.", "",
                 *tables.table(["", "before", "after", "limit", ""], kept),
                 *tables.table(["all verified", "turns", "sessions"], done)]
        if self.failures:
            lines += ["## Failures", "", *(f"- {each}" for each in self.failures)]
        return "\n".join(lines).rstrip() + "\n"


def main(words):
    return runs.main("tools/soak", parse_arguments(words), words, Soak)
