#!/usr/bin/env python3
"""Each way in which a session can end, provoked with real sockets: the log, the metrics and the API say it by
the same word, whose fault it was and how far it had come; see ui_test.py for the page."""

import collections
import contextlib
import os
import resource
import socket
import unittest

import chromium
import harness
import peers
from v1_client import V1Test
from waiting import wait_until

SHIM = os.environ.get("SC_FAILING_EPOLL")
NO_FAILURES = ("finished", "empty")
FORMER = "limit"  # counted by former versions alone
Expected = collections.namedtuple("Expected", "port reason fault phase error words")


def metrics(service, name):
    """{labels as they stand: value} of one metric."""
    reply = service.get("/metrics")
    assert reply.status == 200, reply
    found = {}
    for line in reply.body.decode().splitlines():
        if line.startswith(name + "{"):
            labels, _, value = line[len(name) + 1:].rpartition("} ")
            found[labels] = float(value)
    return found


class Provoking(V1Test):
    """A method for each reason: makes a session end so, and says what there should be to read."""

    flags = {"log-sessions": "all", "drain-timeout": "0"}

    def setUp(self):
        super(V1Test, self).setUp()  # pylint: disable=bad-super-call
        self.free = None
        self.service = self.make_service(20, flags=dict(self.flags))
        self.internal_port = self.service.ports[-1]
        if SHIM:
            self.service.environment.update(
                LD_PRELOAD=SHIM, SC_TEST_FAULT_PORT=str(self.internal_port))
        self.service.start()
        self.free = iter(self.service.ports)

    def stream_to(self, backend, port=None, **fields):
        port = port or next(self.free)
        self.put_ok(port, backend, **fields)
        return port

    def echoing(self, port):
        """A session that has carried three bytes each way."""
        client = self.client(port)
        client.sendall(b"abc")
        self.assertEqual(peers.read_exactly(client, 3), b"abc")
        return client

    def finished(self):
        port = self.stream_to(self.backend(peers.echo).address)
        client = self.echoing(port)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_all(client), b"")
        return Expected(port, "finished", "nobody", "close", None, "both sides ended in order")

    def client_reset(self):
        port = self.stream_to(self.backend(peers.echo).address)
        peers.reset(self.echoing(port))
        return Expected(port, "client_reset", "client", "relay", "ECONNRESET",
                        "the client reset the connection (ECONNRESET)")

    def backend_reset(self):
        def serve(client):
            client.sendall(client.recv(3))
            client.recv(1)
            peers.reset(client)

        backend = self.backend(serve)
        port = self.stream_to(backend.address)
        client = self.echoing(port)
        client.sendall(b"d")
        with self.assertRaises(ConnectionResetError):
            peers.read_all(client)
        return Expected(port, "backend_reset", "backend", "relay", "ECONNRESET",
                        f"{backend.address} reset the connection (ECONNRESET)")

    def closed_port(self):
        return f"127.0.0.1:{peers.free_ports(1)}"

    def backend_refused(self):
        backend = self.closed_port()
        port = self.stream_to(backend)
        self.assert_is_reset(port)
        return Expected(port, "backend_refused", "backend", "connect", "ECONNREFUSED",
                        f"{backend} refused the connection (ECONNREFUSED)")

    def backend_timeout(self):
        """A listener whose backlog is full: the kernel drops further SYNs."""
        full = self.listener(backlog=0)
        address = full.getsockname()
        waiting = []
        for _ in range(3):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(address)
            waiting.append(sock)
        port = self.stream_to(f"127.0.0.1:{address[1]}", connect_timeout="300ms")
        self.assert_is_reset(port)
        return Expected(port, "backend_timeout", "backend", "connect", None,
                        f"127.0.0.1:{address[1]} did not answer within")

    def backend_unresolved(self):
        port = self.stream_to("nosuchhost.invalid:2000")
        self.assert_is_reset(port)
        return Expected(port, "backend_unresolved", "backend", "resolve", None,
                        "cannot resolve nosuchhost.invalid: host not found")

    def idle_timeout(self):
        port = self.stream_to(self.backend(peers.echo).address, idle_timeout="1s")
        self.assert_reset(self.echoing(port))
        return Expected(port, "idle_timeout", "policy", "relay", None, "no byte moved for as long as")

    def lifetime(self):
        port = self.stream_to(self.backend(peers.echo).address, lifetime="1s")
        self.assert_reset(self.echoing(port))
        return Expected(port, "lifetime", "policy", "relay", None, "it was as old as lifetime allows")

    def denied(self):
        port = self.stream_to(f"127.0.0.1:{self.service.api_port}")
        self.assert_is_reset(port)
        return Expected(port, "denied", "policy", "connect", None, "where the service itself is controlled")

    def loop(self):
        port = next(self.free)
        self.stream_to(f"localhost:{port}", port=port, listen_address="127.0.0.1")
        self.assert_is_reset(port)
        return Expected(port, "loop", "policy", "connect", None, f"a ring of streams: {port} -> {port}")

    def empty(self):
        port = self.stream_to(self.backend(peers.echo).address)
        peers.reset(self.client(port))
        return Expected(port, "empty", "nobody", "relay", "ECONNRESET", "the client left without a byte either way")

    def host(self):
        """A descriptor is left for the client, and none for its backend."""
        port = self.stream_to(self.backend(peers.echo).address)
        self.service.wait_no_sessions()  # the API's clients have given back theirs
        pid = self.service.pid
        numbers = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        free = next(number for number in range(len(numbers) + 1) if number not in numbers)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + 1, before[1]))
        try:
            self.assert_is_reset(port)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        return Expected(port, "host", "service", "connect", "EMFILE", "raise LimitNOFILE= of its unit")

    def killed(self):
        port = self.stream_to(self.backend(peers.echo).address)
        client = self.echoing(port)
        [session] = self.ask("GET", f"/v1/sessions?port={port}").json["sessions"]
        reply = self.ask("DELETE", f"/v1/sessions/{session['id']}")
        self.assertEqual((reply.status, reply.json["reason"]), (200, "killed"))
        self.assert_reset(client)
        return Expected(port, "killed", "operator", "relay", None, "an operator ended it")

    def internal(self):
        port = self.stream_to(self.backend(peers.echo).address, port=self.internal_port)
        self.assert_is_reset(port)
        return Expected(port, "internal", "service", "relay", "EBADF", "a fault of this service: epoll_ctl")

    def drained(self):
        """Ends all: the last one."""
        port = self.stream_to(self.backend(peers.echo).address)
        client = self.echoing(port)
        self.assertEqual(self.ask("POST", "/v1/drain", {"timeout": "0"}).status, 202)
        self.assert_reset(client)
        return Expected(port, "drained", "operator", "relay", None, "its stream or the service was being stopped")

    def assert_reset(self, client):
        with self.assertRaises(ConnectionResetError):
            peers.read_all(client)


