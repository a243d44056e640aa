"""Many streams and many sessions at once in one stream-conductor: tools/scale.

Creates the streams, kills the service and starts it again, sends bytes through each stream, scrapes
/metrics, opens the sessions through a handful of them, and removes all again. What went wrong ends it with 1; a
limit that was missed is said in the table alone.
"""

import argparse
import select
import socket
import statistics
import sys
import threading
import time

import building
import launch
import network
import peers
import processes
import procfs
import runs
import tables
from waiting import wait_until

FIRST_PORT = 10000
CONCURRENCY = 16  # of the API's clients, each with one request at a time
EDGE = 500  # streams, whose creates and removes are timed as the first ones and as the last
TIMES = 5  # the fastest of them counts: the disk, and others on the machine, only ever add
AT_ONCE = 1000  # streams for one run of the load, which has 30 s for them
HANDFUL = 8  # streams that carry the sessions
MESSAGE = 1000  # bytes
RESERVE = 300  # descriptors of a service for all but streams and sessions
PATIENCE = 60  # seconds

MOST_BOOT_SECONDS = 3
MOST_BYTES = 2000  # resident, for each stream
SCRAPES = 20
MOST_SCRAPE_MS = 100
FLAT = 1.5  # the last streams may take so much longer than the first


def parse_arguments(words):
    parser = argparse.ArgumentParser(prog="tools/scale", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=building.number(10, 20000), default=9000)
    parser.add_argument("--sessions", type=building.number(HANDFUL, 100_000), default=5000)
    parser.add_argument("--seconds", type=building.number(0.05, 600, float), default=5,
                        help="of traffic on all sessions")
    parser.add_argument("--workers", type=building.number(1, 256), help="default: one per core")
    building.add_arguments(parser)
    return parser.parse_args(words)


def free_run(count, found):
    """The first of so many free ports, outside of what connect(2) chooses from if there are any."""
    if found.own and FIRST_PORT + count > network.ephemeral_range()[0]:
        network.make_ephemeral_range_small()
    low, high = network.ephemeral_range()
    for first, last in ((FIRST_PORT, low - 1), (high + 1, 65535), (FIRST_PORT, 65535)):
        length = 0
        for port in range(max(first, FIRST_PORT), last + 1):
            length = length + 1 if is_free(port) else 0
            if length == count:
                return port - count + 1
    raise launch.Failed(f"no {count} ports in a row are free")


def is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()  # with SO_REUSEADDR
        return True
    except OSError:
        return False


