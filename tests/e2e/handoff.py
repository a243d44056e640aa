"""Sessions that outlive the process: who keeps them and starts it again, and when it is killed."""

import json
import os
import random
import signal
import socket

import harness
import manager
import peers
import traffic
from waiting import SLOWNESS, wait_until

MB = 1_000_000
WORKERS = len(os.sched_getaffinity(0))
# What the store holds when there are no sessions: the table, the probe, the listeners' capsule, and
# of each worker the capsule that is being filled and one with pipes that wait for a session.
FEW_STORED = 3 + 2 * WORKERS
# Sockets of a process that has kept something: the inner ends of the capsules being filled.
FEW_SOCKETS = WORKERS + 1


def scaled(count):
    """Bytes or sessions that take so much longer where everything does."""
    return int(count * SLOWNESS)


class Host:
    """A service under a manager that starts it again; the moments are the same each time."""

    def __init__(self):
        self.random = random.Random(5)
        self.kills = 0
        self.early_kills = 0  # before READY=1
        self.pauses = []  # from a signal to READY=1, seconds

    # What each kind of host does in its own way.

    def stream(self, backend_port, **fields):
        """The port of a new stream to that one."""
        raise NotImplementedError

    def end(self, number=signal.SIGKILL):
        """No process until launch()."""
        raise NotImplementedError

    def launch(self):
        raise NotImplementedError

    def begin_again(self, number=signal.SIGKILL):
        """Ends the process; the next one is started or will be at once."""
        self.end(number)
        self.launch()

    def seconds_to_ready(self):
        """Waits for READY=1 of the process that runs; the time since the signal before."""
        raise NotImplementedError

    def ready_within(self, seconds):
        raise NotImplementedError

    def stored(self):
        """How many descriptors the manager keeps."""
        raise NotImplementedError

    def status(self):
        """/v1/status"""
        raise NotImplementedError

    # What all do.

    def durability(self):
        return self.status()["durability"]

    def wait_durable(self, sessions):
        wait_until(lambda: self.durability()["sessions"] >= sessions, 20,
                   f"{sessions} durable sessions")

    def wait_ready(self):
        self.pauses.append(self.seconds_to_ready())

    def again(self, number=signal.SIGKILL):
        self.begin_again(number)
        self.wait_ready()
        self.kills += 1

    def kill_during(self, process, count, most_between, number=signal.SIGKILL):
        """At moments that are `most_between` seconds apart at most, while the client runs.

        A slow machine does not manage so many, but one at least.
        """
        self._kill(process, self.kills + count, most_between, lambda: self.again(number))

    def kill_also_early(self, process, count, most_between):
        """As above, some times before it is ready as well."""
        self._kill(process, self.kills + count, most_between, self.again_also_early)

    def _kill(self, process, until, most_between, kill):
        before = self.kills
        while (self.kills < until
               and not process.ends_within(self.random.uniform(0, most_between))):
            kill()
        assert self.kills > before, f"the client ended before a kill: {process.outcome()}"

    def again_during(self, program, count, most_between):
        """Kills and restarts in turn, so many or until it ends."""
        while self.kills < count and not program.ends_within(self.random.uniform(0, most_between)):
            self.again((signal.SIGKILL, signal.SIGTERM)[self.kills % 2])

    def kill_under(self, begin, count, most_between, early=False):
        """So often, each time under a client; gives as many, one after the other, as that took."""
        clients = []
        while self.kills < count:
            clients.append(begin())
            self._kill(clients[-1], count, most_between,
                       self.again_also_early if early else self.again)
        return clients

    def again_also_early(self):
        """Every other time the next process is killed as well, before it is ready."""
        self.begin_again()
        self.kills += 1
        if self.kills % 2 and not self.ready_within(self.random.uniform(0, 0.015 * SLOWNESS)):
            self.begin_again()
            self.kills += 1
            self.early_kills += 1
        self.wait_ready()

    def check_store(self):
        """Nothing of sessions that ended is kept."""
        wait_until(lambda: self.stored() <= FEW_STORED, 10, "an almost empty store")


class HandoffService(manager.ManagedService):
    """Has more sockets at rest after it has kept something than at its first start."""

    def check_descriptors(self):
        before = self.at_ready
        try:
            self.at_ready = before._replace(sockets=before.sockets + FEW_SOCKETS)
            super().check_descriptors()
        finally:
            self.at_ready = before


