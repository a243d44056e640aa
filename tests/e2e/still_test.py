#!/usr/bin/env python3
"""What stands still holds up nothing else: a service manager that does not read, a worker thread that
does not run, a whole process that was paused."""

import contextlib
import json
import signal
import socket
import time

import handoff
import harness
import peers
from stopped_thread import StoppedThread
from waiting import SLOWNESS, wait_until

# A stopped worker is noticed after 3 s, src/liveness.h.
NOTICED = 15


def echoes(port, text=b"still here"):
    """Whether a client of the port is served within a moment."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2 * SLOWNESS) as sock:
            sock.sendall(text)
            return peers.read_exactly(sock, len(text)) == text
    except OSError:
        return False


class Managed(harness.EndToEnd):
    """`self.host`, whose manager takes 10 messages unread."""

    environment = {"DURABLE_AFTER": "0"}

    def setUp(self):
        super().setUp()
        self.host = handoff.ManagedHost(self.dir, self.environment, messages=10)
        self.addCleanup(self.host.close)


class ManagerThatDoesNotRead(Managed):

    def not_durable(self):
        return self.host.durability()["not_durable"]["no_store"]

    def fill(self, port):
        """Sessions come and go until the manager's socket is full; all of them are served."""
        before = self.not_durable()
        served = 0
        while self.not_durable() == before:
            for _ in range(50):
                self.assertTrue(echoes(port))
                served += 1
            self.assertLess(served, 20_000, "the manager's socket is never full")
        return served

    def setUp(self):
        super().setUp()
        self.port = self.host.stream(self.backend(peers.echo).port, durable="early")
        self.addCleanup(self.host.manager.read_again)

    def test_sessions_and_api_go_on_and_the_store_is_right_again_once_it_reads(self):
        with contextlib.ExitStack() as stack:
            old = [stack.enter_context(self.client(self.port)) for _ in range(20)]
            self.host.wait_durable(len(old))
            self.host.manager.stop_reading()
            self.fill(self.port)
            for sock in old:
                sock.sendall(b"old")
                self.assertEqual(peers.read_exactly(sock, 3), b"old")
            for _ in range(300):
                self.assertTrue(echoes(self.port))
            other = self.host.stream(self.backend(peers.echo).port)
            self.assertTrue(echoes(other))
            self.host.manager.read_again()
            wait_until(lambda: self.host.durability()["sessions"] >= len(old), 10, "the old ones")
            wait_until(lambda: self._is_new_durable(stack, len(old)), 10, "a durable new session")
            # They outlive a kill, also those that were there while it did not read.
            self.host.again()
            for sock in old:
                sock.sendall(b"kept")
                self.assertEqual(peers.read_exactly(sock, 4), b"kept")
        self.host.check_store()

    def _is_new_durable(self, stack, before):
        sock = stack.enter_context(self.client(self.port))
        sock.sendall(b"x")
        self.assertEqual(peers.read_exactly(sock, 1), b"x")
        return self.host.durability()["sessions"] > before

    def test_a_stop_ends_in_time_and_says_what_was_not_handed_over(self):
        with self.client(self.port) as sock:
            self.host.wait_durable(1)
            self.host.manager.stop_reading()
            self.fill(self.port)
            self.host.service.stop()
            line = self.host.service.wait_for_line("handed over")
            self.assertGreaterEqual(int(line.fields["kept"]), 1)
            self.host.service.wait_for_line(
                "the service manager does not read its messages, the process ends without them")
            self.host.manager.read_again()
            self.host.launch()
            self.host.wait_ready()
            sock.sendall(b"kept")
            self.assertEqual(peers.read_exactly(sock, 4), b"kept")
        self.host.check_store()


