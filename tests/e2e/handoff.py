"""Tests of sessions that outlive the process: the service, who starts it again, and when it is killed."""

import collections
import json
import random
import signal
import socket

import harness
import manager
import peers
import traffic
from waiting import SLOWNESS, wait_until

# What the store holds when there are no sessions: the table, and for each worker and for the listeners
# the capsule that is being filled and the one before it.
FEW_STORED = 12
# Descriptors that a process which was handed sessions has beside one that was not: its capsules.
FEW_DESCRIPTORS = 24


class HandoffService(manager.ManagedService):
    """Has more descriptors at rest after it was given some than at its first start."""

    def check_descriptors(self):
        before = self.at_ready
        try:
            self.at_ready = before._replace(sockets=before.sockets + FEW_DESCRIPTORS,
                                            others=before.others + FEW_DESCRIPTORS,
                                            listeners=before.listeners)
            super().check_descriptors()
        finally:
            self.at_ready = before


class HandoffTest(harness.EndToEnd):
    """A service under a manager of the test's own, and traffic; `self.random` is the same each time."""

    most = 4096  # of the store
    environment = {"DURABLE_AFTER": "0"}

    def setUp(self):
        super().setUp()
        self.random = random.Random(5)
        self.kills = 0
        self.early_kills = 0  # before READY=1
        self.pauses = []  # from a signal to READY=1, seconds
        self.traffic = traffic.Traffic()
        self.addCleanup(self.traffic.stop)
        self.start_host()

    # The service; tests of something else than this binary have these anew.

    def start_host(self):
        api = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.addCleanup(api.close)
        self.manager = manager.Manager(self.dir, self.most, [("api", api)])
        self.addCleanup(self.manager.close)
        self.service = HandoffService(self.dir / "state", peers.free_ports(10),
                                      environment=self.environment)
        self.service.manager = self.manager
        self.addCleanup(self.service.finish)
        self.service.start()
        self._ports = iter(self.service.ports)

    def stream(self, backend_port, **fields):
        """A new stream to that port; its own."""
        port = next(self._ports)
        body = json.dumps({"backend": f"127.0.0.1:{backend_port}", **fields})
        reply = self.service.get(f"/v1/streams/{port}", "PUT",
                                 {"Content-Type": "application/json"}, body)
        self.assertEqual(reply.status, 201, reply)
        return port

    def begin_again(self, number=signal.SIGKILL):
        self.service.begin_again(number)

    def end(self, number=signal.SIGKILL):
        """No process until launch()."""
        self.manager.end(number)

    def launch(self):
        self.service.launch()
        self.wait_ready()

    def ready_within(self, seconds):
        return self.manager.ready_within(seconds)

    def wait_ready(self):
        self.pauses.append(self.manager.wait_ready())

    def stored(self):
        self.manager.settle()
        return self.manager.stored()

    def durability(self):
        reply = self.service.get("/v1/status")
        self.assertEqual(reply.status, 200, reply)
        return reply.json["durability"]

    def wait_durable(self, sessions):
        wait_until(lambda: self.durability()["sessions"] >= sessions, 20,
                   f"{sessions} durable sessions")

    # What all of them do.

    def again(self, number=signal.SIGKILL):
        self.begin_again(number)
        self.wait_ready()
        self.kills += 1

    def kill_during(self, process, count, most_between, number=signal.SIGKILL):
        """At moments that are `most_between` seconds apart at most, while the client runs."""
        for _ in range(count):
            self.assertFalse(process.ends_within(self.random.uniform(0, most_between)),
                             f"the client ended after {self.kills} kills: too early")
            self.again(number)

    def kill_also_early(self, process, count, most_between):
        """As above; every other time the next process is killed as well, before it is ready."""
        while self.kills < count:
            self.assertFalse(process.ends_within(self.random.uniform(0, most_between)),
                             f"the client ended after {self.kills} kills: too early")
            self.begin_again()
            self.kills += 1
            if self.kills % 2 and not self.ready_within(self.random.uniform(0, 0.015 * SLOWNESS)):
                self.begin_again()
                self.kills += 1
                self.early_kills += 1
            self.wait_ready()

    def right(self, *processes, sessions=None):
        """The clients, and what the backend saw of them."""
        good = sum(traffic.assert_right(process.outcome())["good"] for process in processes)
        backend = traffic.assert_right(self.traffic.finish())
        self.assertEqual(backend["good"], good)
        if sessions is not None:
            self.assertEqual(good, sessions)

    def check_store(self):
        """Nothing of sessions that ended is kept."""
        try:
            wait_until(lambda: self.stored() <= FEW_STORED, 10, "an almost empty store")
        except AssertionError:
            raise AssertionError(f"the store keeps {self.stored_names()}") from None

    def stored_names(self):
        return collections.Counter(self.manager.names())