class ManagedHost(Host):
    """The built binary under the stand-in of manager.py. `most` is what its store takes, `messages`
    what waits for it unread."""

    def __init__(self, directory, environment, most=4096, messages=manager.SYSTEMD_QUEUE_LENGTH,
                 binary=harness.BINARY):
        super().__init__()
        self.api = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.manager = manager.Manager(directory, most, [("api", self.api)], messages)
        self.service = HandoffService(directory / "state", peers.free_ports(10),
                                      environment=environment)
        self.service.manager = self.manager
        self.service.binary = binary
        self._ports = iter(self.service.ports)
        self.service.start()

    def close(self):
        try:
            self.service.finish()
        finally:
            self.manager.close()
            self.api.close()

    def stream(self, backend_port, **fields):
        port = next(self._ports)
        body = json.dumps({"backend": f"127.0.0.1:{backend_port}", **fields})
        reply = self.service.get(f"/v1/streams/{port}", "PUT",
                                 {"Content-Type": "application/json"}, body)
        assert reply.status == 201, reply
        return port

    def end(self, number=signal.SIGKILL):
        self.service.end(number)

    def launch(self):
        self.service.launch()

    def seconds_to_ready(self):
        return self.manager.wait_ready()

    def ready_within(self, seconds):
        return self.manager.ready_within(seconds)

    def stored(self):
        self.manager.settle()
        return self.manager.stored()

    def wait_flowing(self, port, sessions):
        """Until so many sessions of that stream have brought bytes to the backend; a page at most."""
        def flowing():
            reply = self.service.get(f"/v1/sessions?port={port}")
            assert reply.status == 200, reply
            return sum(each["bytes_in"] > 0 for each in reply.json["sessions"])

        wait_until(lambda: flowing() >= sessions, 20, f"{sessions} sessions with bytes")

    def status(self):
        reply = self.service.get("/v1/status")
        assert reply.status == 200, reply
        return reply.json


class HandoffTest(harness.EndToEnd):
    """`self.host` and `self.traffic`."""

    most = 4096  # of the store
    environment = {"DURABLE_AFTER": "0"}

    def setUp(self):
        super().setUp()
        self.traffic = traffic.Traffic()
        self.addCleanup(self.traffic.stop)
        self.host = self.make_host()

    def make_host(self):
        host = ManagedHost(self.dir, self.environment, self.most)
        self.addCleanup(host.close)
        return host

    def right(self, *processes, sessions):
        """The clients, and what the backend saw of them."""
        good = sum(traffic.assert_right(process.outcome())["good"] for process in processes)
        self.assertEqual(good, sessions)
        traffic.assert_right(self.traffic.finish(), sessions)


class Traffics:
    """What clients do while it is killed; of a test with `host`, `traffic`, `early()` and `right()`."""

    def test_slow_readers_with_megabytes_in_flight(self):
        port = self.early()
        down = self.traffic.client(port, sessions=2, down=scaled(6 * MB), receive_rate=3 * MB)
        up = self.traffic.client(port, sessions=2, up=scaled(6 * MB), modes="reply",
                                 backend_receive_rate=3 * MB)
        self.host.kill_during(down, 8, 0.1)
        self.right(down, up, sessions=4)
        self.host.check_store()

    def test_small_messages_back_and_forth_beside_bulk(self):
        port = self.early()
        bulk = self.traffic.client(port, sessions=4, up=scaled(2 * MB), down=scaled(2 * MB),
                                   rate=MB, modes="both,down-last,up-last,reply")
        talk = self.traffic.client(port, sessions=10, up=scaled(60_000), down=scaled(60_000),
                                   rate=30_000, modes="ping-pong", message=100)
        self.host.kill_during(bulk, 8, 0.1)
        self.right(bulk, talk, sessions=14)
        self.host.check_store()

    def test_a_backend_that_speaks_first_is_heard_right_at_the_kill(self):
        port = self.early(self.traffic.banner_port)
        clients = []
        for _ in range(8):
            clients.append(self.traffic.begin("client", port, sessions=10, up=20_000, down=20_000,
                                              banner=True, modes="both,ping-pong", message=1000))
            clients[-1].ends_within(self.host.random.uniform(0, 0.02))
            self.host.again()
        outcomes = [client.outcome() for client in clients]
        self.assertEqual(sum(outcome["wrong"] for outcome in outcomes), 0, outcomes)
        # In the instant of its accept a session is not kept yet: the slower all is, the longer.
        self.assertLessEqual(sum(outcome["bad"] for outcome in outcomes), SLOWNESS, outcomes)
        self.assertEqual(self.traffic.finish()["wrong"], 0)
        self.host.check_store()