class Reasons(Provoking):
    def assert_told(self, expected):
        port = expected.port
        failed = expected.reason not in NO_FAILURES
        ended = f'port="{port}",reason="{expected.reason}"'
        wait_until(lambda: metrics(self.service, "stream_conductor_sessions_ended_total").get(ended),
                   10, f"the metric of {expected.reason}")
        self.assertEqual({labels: value for labels, value
                          in metrics(self.service, "stream_conductor_sessions_ended_total").items()
                          if f'port="{port}"' in labels}, {ended: 1})
        self.assertEqual(self.ask("GET", self.stream(port)).json["ended"], {expected.reason: 1})
        line = self.service.wait_for_line("session ended", port=str(port))
        failures = self.ask("GET", f"/v1/streams/{port}/failures").json["failures"]
        self.assertEqual(len(failures), 1 if failed else 0, failures)
        told = [line.fields] + failures
        for each in told:
            self.assertEqual((each["reason"], each["fault"], each["phase"]), expected[1:4], each)
            self.assertIn(expected.words, each["message"])
            self.assertEqual(each.get("error") or None, expected.error, each)
        if failed:
            self.assertEqual(failures[0]["id"], line.fields["session"])
            self.assertEqual(failures[0]["client"], line.fields["client"])
            self.assertEqual(str(failures[0]["bytes_in"]), line.fields["bytes_in"])
            # To the nearest millisecond below, as the log has it.
            self.assertAlmostEqual(failures[0]["ended_after_ms"], float(line.fields["duration_ms"]), delta=1)

    def test_finished(self):
        self.assert_told(self.finished())

    def test_client_reset(self):
        self.assert_told(self.client_reset())

    def test_backend_reset(self):
        self.assert_told(self.backend_reset())

    def test_backend_refused(self):
        self.assert_told(self.backend_refused())

    def test_backend_timeout(self):
        self.assert_told(self.backend_timeout())

    def test_backend_unresolved(self):
        self.assert_told(self.backend_unresolved())

    def test_idle_timeout(self):
        self.assert_told(self.idle_timeout())

    def test_lifetime(self):
        self.assert_told(self.lifetime())

    def test_denied(self):
        self.assert_told(self.denied())

    def test_loop(self):
        self.assert_told(self.loop())

    @unittest.skipUnless(SHIM, "a sanitizer wants descriptors itself, to look at memory")
    def test_host(self):
        self.assert_told(self.host())

    def test_empty(self):
        self.assert_told(self.empty())

    def test_killed(self):
        self.assert_told(self.killed())

    def test_drained(self):
        self.assert_told(self.drained())

    @unittest.skipUnless(SHIM, "a sanitizer wants to be loaded first itself")
    def test_internal(self):
        self.assert_told(self.internal())


@unittest.skipUnless(chromium.PROGRAM and SHIM, "no chromium, or beside a sanitizer")
class Page(Provoking):
    """All of them one after the other, and then what a person reads at each stream."""

    def test_the_page_says_each_of_them(self):
        names = sorted(reasons(), key=lambda name: name == "drained")  # it ends all
        provoked = [getattr(self, name)() for name in names]
        browser = chromium.Browser(self.dir)
        self.addCleanup(browser.close)
        page = browser.page()
        for expected in provoked:
            with self.subTest(reason=expected.reason):
                page.go(f"http://127.0.0.1:{self.service.api_port}/#/streams/{expected.port}")
                page.wait_text(f"{expected.port} →", "h1")
                page.wait_text(expected.reason, ".ended")
                if expected.reason not in NO_FAILURES:
                    page.wait_text(expected.words, ".failures")
                    self.assertIn(expected.reason, page.text(".failures"))


def reasons():
    """As the source has them."""
    source = (harness.ROOT / "src/core/end_reason.h").read_text(encoding="utf-8")
    body = source.split("enum class EndReason")[1].split("};")[0]
    names = [line.split(",")[0].strip() for line in body.splitlines()[1:] if "," in line.split("//")[0]]
    return [name for name in names if name != FORMER]


class Words(unittest.TestCase):
    def test_every_reason_of_the_source_has_a_test_here(self):
        names = set(reasons())
        self.assertGreater(len(names), 10)
        self.assertEqual({name for name in names if not hasattr(Reasons, f"test_{name}")}, set())


if __name__ == "__main__":
    harness.main()
