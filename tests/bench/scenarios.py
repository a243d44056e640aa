"""What is done with each proxy and what is read off meanwhile."""

import collections
import contextlib
import select

import launch
import procfs

GIB = 1 << 30
WORKER_THREADS = "worker-"  # what their names begin with: src/relay/worker.cc
LOAD_MARGIN = 5  # seconds that what runs beside a measurement may last longer

# `digits` after the point; `more` is true where more is better, None where neither is.
Metric = collections.namedtuple("Metric", "key title digits more")

THROUGHPUT = Metric("throughput", "GiB/s", 2, True)
CPU_PER_GIB = Metric("cpu_per_gib", "CPU s per GiB", 3, False)
GIB_PER_CPU = Metric("gib_per_cpu", "GiB per CPU s", 2, True)
REQUESTS = Metric("requests", "requests/s", 0, True)
P50 = Metric("p50", "p50 µs", 0, False)
P99 = Metric("p99", "p99 µs", 0, False)
CPU_PER_REQUEST = Metric("cpu_per_request", "CPU µs per request", 2, False)
SESSIONS = Metric("sessions", "sessions/s", 0, True)
CPU_PER_SESSION = Metric("cpu_per_session", "CPU µs per session", 1, False)
MEMORY = Metric("memory", "KiB per session", 2, False)
BESIDE = Metric("beside", "bulk beside it, GiB/s", 2, True)
CREATE_P50 = Metric("create_p50", "create p50 µs", 0, False)
CREATE_P99 = Metric("create_p99", "create p99 µs", 0, False)
CREATES = Metric("creates", "creates/s", 0, True)
REMOVE_P50 = Metric("remove_p50", "remove p50 µs", 0, False)
LIST_P50 = Metric("list_p50", "list p50 µs", 0, False)
BUSIEST = Metric("busiest", "of the workers' CPU, the busiest one's, %", 0, None)


class Context:
    """The load, and how much of it: less in a smoke run, where bytes are looked at in its place."""

    def __init__(self, load, seconds, smoke):
        self.load = load
        self.seconds = seconds
        self.smoke = smoke
        self.idle_sessions = 50 if smoke else 3000
        self.streams = 10 if smoke else 100
        self.notes = []

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)


class Scenario:
    """`measure` gives {metric key: value}; `fresh` ones want a proxy that did nothing before."""

    fresh = False
    only_ours = False

    def __init__(self, group, name, metrics):
        self.group, self.name, self.metrics = group, name, metrics

    def measure(self, context, proxy):
        raise NotImplementedError

    def wants(self, proxy_class):
        return True


