#!/usr/bin/env python3
"""Sessions outlive a kill between any two steps of keeping them; needs -Dkill_points=true.

The places are SC_KILL_POINT in the sources: one that no scenario here reaches is a failure. SC_PART=0/3 in the
environment has the first of three parts of them.
"""

import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import unittest

import handoff
import harness
import peers
from waiting import SLOWNESS, wait_until

KB = 1000
MB = 1_000_000
WORKERS = 2
POINT = re.compile(r'\bSC_KILL_POINT\("(\w+)"\)')

# Passed in a life that takes over from a former one, and before it is ready or right after.
RECOVERY = {"inherited", "probing", "capsule_seen", "looked", "missing_ended", "slots_freed",
            "pipes_given", "copies_finished", "recovered", "resuming", "resumed", "listeners_ended",
            "client_of_removed", "ended_of_removed", "dialing_ended"}
HANDING_OVER = {"handing_over", "left"}  # upon SIGTERM
FIRST_START = {"table_stored"}
MANY_PIPES = {"pipe_slot", "pipe_kept", "pipe_freed", "pipe_dropped"}  # a worker keeps 16 at rest
# Of a message that its sink took in part.
PARTS = {"rest_claimed", "rest_written", "copy_over"}
# Passed in a life that takes over from one that was killed in the middle of a message, or of a dial.
AFTER = {**dict.fromkeys(("saved_claimed", "saved", "copy_finished"), "copied_in:300"),
         "dialing_ended": "reaching:30"}
LATE = {"half_claimed"}  # worth a look when a session is kept that has moved bytes
# Passed so often that a later time is another situation.
FREQUENT = {"accepted": 30, "slot": 20, "push": 150, "pushed": 150, "kept": 40, "replaced": 20,
            "reaching": 30, "reached": 30,
            "claimed": 25, "half_claimed": 5, "spliced_in": 40, "spliced_out": 60, "ended": 15,
            "freed": 30, "dropped": 50, "moving": 3, "capsule_seen": 3, "resuming": 5,
            "handing_over": 6, "copy_begun": 300, "copied_in": 300, "copy_noted": 200,
            "copied_out": 300}
DRIPPED = random.Random(5).randbytes(8 * MB)


def points():
    """All of the sources, each with a name of its own."""
    names = [name for path in sorted((harness.ROOT / "src").rglob("*.cc"))
             for name in POINT.findall(path.read_text(encoding="utf-8"))]
    assert len(names) == len(set(names)), f"one name at two places: {sorted(names)}"
    return names


class Disturber:
    """Creates a stream, has sessions of it that break in their ways, and removes it; over and over.

    A thread, as a request that the process did not take waits for the next one.
    """

    def __init__(self, service, port, backend, crowd=None):
        self.service, self.port, self.backend = service, port, backend
        self.crowd = crowd  # the port of a stream whose backend sends more than a client takes
        self.cut = []  # clients of the removed stream
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ending.is_set():
            try:
                self._once()
            except (OSError, http.client.HTTPException):
                self._ending.wait(0.005)  # it was killed

    def _once(self):
        path = f"/v1/streams/{self.port}"
        body = json.dumps({"backend": self.backend, "durable": "early"})
        self.service.get(path, "PUT", {"Content-Type": "application/json"}, body)
        self._reset()
        self._flood()
        if self.crowd:
            self._gather()
        self.service.get(path + "?drain=0", "DELETE")

    def _reset(self):
        """A client that goes by a reset."""
        with peers.connect(self.port) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) in (b"x", b"")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _flood(self):
        """A client that sends until nobody takes more, and reads nothing: bytes wait in pipes."""
        sock = peers.connect(self.port)
        self.cut.append(sock)
        sock.settimeout(0.02)
        try:
            while True:
                sock.sendall(bytes(256 * KB))
        except TimeoutError:
            pass
        except OSError:
            self.cut.remove(sock)  # it was told while it sent
            sock.close()
            raise

    def _gather(self):
        """More clients than a worker has pipes at rest, each with bytes that wait in one."""
        with contextlib.ExitStack() as stack:
            clients = []
            for _ in range(40 * WORKERS):
                sock = stack.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.connect(("127.0.0.1", self.crowd))
                clients.append(sock)
            for sock in clients:
                sock.settimeout(peers.PATIENCE)
                sock.recv(1)
            self._ending.wait(0.1)
            for sock in clients:
                peers.reset(sock)

    def stop(self):
        self._ending.set()

    def end(self):
        """Once a process is there that answers; the stream is removed at last."""
        self.stop()
        self._thread.join(60 * SLOWNESS)
        assert not self._thread.is_alive()
        reply = self.service.get(f"/v1/streams/{self.port}?drain=0", "DELETE")
        assert reply.status in (200, 204, 404), reply

    def check_cut(self):
        """No session of the removed stream is left, and none looked like a whole one."""
        for sock in self.cut:
            sock.settimeout(peers.PATIENCE)
            try:
                while sock.recv(MB):
                    pass
                raise AssertionError("an orderly end of a session that was cut")
            except ConnectionResetError:
                pass
            finally:
                sock.close()


