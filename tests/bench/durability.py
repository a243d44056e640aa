"""What it costs that sessions outlive the process: one binary, with that off and on, side by side."""

import http.client
import json
import pathlib
import socket
import sys

import launch
import procfs
import proxies
import scenarios
from scenarios import Metric

GROUP = "durability"  # has services of its own, so it is measured by itself
STORE = pathlib.Path(__file__).with_name("store.py")
KEEP_COST = "stream-conductor-keep-cost"  # beside the load generator
OFF = "off"

STORE_CPU = Metric("store_cpu", "of the store: CPU µs per session", 2, False)
PUSH_CPU = Metric("push_cpu", "push: CPU µs", 2, False)
DROP_CPU = Metric("drop_cpu", "drop: CPU µs", 2, False)
PUSH_AND_DROP = Metric("push_and_drop", "both: CPU µs", 2, False)
MOST_PUSH_AND_DROP = 15  # µs


class Kept(proxies.StreamConductor):
    """With a store for its descriptors, which all of these have, whether they use it or not."""

    API_PORTS = 1  # no scenario creates streams
    durable = "established"
    durable_after = "0"
    store_cores = None  # any
    store = None

    def commands(self):
        self.store, address = start_store(self.folder, self.store_cores)
        self.variables = {"NOTIFY_SOCKET": address}
        [command] = super().commands()
        return [[*command, f"--durable-after={self.durable_after}"]]

    def create_stream(self, port, target):
        client = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=10)
        try:
            client.request("PUT", f"/v1/streams/{port}",
                           json.dumps({"backend": f"127.0.0.1:{target}", "durable": self.durable}),
                           {"Content-Type": "application/json"})
            answer = client.getresponse()
            if answer.status != 201:
                raise launch.Failed(f"{self.name} creates no stream: {answer.read()}")
        finally:
            client.close()

    def kept_sessions(self):
        """Now. Failed if there was ever one that should be and is not."""
        facts = self.get("/v1/status")["durability"]
        if not facts["available"] or any(facts["not_durable"].values()):
            raise launch.Failed(f"sessions were not kept: {facts}")
        return facts["sessions"]

    def stop(self):
        super().stop()
        if self.store:
            launch.stop([self.store])
            self.store = None


class Off(Kept):
    name = OFF
    durable = "off"


class Established(Kept):
    """Each session is kept from its first byte on."""

    name = "established, after 0 s"


class EstablishedLater(Kept):
    """As by default: those of this load end before."""

    name = "established, after 1 s"
    durable_after = "1s"


class Early(Kept):
    """From before the backend is dialled."""

    name = "early, after 0 s"
    durable = "early"


class EarlyLater(Kept):
    name = "early, after 1 s"
    durable = "early"
    durable_after = "1s"


CLASSES = [Off, Established, EstablishedLater, Early, EarlyLater]


def start_store(folder, cores):
    """It reads a socket that is there before anybody asks whether descriptors are kept."""
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        return launch.start([sys.executable, "-S", STORE], cores, stdin=notify), address


class Beside(scenarios.Scenario):
    """Another scenario, with services that differ in what they keep alone."""

    def __init__(self, inner, title, classes):
        super().__init__(GROUP, f"{title} {inner.name}", inner.metrics)
        self.inner = inner
        self.classes = classes

    def wants(self, proxy_class):
        return proxy_class in self.classes

    def measure(self, context, proxy):
        figures = self.inner.measure(context, proxy)
        if proxy.kept_sessions() and proxy.durable == OFF:
            raise launch.Failed("sessions were kept")
        return figures


class Connect(Beside):
    """With what it costs who keeps the descriptors: here a small program, else systemd.

    The store has the load's core, and frees the sockets of ended sessions there. With few sessions at a
    time the service waits for the load meanwhile; with many it is the service that limits the rate.
    """

    def __init__(self, concurrency):
        super().__init__(scenarios.Connect(concurrency), "connect", CLASSES)
        self.metrics = [*self.metrics, STORE_CPU]

    def measure(self, context, proxy):
        before = procfs.cpu_seconds([proxy.store.pid])
        figures = super().measure(context, proxy)
        spent = procfs.cpu_seconds([proxy.store.pid]) - before
        sessions = figures[scenarios.SESSIONS.key] * context.seconds
        if sessions > 0:
            figures[STORE_CPU.key] = spent * 1e6 / sessions
        return figures


class PushAndDrop(scenarios.Scenario):
    """What it costs the service's thread to keep a session and to keep it no more."""

    SESSIONS = 100_000

    def __init__(self):
        super().__init__(GROUP, "100 sessions at a time", [PUSH_CPU, DROP_CPU, PUSH_AND_DROP])

    def wants(self, proxy_class):
        return proxy_class is Established

    def measure(self, context, proxy):
        program = pathlib.Path(context.load.binary).with_name(KEEP_COST)
        sessions = 1000 if context.smoke else self.SESSIONS
        found = launch.output_of([program, str(sessions)], proxy.cores, proxy.variables)
        push, drop = json.loads(found)
        return {PUSH_CPU.key: push, DROP_CPU.key: drop, PUSH_AND_DROP.key: push + drop}


def make_all():
    two = (Off, Established)
    return [
        *(Beside(scenarios.PingPong(size, sessions), "ping-pong", two)
          for size in (64, 4096) for sessions in (1, 100)),
        *(Beside(scenarios.Bulk(direction, sessions), "bulk", two)
          for direction in ("up", "down") for sessions in (1, 16)),
        *(Connect(concurrency) for concurrency in (16, 64)),
        PushAndDrop(),
    ]