class Bulk(Scenario):
    def __init__(self, direction, sessions):
        super().__init__("bulk", f"{direction}, {sessions} session" + "s" * (sessions > 1),
                         [THROUGHPUT, CPU_PER_GIB, GIB_PER_CPU])
        self.direction, self.sessions = direction, sessions

    def measure(self, context, proxy):
        if context.smoke:
            amount = {"bytes": 8_388_617 // self.sessions, "verify": True}
        else:
            amount = {"seconds": context.seconds}
        before = procfs.cpu_seconds(proxy.pids())
        found = context.load.run(
            "bulk", proxy.ports["sink" if self.direction == "up" else "source"],
            direction=self.direction, sessions=self.sessions, **amount)
        spent = procfs.cpu_seconds(proxy.pids()) - before
        if context.smoke and found["bytes"] != self.sessions * amount["bytes"]:
            raise launch.Failed(f"{found['bytes']} bytes arrived")
        figures = {THROUGHPUT.key: found["bytes_per_second"] / GIB}
        if spent > 0:
            figures[CPU_PER_GIB.key] = spent / (found["bytes"] / GIB)
            figures[GIB_PER_CPU.key] = found["bytes"] / GIB / spent
        return figures


class PingPong(Scenario):
    def __init__(self, size, sessions, group="pingpong"):
        title = f"{size} B" if size < 1024 else f"{size // 1024} KiB"
        super().__init__(group, f"{title}, {sessions} session" + "s" * (sessions > 1),
                         [REQUESTS, P50, P99, CPU_PER_REQUEST])
        self.size, self.sessions = size, sessions

    def measure(self, context, proxy):
        sessions = min(self.sessions, 100) if context.smoke else self.sessions
        before = procfs.cpu_seconds(proxy.pids())
        found = context.load.run("ping-pong", proxy.ports["echo"], size=self.size,
                                 sessions=sessions, seconds=context.seconds)
        spent = procfs.cpu_seconds(proxy.pids()) - before
        figures = {REQUESTS.key: found["requests_per_second"], P50.key: found["p50_us"],
                   P99.key: found["p99_us"]}
        if spent > 0:
            figures[CPU_PER_REQUEST.key] = spent * 1e6 / found["exchanges"]
        return figures


class Connect(Scenario):
    def __init__(self, concurrency=16):
        super().__init__("connect", f"64 B, {concurrency} at a time",
                         [SESSIONS, P99, CPU_PER_SESSION])
        self.concurrency = concurrency

    def measure(self, context, proxy):
        before = procfs.cpu_seconds(proxy.pids())
        found = context.load.run("connect", proxy.ports["echo"], size=64,
                                 concurrency=self.concurrency, seconds=context.seconds)
        spent = procfs.cpu_seconds(proxy.pids()) - before
        figures = {SESSIONS.key: found["sessions_per_second"], P99.key: found["p99_us"]}
        if spent > 0:
            figures[CPU_PER_SESSION.key] = spent * 1e6 / found["started"]
        return figures


class Idle(Scenario):
    fresh = True
    DESCRIPTORS = 6  # of a session: two sockets and, with systemd-socket-proxyd, two pipes

    def __init__(self):
        super().__init__("idle", "after one exchange each", [MEMORY])

    def wants(self, proxy_class):
        return proxy_class.name != "direct"

    def measure(self, context, proxy):
        room = (launch.descriptor_limit() - 200) // self.DESCRIPTORS
        sessions = min(context.idle_sessions, room)
        if sessions < context.idle_sessions:
            context.note(f"Idle: {sessions} sessions, for the limit of "
                         f"{launch.descriptor_limit()} descriptors.")
        context.load.run("idle", proxy.ports["echo"], sessions=1)  # what the first one sets up
        before = procfs.resident_bytes(proxy.pids())
        process = context.load.begin("idle", proxy.ports["echo"], sessions=sessions)
        try:
            if not select.select([process.stdout], [], [], 60)[0]:
                raise launch.Failed("the idle sessions do not come to be")
            after = procfs.resident_bytes(proxy.pids())
            context.load.finish(process)
        finally:
            launch.stop([process])
        return {MEMORY.key: (after - before) / 1024 / sessions}


class Fairness(Scenario):
    def __init__(self):
        super().__init__("fairness", "64 B, 100 sessions beside one of bulk down",
                         [REQUESTS, P50, P99, BESIDE])

    def measure(self, context, proxy):
        bulk = context.load.begin("bulk", proxy.ports["source"], direction="down", sessions=1,
                                  seconds=context.seconds + LOAD_MARGIN, until_input_ends=True)
        try:
            found = context.load.run("ping-pong", proxy.ports["echo"], size=64, sessions=100,
                                     seconds=context.seconds)
            beside = context.load.finish(bulk)
        finally:
            launch.stop([bulk])
        return {REQUESTS.key: found["requests_per_second"], P50.key: found["p50_us"],
                P99.key: found["p99_us"], BESIDE.key: beside["bytes_per_second"] / GIB}


class Api(Scenario):
    CONCURRENCY = 50

    def __init__(self):
        super().__init__("api", "create, list, remove",
                         [CREATE_P50, CREATE_P99, CREATES, REMOVE_P50, LIST_P50])

    def wants(self, proxy_class):
        return hasattr(proxy_class, "API_PORTS")

    def measure(self, context, proxy):
        options = {"backend": f"127.0.0.1:{context.load.ports['echo']}",
                   "first_port": proxy.first_api_stream, "count": context.streams, "lists": 20}
        alone = context.load.run("api", proxy.api_port, concurrency=1, **options)
        many = context.load.run("api", proxy.api_port, concurrency=self.CONCURRENCY, **options)
        return {CREATE_P50.key: alone["create_p50_us"], CREATE_P99.key: alone["create_p99_us"],
                CREATES.key: many["creates_per_second"], REMOVE_P50.key: alone["remove_p50_us"],
                LIST_P50.key: alone["list_p50_us"]}


class Balance(Scenario):
    """Another scenario, and how evenly the threads of stream-conductor's workers shared it."""

    def __init__(self, inner, title):
        super().__init__(WORKERS, f"{title} {inner.name}", [*inner.metrics, BUSIEST])
        self.inner = inner

    def measure(self, context, proxy):
        [pid] = proxy.pids()
        before = procfs.cpu_seconds_by_thread(pid, WORKER_THREADS)
        figures = self.inner.measure(context, proxy)
        after = procfs.cpu_seconds_by_thread(pid, WORKER_THREADS)
        if len(after) != proxy.workers:
            raise launch.Failed(f"{proxy.workers} workers have {len(after)} threads")
        spent = [after[name] - before[name] for name in after]
        if sum(spent) > 0:
            figures[BUSIEST.key] = 100 * max(spent) / sum(spent)
        return figures


def make_all():
    return [
        *(Bulk(direction, sessions) for direction in ("up", "down") for sessions in (1, 16)),
        *(PingPong(size, sessions) for size in (64, 4096) for sessions in (1, 100)),
        Connect(),
        Idle(),
        Fairness(),
        Api(),
        PingPong(64, 1000, group="scale"),
        Balance(Bulk("up", 16), "bulk"),
        Balance(PingPong(64, 100), "ping-pong"),
        Balance(Connect(), "connect"),
    ]


WORKERS = "workers"  # shares its cores with the load, so it is measured by itself
GROUPS = ("bulk", "pingpong", "connect", "idle", "fairness", "api", "scale")


@contextlib.contextmanager
def running(proxy):
    try:
        yield proxy.start()
    finally:
        proxy.stop()