class Matrix(handoff.HandoffTest):
    environment = {"DURABLE_AFTER": "100ms", "WORKERS": str(WORKERS)}

    def setUp(self):
        super().setUp()
        self.echo = self.backend(peers.echo)
        self.early = self.host.stream(self.traffic.port, durable="early")
        # Kept without the socket that its backend is dialled by, as the name is looked up first.
        self.named = self.host.stream(self.traffic.port, durable="early",
                                      backend=f"localhost:{self.traffic.port}")
        self.established = self.host.stream(self.traffic.port)
        self.echoed = self.host.stream(self.echo.port, durable="early")
        more = self.backend(peers.says(bytes(8 * MB)))
        self.crowded = self.host.stream(more.port, durable="early")
        dripping = self.backend(peers.drips(DRIPPED, 8 * KB, 0.001 * SLOWNESS))
        self.dripped = self.host.stream(dripping.port, durable="early")
        self.gone = self.host.stream(self.traffic.port, durable="early")
        self.unsteady = self.host.stream(self.echo.port, durable="early")

    # Sessions.

    def begin_old(self):
        """Sessions that are kept before the process that is killed begins; all must be right."""
        kinds = [
            (5, self.early, {"up": 200 * KB, "down": 200 * KB, "message": 500,
                             "rate": int(300 * KB / SLOWNESS),
                             "modes": "both,down-last,up-last,reply,ping-pong"}),
            (2, self.early, {"down": 12 * MB, "receive_rate": int(16 * MB / SLOWNESS)}),
            (2, self.established, {"up": 12 * MB, "modes": "reply",
                                   "backend_receive_rate": int(16 * MB / SLOWNESS)}),
        ]
        old = {self.traffic.begin("client", port, sessions=sessions, **options): sessions
               for sessions, port, options in kinds}
        for process in old:
            process.line()  # all are connected
        return old

    def begin_old_until_kept(self):
        """Where the host is slow, some may end before the others are kept."""
        for _ in range(5):
            old = self.begin_old()
            all_kept = sum(old.values())
            wait_until(lambda: self.host.durability()["sessions"] >= all_kept
                       or any(process.ends_within(0) for process in old), 20, "durable sessions")
            if self.host.durability()["sessions"] >= all_kept:
                return old
            for process, sessions in old.items():
                handoff.traffic.assert_right(process.outcome(), sessions)
        self.fail("sessions end before all are kept")

    def begin_new(self, name):
        """Sessions that may be killed before they are kept, and end then."""
        size, pace = (16 * MB, 10 * MB) if name in LATE else (2 * MB, 8 * MB)
        young = self.traffic.begin("client", self.established, sessions=6, up=size, down=size,
                                   receive_rate=int(pace / SLOWNESS),
                                   backend_receive_rate=int(pace / SLOWNESS))
        if name in LATE:
            return [(young, 6)]
        # Of those that are kept early: the one that each worker was about to keep.
        short = [(self.traffic.begin("rate", port, per_second=per_second, seconds=0.5 * SLOWNESS),
                  WORKERS) for port, per_second in ((self.early, 300), (self.named, 100))]
        return [*short, (young, 6)]

    def urgent(self):
        sock = self.client(self.echoed)
        sock.sendall(b"hi")
        self.assertEqual(peers.read_exactly(sock, 2), b"hi")
        return sock

    def begin_full(self):
        """Clients that let small messages come and read none, so that one is taken in part."""
        clients = []
        for _ in range(6):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(peers.PATIENCE)
            sock.connect(("127.0.0.1", self.dripped))
            clients.append(sock)
        wait_until(lambda: self.active(self.dripped) == len(clients), 20, "sessions of messages")
        return clients

    # Lives of the service.

    def launch(self, point=None):
        self.host.service.environment.pop("SC_KILL_AT", None)
        if point:
            self.host.service.environment["SC_KILL_AT"] = point
        self.host.launch()

    def wait_killed(self, seconds=0.0):
        """Has it killed itself?"""
        process = self.host.service.process
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self.host.service.check_reports()
        self.assertEqual(code, -signal.SIGKILL, self.host.service.log())
        return True

    def live_until(self, point, new):
        """A process under traffic that is killed at that point."""
        self.launch(point)
        name = point.partition(":")[0]
        if name in HANDING_OVER:
            self.host.wait_ready()
            self.host.manager.child.send_signal(signal.SIGTERM)
        for _ in range(8):
            beside = self.begin_new(name)
            new += beside
            while not all(process.ends_within(0) for process, _ in beside):
                if self.wait_killed(0.02):
                    return
        self.fail(f"{point} was not reached:\n{self.host.service.log()[-2000:]}")

    def remove_row(self, port):
        connection = sqlite3.connect(self.host.service.database)
        with connection:
            connection.execute("DELETE FROM streams WHERE port = ?", (port,))
        connection.close()

    def active(self, port):
        return self.host.service.get(f"/v1/streams/{port}").json["sessions_active"]

    def put(self, port):
        body = json.dumps({"backend": f"127.0.0.1:{self.traffic.port}", "durable": "early"})
        reply = self.host.service.get(f"/v1/streams/{port}", "PUT",
                                      {"Content-Type": "application/json"}, body)
        self.assertIn(reply.status, (200, 201), reply)

    def killed_at(self, point, lives=1):
        name = point.partition(":")[0]
        if name in FIRST_START:
            self.host.end()
            self.host.manager.drop_store()
            self.launch(point)
            self.assertTrue(self.wait_killed(20 * SLOWNESS), f"{point} was not reached")
            self.launch()
            self.host.wait_ready()
            return
        old = self.begin_old_until_kept()
        if name in HANDING_OVER:
            old[self.traffic.hold(self.early, 6)] = 6  # so many at least are handed over
        urgent = self.urgent()
        full = self.begin_full() if name in PARTS else []
        gone = None
        if name in RECOVERY:
            self.put(self.gone)
            gone = self.traffic.client(self.gone, sessions=3, up=20 * MB, down=20 * MB,
                                       receive_rate=2 * MB, backend_receive_rate=2 * MB)
            wait_until(lambda: self.active(self.gone) == 3, 20, "sessions to be removed")
        self.host.end()
        if gone:
            self.remove_row(self.gone)
        disturber = Disturber(self.host.service, self.unsteady, self.echo.address,
                              self.crowded if name in MANY_PIPES else None)
        self.addCleanup(disturber.stop)
        new = []
        urgent.sendall(b"ab")
        urgent.send(b"!", socket.MSG_OOB)
        urgent.sendall(b"cd")
        for sock in full:
            sock.sendall(b"!")
        for _ in range(lives):
            if name in AFTER:
                self.live_until(AFTER[name], new)
            self.live_until(point, new)
        self.launch()
        self.host.wait_ready()
        disturber.end()
        disturber.check_cut()
        self.assertEqual(peers.read_exactly(urgent, 5), b"ab!cd")
        urgent.close()
        for sock in full:
            self.assertTrue(peers.read_all(sock) == DRIPPED, "something else than was sent")
            sock.close()
        for process, sessions in old.items():
            handoff.traffic.assert_right(process.outcome(), sessions)
        if gone:
            self.check_gone(gone.outcome())
        for process, most_bad in new:
            outcome = process.outcome()
            self.assertEqual(outcome["wrong"], 0, outcome)
            self.assertLessEqual(outcome["bad"], most_bad * lives, outcome)
        self.host.check_store()
        self.host.service.check_descriptors()

    def check_gone(self, outcome):
        """Their stream was removed meanwhile: none goes on, and none ends as if it were whole."""
        self.assertEqual((outcome["bad"], outcome["wrong"]), (3, 0), outcome)
        for error in outcome["errors"]:
            self.assertRegex(error, "ECONNRESET|EPIPE", outcome)
        self.assertFalse(peers.accepts(self.gone))

def killed_at_each(name):
    def test(self):
        for count in sorted({1, FREQUENT.get(name, 1)}):
            with self.subTest(count=count):
                self.killed_at(f"{name}:{count}", lives=2 if name in RECOVERY else 1)
        self.assertEqual(self.traffic.finish()["wrong"], 0)

    return test


part, parts = map(int, os.environ.get("SC_PART", "0/1").split("/"))
assert 0 <= part < parts, "there is no such part"
for point in points()[part::parts]:
    setattr(Matrix, f"test_a_kill_at_{point}_loses_nothing", killed_at_each(point))


if __name__ == "__main__":
    harness.main()
