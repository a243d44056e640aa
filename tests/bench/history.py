"""A start with a long history, and how it is deleted: tools/history.

Makes a database of that many events of 900 streams over 800 days, starts the service after a clean stop and
after a kill -9, and then with HISTORY_KEEP=400d, while clients create and remove streams.
"""

import argparse
import pathlib
import statistics
import sys
import time

import building
import old_history
import runs
import scale
import tables

STREAMS = 900
STARTS = 5
MOST_START_SECONDS = 0.3
PATIENCE = 3600


def parse_arguments(words):
    parser = argparse.ArgumentParser(prog="tools/history", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=building.number(STREAMS, 50_000_000), default=5_000_000)
    building.add_arguments(parser)
    return parser.parse_args(words)


class History:
    def __init__(self, chosen, folder, found):
        self.chosen, self.network = chosen, found
        self.rows = []
        self.is_there = False  # the stream that comes and goes
        self.first = scale.free_run(STREAMS + 1, found)
        self.service = runs.make_service(chosen, pathlib.Path(folder), self.first, STREAMS + 1,
                                         {"history-keep": "forever"})

    def fill(self):
        self.service.start()
        self.service.stop()
        old_history.fill(self.service.database, self.chosen.events, self.first, STREAMS, 800)
        self.rows.append(["size of the database", f"{self.service.database.stat().st_size:,} B", ""])

    def start(self):
        began = time.monotonic()
        self.service.launch()
        self.service.wait_for_line("ready", seconds=PATIENCE)
        took = time.monotonic() - began
        self.service.wait_ready()
        return took

    def measure_starts(self):
        self.start()  # the database was changed since it was closed
        self.service.wait_for_line("database check found no damage", seconds=PATIENCE)
        for end, how in ((self.service.stop, "a clean stop"), (self.service.kill9, "a kill -9")):
            times = []
            for _ in range(STARTS):
                end()
                times.append(self.start())
            limit = f"≤ {MOST_START_SECONDS} s" if end == self.service.stop else ""
            self.rows.append([f"exec to ready after {how}: best, median of {STARTS}",
                              f"{min(times):.2f}, {statistics.median(times):.2f} s", limit])
        self.service.stop()

    def prune(self):
        self.service.flags["history-keep"] = "400d"
        self.start()
        quiet = [self.change() for _ in range(200)]
        lines = len(self.service.lines)
        began, busy = time.monotonic(), []
        while not any("old history deleted" in line for line in self.service.lines[lines:]):
            busy.append(self.change())
            if time.monotonic() - began > PATIENCE:
                raise AssertionError("the history is not deleted")
        done = self.service.wait_for_line("old history deleted")
        self.rows.append(["events deleted", done.fields["events"], ""])
        self.rows.append(["it took", f"{time.monotonic() - began:,.0f} s", ""])
        for what, times in (("before", quiet), ("meanwhile", busy)):
            times.sort()
            self.rows.append([f"a create or remove {what}: p50, p99, slowest of {len(times):,}",
                              ", ".join(f"{1000 * times[int(part * (len(times) - 1))]:,.1f}"
                                        for part in (0.5, 0.99, 1)) + " ms", ""])
        self.service.stop()

    def change(self):
        port = self.first + STREAMS
        began = time.monotonic()
        if self.is_there:
            self.service.remove(port)
        else:
            self.service.create(port, "127.0.0.1:7000")
        self.is_there = not self.is_there
        return time.monotonic() - began

    def run(self):
        try:
            for step in (self.fill, self.measure_starts, self.prune):
                print(step.__name__.replace("_", " "), file=sys.stderr, flush=True)
                step()
        finally:
            self.service.finish()

    def is_well(self):
        return True  # what went wrong was raised

    def document(self, command):
        return "\n".join(["# History", "", f"Made by `{command}`.", "",
                          *runs.preface(self.network, self.chosen.binary),
                          f"- {self.chosen.events:,} events of {STREAMS} streams over 800 days.", "",
                          *tables.table(["", "measured", "limit"], self.rows)])


def main(words):
    return runs.main("tools/history", parse_arguments(words), words, History)