class StoppedWorker(Managed):
    """One of two workers stands still."""

    environment = harness.LEAVES_THREADS | {
        "DURABLE_AFTER": "0", "WORKERS": "2", "WATCHDOG_USEC": "1000000"}

    def setUp(self):
        super().setUp()
        self.service = self.host.service
        self.echo = self.backend(peers.echo).port

    def stop_worker(self, name="worker-1"):
        return StoppedThread(self.service.pid, name)

    def ready(self):
        return self.service.get("/readyz")

    def silence(self, thread):
        text = self.service.get("/metrics").body.decode()
        found = [line for line in text.splitlines()
                 if line.startswith(f'stream_conductor_thread_silent_seconds{{thread="{thread}"}}')]
        return float(found[0].split()[-1])

    def wait_noticed(self):
        wait_until(lambda: self.ready().status == 503, NOTICED, "503 of /readyz")

    def test_it_is_named_fed_to_no_watchdog_and_gets_no_work(self):
        streams = [self.host.stream(self.echo) for _ in range(2)]  # one of each worker
        with self.stop_worker():
            # Before it is noticed: a create answers when a worker accepts.
            for _ in range(2):
                self.assertTrue(echoes(self.host.stream(self.echo)))
            began = time.monotonic()
            listed = self.service.get("/v1/sessions").json
            self.assertLess(time.monotonic() - began, 5 * SLOWNESS)
            self.assertEqual(listed["missing_workers"], ["worker-1"])
            self.wait_noticed()
            self.assertIn("worker-1", self.ready().body.decode())
            degraded = self.service.get("/v1/status").json["degraded"]
            self.assertIn("worker-1", json.dumps(degraded))
            # Its listeners have moved.
            for port in streams:
                wait_until(lambda port=port: echoes(port), 10, f"clients of {port} are served")
            for _ in range(20):
                self.assertTrue(echoes(streams[0]) and echoes(streams[1]))
            beats = self.host.manager.beats
            silent = self.silence("worker-1")
            wait_until(lambda: self.silence("worker-1") > silent + 2, 10, "2 s more of silence")
            self.assertEqual(self.host.manager.beats, beats)
            self.assertEqual(self.silence("worker-0"), 0)
        wait_until(lambda: self.ready().status == 200, NOTICED, "200 of /readyz")
        wait_until(lambda: self.host.manager.beats > beats, 10, "a sign of life")
        self.assertEqual(self.service.get("/v1/sessions").json["missing_workers"], [])
        for port in streams:
            self.assertTrue(echoes(port))

    def test_clients_that_were_sent_to_it_are_served_by_another_worker(self):
        port = self.host.stream(self.echo)
        with self.stop_worker(), contextlib.ExitStack() as stack:
            socks = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                     for _ in range(20)]
            for sock in socks:
                sock.sendall(b"hello")
            for sock in socks:
                self.assertEqual(peers.read_exactly(sock, 5), b"hello")

    def test_streams_of_it_are_removed_and_created_again(self):
        ports = [self.host.stream(self.echo) for _ in range(2)]
        with self.stop_worker():
            for port in ports:
                reply = self.service.get(f"/v1/streams/{port}", "DELETE")
                self.assertEqual(reply.status, 204, reply)
                self.assertFalse(peers.accepts(port))
                body = json.dumps({"backend": f"127.0.0.1:{self.echo}"})
                reply = self.service.get(f"/v1/streams/{port}", "PUT",
                                         {"Content-Type": "application/json"}, body)
                self.assertEqual(reply.status, 201, reply)
                # A client may have been sent to it before it was noticed.
                wait_until(lambda port=port: echoes(port), 10, "a client that is served")
        for port in ports:
            self.assertTrue(echoes(port))

    def test_inquiries_about_its_sessions_fail_in_time(self):
        port = self.host.stream(self.echo)
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                sock = stack.enter_context(self.client(port))
                sock.sendall(b"x")
                peers.read_exactly(sock, 1)
            ids = [int(each["id"]) for each in self.service.get("/v1/sessions").json["sessions"]]
            mine = [each for each in ids if each % 256 == 1]
            others = [each for each in ids if each % 256 == 0]
            self.assertTrue(mine and others)
            with self.stop_worker():
                for method in ("GET", "DELETE"):
                    reply = self.service.get(f"/v1/sessions/{mine[0]}", method)
                    self.assertEqual(reply.status, 503, reply)
                    self.assertIn("worker-1", reply.json["detail"])
                listed = self.service.get("/v1/sessions").json
                self.assertEqual({int(each["id"]) for each in listed["sessions"]}, set(others))
                self.assertEqual(self.service.get(f"/v1/sessions/{others[0]}").status, 200)

    def test_sigterm_ends_the_process_and_its_durable_sessions_go_on(self):
        port = self.host.stream(self.echo, durable="early")
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(self.client(port)) for _ in range(6)]
            self.host.wait_durable(len(socks))
            with self.stop_worker("worker-0"):
                began = time.monotonic()
                self.service.stop(seconds=20)
                self.assertLess(time.monotonic() - began, 15 * SLOWNESS)
            self.service.wait_for_line("a thread does not end, the process ends without it",
                                       thread="worker-0")
            self.host.launch()
            self.host.wait_ready()
            for sock in socks:
                sock.sendall(b"kept")
                self.assertEqual(peers.read_exactly(sock, 4), b"kept")