class Scale:
    def __init__(self, chosen, folder, found):
        self.chosen, self.network = chosen, found
        self.notes = []
        self.rows = []
        self.sessions = self.affordable_sessions()
        self.edge = min(EDGE, chosen.streams // 3)
        self.load = launch.Load(chosen.load, cores=None)
        self.load.start_backend(verify=True)
        api_port = peers.free_port()
        self.first = free_run(chosen.streams, found)
        self.service = runs.make_service(chosen, folder, self.first, chosen.streams,
                                         {"bind-port": api_port, "workers": chosen.workers})

    def affordable_sessions(self):
        room = launch.descriptor_limit() - RESERVE - self.chosen.streams
        if room < 2 * HANDFUL:
            raise launch.Failed(f"{self.chosen.streams} streams do not fit into the limit of "
                                f"{launch.descriptor_limit()} descriptors")
        if room // 2 < self.chosen.sessions:
            self.notes.append(f"{room // 2} sessions, for the limit of {launch.descriptor_limit()} "
                              "descriptors.")
        return min(room // 2, self.chosen.sessions)

    # The table.

    def add(self, what, measured, limit="", met=None):
        self.rows.append([what, measured, limit,
                          "" if met is None else "met" if met else "**missed**"])

    def add_most(self, what, value, most, unit, digits=0):
        self.add(what, f"{value:,.{digits}f} {unit}", f"≤ {most:,} {unit}", value <= most)

    def add_flat(self, verb, few, many):
        count, edge = self.chosen.streams, self.edge
        self.add(f"{verb} p50, 0 to {edge:,} streams", f"{few:,.0f} µs")
        self.add(f"{verb} p50, {count - edge:,} to {count:,} streams", f"{many:,.0f} µs",
                 f"≤ {FLAT:g}× as long", many <= FLAT * few)

    # The steps.

    def resident(self):
        return procfs.resident_bytes([self.service.pid])

    def api(self, only, first, count):
        options = {"concurrency": CONCURRENCY, "backend": f"127.0.0.1:{self.load.ports['echo']}"}
        return self.load.run("api", self.service.api_port, only=only, first_port=self.first + first,
                             count=count, **options)

    def api_each(self, only, first, end):
        for done in range(first, end, AT_ONCE):
            self.api(only, done, min(AT_ONCE, end - done))

    def edge_times(self, first):
        """(create, remove): p50 of streams that come and go at this many; in the end they are there."""
        times = {"create": [], "remove": []}
        for _ in range(TIMES):
            for only, found in times.items():
                found.append(self.api(only, first, self.edge)[f"{only}_p50_us"])
        self.api("create", first, self.edge)
        return [min(found) for found in times.values()]

    def create(self):
        self.service.start()
        self.service.get("/getstreams")
        self.empty = self.resident()
        count, edge = self.chosen.streams, self.edge
        few = self.edge_times(0)
        began = time.monotonic()
        self.api_each("create", edge, count - edge)
        rate = (count - 2 * edge) / (time.monotonic() - began)
        many = self.edge_times(count - edge)
        for number, verb in enumerate(("create", "remove")):
            self.add_flat(verb, few[number], many[number])
        self.add(f"creates, {CONCURRENCY} at a time", f"{rate:,.0f} /s")
        self.add_memory("created")

    def add_memory(self, how):
        grown = (self.resident() - self.empty) / self.chosen.streams
        self.add_most(f"resident memory for each stream, {how}", grown, MOST_BYTES, "B")

    def start_again(self):
        """After a kill -9."""
        sockets = self.service.at_ready.sockets  # one is for netlink
        self.service.kill9()
        began = time.monotonic()
        self.service.launch()
        ready = self.service.wait_for_line("ready", seconds=PATIENCE)
        ready_after = time.monotonic() - began
        answer = self.service.get(f"/hasstream/{self.first}").json
        answered_after = time.monotonic() - began
        wait_until(lambda: processes.descriptors(self.service.pid).sockets <= sockets, PATIENCE,
                   "the end of the first client")  # it must not count as being there at the start
        self.service.wait_ready()
        if answer != {"result": "true"} or ready.fields["opened"] != str(self.chosen.streams):
            raise launch.Failed(f"not all streams are there again: {ready.text}")
        self.add_most("kill -9, start: until ready", ready_after, MOST_BOOT_SECONDS, "s", 2)
        self.add_most("until the first answer", answered_after, MOST_BOOT_SECONDS, "s", 2)
        self.add_memory("opened at a start")

    def use_each_stream(self):
        for port in range(self.first, self.first + self.chosen.streams):
            with peers.connect(port) as sock:
                text = f"to {port}\n".encode()
                sock.sendall(text)
                if peers.read_exactly(sock, len(text)) != text:
                    raise launch.Failed(f"wrong bytes through port {port}")
                peers.reset(sock)  # leaves no TIME_WAIT
        self.add("streams that brought right bytes", f"{self.chosen.streams:,}",
                 f"{self.chosen.streams:,}", True)

    def scrape(self):
        """All streams, each with counters that are not 0, while somebody else asks the API too."""
        waits, times, over = [], [], threading.Event()

        def ask():
            while not over.is_set():
                waits.append(self.timed("/healthz")[0])

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            for _ in range(SCRAPES):
                seconds, reply = self.timed("/metrics")
                times.append(seconds)
        finally:
            over.set()
            asker.join()
        lines = reply.body.count(b"\nstream_conductor_sessions_accepted_total{")
        if lines != self.chosen.streams:
            raise launch.Failed(f"/metrics tells of {lines} streams")
        self.add(f"/metrics, {len(reply.body):,} bytes: p50 of {SCRAPES}",
                 f"{statistics.median(times) * 1000:,.0f} ms")
        self.add_most("the slowest of them", max(times) * 1000, MOST_SCRAPE_MS, "ms")
        self.add(f"/healthz meanwhile, {len(waits):,} times: p50, the slowest",
                 f"{statistics.median(waits) * 1000:,.1f}, {max(waits) * 1000:,.1f} ms")

    def timed(self, path):
        began = time.monotonic()
        reply = self.service.get(path)
        if reply.status != 200:
            raise launch.Failed(f"{path}: {reply.status}")
        return time.monotonic() - began, reply

    def begin(self, command, **options):
        """The load with its share of the sessions through each of a handful of streams."""
        share, rest = divmod(self.sessions, HANDFUL)
        step = self.chosen.streams // HANDFUL
        return [self.load.begin(command, self.first + number * step,
                                sessions=share + (number < rest), **options)
                for number in range(HANDFUL)]

    def open_sessions(self):
        """Sockets that carry bytes are two for each session."""
        now = processes.descriptors(self.service.pid)
        return (now.sockets - self.service.at_ready.sockets) // 2

    def hold_sessions(self):
        before = self.resident()
        loads = self.begin("idle")
        try:
            for load in loads:
                if not select.select([load.stdout], [], [], PATIENCE)[0]:
                    raise launch.Failed("the sessions do not come to be")
            opened = self.open_sessions()
            memory = (self.resident() - before) / self.sessions
            for load in loads:
                self.load.finish(load)
        finally:
            launch.stop(loads)
        self.add("sessions at once, at rest after an exchange each", f"{opened:,}",
                 f"{self.sessions:,}", opened == self.sessions)
        self.add("resident memory for each session", f"{memory:,.0f} B")
        self.service.wait_no_sessions()

    def use_sessions(self):
        loads = self.begin("ping-pong", size=MESSAGE, seconds=self.chosen.seconds)
        most = 0
        try:
            while most < self.sessions and any(load.poll() is None for load in loads):
                most = max(most, self.open_sessions())
                time.sleep(0.05)
            reports = [self.load.finish(load) for load in loads]
        finally:
            launch.stop(loads)
        rate = sum(report["requests_per_second"] for report in reports)
        self.add("sessions at once, all exchanging", f"{most:,}", f"{self.sessions:,}",
                 most == self.sessions)
        self.add(f"exchanges of {MESSAGE:,} B, every byte right",
                 f"{sum(report['exchanges'] for report in reports):,}")
        self.add("in a second", f"{rate:,.0f}")
        self.service.wait_no_sessions()

    def remove(self):
        began = time.monotonic()
        self.api_each("remove", 0, self.chosen.streams)
        rate = self.chosen.streams / (time.monotonic() - began)
        self.add(f"removes, {CONCURRENCY} at a time", f"{rate:,.0f} /s")
        if self.service.streams():
            raise launch.Failed("streams are left after all were removed")

    def run(self):
        try:
            for step in (self.create, self.start_again, self.use_each_stream, self.scrape,
                         self.hold_sessions, self.use_sessions, self.remove):
                print(step.__name__.replace("_", " "), file=sys.stderr, flush=True)
                step()
        finally:
            try:
                self.service.finish()
            finally:
                self.load.stop()

    def is_well(self):
        return True  # what went wrong was raised

    def document(self, command):
        return "\n".join([
            "# Scale", "", f"Made by `{command}`.", "",
            *runs.preface(self.network, self.chosen.binary),
            f"- {self.service.workers} workers; a limit of {launch.descriptor_limit():,} descriptors. "
            "Resident memory is the process's; sockets are the kernel's. A p50 is the lowest of "
            f"{TIMES}, each of {self.edge} streams that came and went.",
            *(f"- {note}" for note in self.notes), "",
            *tables.table(["", "measured", "limit", ""], self.rows)])


def main(words):
    return runs.main("tools/scale", parse_arguments(words), words, Scale)