class Undurable(harness.EndToEnd):
    """Without a service manager."""

    def test_a_drain_at_sigterm_ends_although_a_worker_stands_still(self):
        service = self.start_service(flags={"workers": 2, "drain-timeout": "1s"},
                                     environment=harness.LEAVES_THREADS)
        port = service.create(service.ports[0], f"127.0.0.1:{self.backend(peers.echo).port}")
        with self.client(port) as sock, StoppedThread(service.pid, "worker-0"):
            sock.sendall(b"x")
            service.stop(seconds=20)
        service.wait_for_line("a thread does not end, the process ends without it",
                              thread="worker-0")


class PausedProcess(harness.EndToEnd):
    """SIGSTOP and SIGCONT, as a virtual machine or a debugger does."""

    @contextlib.contextmanager
    def paused(self, service):
        service.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: self.state(service) == "T", 10, "a stopped process")
            yield
        finally:
            service.process.send_signal(signal.SIGCONT)

    @staticmethod
    def state(service):
        with open(f"/proc/{service.pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def test_sessions_whose_peers_spoke_during_a_pause_are_not_idle(self):
        service = self.start_service(flags={"idle-timeout": "1s"})
        port = service.create(service.ports[0], f"127.0.0.1:{self.backend(peers.echo).port}")
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(self.client(port)) for _ in range(300)]
            for sock in socks:
                sock.sendall(b"a")
                self.assertEqual(peers.read_exactly(sock, 1), b"a")
            until = time.monotonic() + 1.5 * SLOWNESS
            with self.paused(service):
                for sock in socks:
                    sock.sendall(b"b")
                wait_until(lambda: time.monotonic() > until, 10, "an end of the idle time")
            for sock in socks:
                self.assertEqual(peers.read_exactly(sock, 1), b"b")

    def test_a_backend_that_was_reached_during_a_pause_is_not_timed_out(self):
        service = self.start_service(flags={"connect-timeout": "1500ms"})
        # A backlog of 0 takes one connection. Then the kernel answers no SYN; the next one comes a
        # second later.
        with self.listener(backlog=0) as backend, contextlib.ExitStack() as stack:
            address = backend.getsockname()
            stack.enter_context(socket.create_connection(address, timeout=10 * SLOWNESS))
            port = service.create(service.ports[0], f"127.0.0.1:{address[1]}")
            client = stack.enter_context(self.client(port))
            until = time.monotonic() + 2 * SLOWNESS
            wait_until(lambda: service.get("/v1/sessions").json["sessions"], 10, "a dial")
            with self.paused(service):
                backend.settimeout(20 * SLOWNESS)
                taken = [stack.enter_context(backend.accept()[0]) for _ in range(2)]
                client.sendall(b"hello")
                wait_until(lambda: time.monotonic() > until, 10, "an end of the connect time")
            wait_until(lambda: self.take_hello(taken), 10, "the client's bytes")

    @staticmethod
    def take_hello(taken):
        for sock in taken:
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                if sock.recv(16, socket.MSG_PEEK) == b"hello":
                    return True
        return False


if __name__ == "__main__":
    harness.main()
