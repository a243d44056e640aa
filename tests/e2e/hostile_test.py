#!/usr/bin/env python3
"""Hostile input to the API: clients that hold places, and a hundred thousand random requests."""

import concurrent.futures
import json
import os
import random
import re
import socket
import threading
import time

import harness
import peers
import processes
from waiting import SLOWNESS

MIB = 1 << 20
SLOW_CLIENTS = 1000
PLACES = 512  # src/http/server.h
BYTE_EVERY = 2.0  # seconds, of each slow client; who was ended comes back as well
ROUNDS = 3  # in which each of them has sent its byte, or come back, while others ask
PROMPT = 1.0 * SLOWNESS

SEED = 20261101
THREADS = 4
REQUESTS = int(100_000 / SLOWNESS**2)
BATCH = 40
FIXED = 3  # streams that nobody asks to change
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
# A server's own fault is never shown, but what it does not do may be said.
NOT_OURS = (501, 505)


class SlowClients:
    """Each sends a byte of a request now and then, and comes back when it was ended."""

    def __init__(self, address, count):
        self._address = address
        self._socks = [None] * count
        self._stop = threading.Event()
        self.rounds = self.comings = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _come(self, index):
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.connect(self._address)
        except BlockingIOError:
            pass
        self._socks[index] = sock
        self.comings += 1

    def _turn(self, index):
        sock = self._socks[index]
        if sock is None:
            self._come(index)
            return
        try:
            sock.send(b"G" if self.rounds % 10 == 0 else b"E")
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            self._come(index)

    def _run(self):
        pause = BYTE_EVERY / len(self._socks)
        for index in range(len(self._socks)):  # all at once
            self._turn(index)
        while True:
            self.rounds += 1
            for index in range(len(self._socks)):
                if self._stop.wait(pause):
                    return
                self._turn(index)

    def stop(self):
        self._stop.set()
        self._thread.join(peers.PATIENCE)
        for sock in self._socks:
            if sock is not None:
                sock.close()


class Answers:
    """Reads answers off a connection, one by one."""

    def __init__(self, sock):
        self._sock = sock
        self._bytes = b""
        self.ended = False

    def _more(self):
        try:
            piece = self._sock.recv(65536)
        except ConnectionResetError:
            piece = b""
        if not piece:
            self.ended = True
            return False
        self._bytes += piece
        return True

    def next(self, to_head=False):
        """Status and body; nothing once the service has ended the connection."""
        while (end := self._bytes.find(b"\r\n\r\n")) < 0:
            if not self._more():
                return None
        head = self._bytes[:end]
        found = re.search(rb"\r\nContent-Length: (\d+)", head)
        size = 0 if to_head or not found else int(found[1])
        while len(self._bytes) < end + 4 + size:
            if not self._more():
                return None
        body = self._bytes[end + 4 : end + 4 + size]
        self._bytes = self._bytes[end + 4 + size :]
        status = STATUS.match(head)
        assert status, head
        assert head.count(b"\r\nX-Request-Id: ") == 1, head
        return int(status[1]), body

    def rest(self):
        while self._more():
            pass
        return self._bytes


class RandomRequests:
    """One thread's requests. Only those for `port` may change a stream, and they are noted."""

    methods = ("GET",) * 8 + (
        "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "TRACE", "LOCK")
    paths = (
        "/status", "/getstreams", "/getfreeport", "/hasstream/{n}", "/removestream/x{n}", "/", "//",
        "/createstream/{n}", "/createstream/99{n}/a:1", "/createstream/1/a:{n}", "/v1/{n}",
        "/createstream/0/%5B::1%5D:{n}", "/hasstream/%3{n}", "/hasstream/{n}?a={n}&b=%zz",
        "/%{n}", "/status/%00", "/status?{n}", "/hasstream/-{n}", "http://localhost/status",
        "/v1/streams", "/v1/streams/{n}", "/v1/streams?limit={n}", "/v1/streams?as_of={n}",
        "/v1/history?port={n}&limit=3", "/v1/history?since=2026-11-01T00:00:00%2B{n}",
        "/v1/streams:apply?dry_run=true", "/v1/streams:restore?as_of={n}", "/v1/status", "/healthz")

    def __init__(self, seed, port):
        self._random = random.Random(seed)
        self._port = port

    def headers(self, host="localhost"):
        pick = self._random.random()
        lines = [f"Host: {host}"]
        if pick < 0.2:
            lines.append(f"X-{'a' * self._random.randrange(1, 200)}: {'b' * int(pick * 1000)}")
        elif pick < 0.25:
            lines.append("X-Request-Id: " + "".join(self._random.choices("aZ9._-/ ", k=20)))
        elif pick < 0.3:
            lines.append("Accept: " + self._random.choice(("*/*", "text/html;q=0", ";;,", "")))
        elif pick < 0.31:
            lines.append(self._random.choice(
                ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Expect: tea",
                 "Connection: close", "Cookie: \xff")))
        return lines

    def well_framed(self):
        """Bytes, whether its answer has no body, and what it asks to change."""
        pick = self._random.random()
        if pick < 0.02:
            backend = f"127.0.0.1:{self._random.randrange(1, 65536)}"
            path = f"/createstream/{self._port}/{backend}"
            return self._bytes("GET", path, b""), False, backend
        if pick < 0.04:
            return self._bytes("GET", f"/removestream/{self._port}", b""), False, ""
        method = self._random.choice(self.methods)
        number = self._random.choice(("7", "65536", "00", str(self._random.randrange(10**6))))
        path = self._random.choice(self.paths).replace("{n}", number)
        size = self._random.randrange(300) if method in ("POST", "PUT", "PATCH") else 0
        return self._bytes(method, path, self._random.randbytes(size)), method == "HEAD", None

    def _bytes(self, method, path, body):
        lines = [f"{method} {path} HTTP/1.1", *self.headers()]
        if body and self._random.random() < 0.3:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x;e=f\r\n%s\r\n0\r\nT: u\r\n\r\n" % (len(body), body)
        elif body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def wild(self):
        """Of no meaning any more: bytes changed, left out, doubled, cut."""
        request = bytearray(self._bytes("POST", "/status", b"body"))
        for _ in range(self._random.randrange(1, 8)):
            at = self._random.randrange(len(request))
            pick = self._random.randrange(5)
            if pick == 0:
                request[at] = self._random.randrange(256)
            elif pick == 1:
                del request[at : at + self._random.randrange(1, 8)]
            elif pick == 2:
                request[at:at] = request[: self._random.randrange(len(request))]
            elif pick == 3:
                request[at:at] = self._random.choice((b"\r", b"\n", b"\0", b" ", b":", b"\r\n"))
            else:
                del request[at:]
            if not request:
                return b"\0"
        return bytes(request)

    def is_wild(self):
        return self._random.random() < 0.2


def send_all(service, requests, count):
    """Sends so many; how many answers had which status, and the backend of the stream then."""
    statuses, backend, sent = {}, None, 0
    while sent < count:
        with peers.connect(service.api_port, service.api_host) as sock:
            answers = Answers(sock)
            while sent < count and not answers.ended:
                batch = [requests.well_framed() for _ in range(BATCH)]
                is_last = requests.is_wild()
                piece = b"".join(each[0] for each in batch)
                try:
                    sock.sendall(piece + (requests.wild() if is_last else b""))
                    if is_last:
                        sock.shutdown(socket.SHUT_WR)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # ended at a refusal; what it answered before is there to be read
                for _, to_head, change in batch:
                    answer = answers.next(to_head)
                    if answer is None:
                        break
                    sent += 1
                    statuses[answer[0]] = statuses.get(answer[0], 0) + 1
                    if change is not None and answer[0] == 200:
                        if json.loads(answer[1])["result"] == "ok":
                            backend = change or None
                if is_last:
                    for status in STATUS.findall(answers.rest()):
                        sent += 1
                        statuses[int(status)] = statuses.get(int(status), 0) + 1
    return statuses, backend


class HostileInput(harness.EndToEnd):
    def test_a_thousand_clients_that_send_a_byte_now_and_then_keep_nobody_out(self):
        service = self.start_service()
        slow = SlowClients((service.api_host, service.api_port), SLOW_CLIENTS)
        self.addCleanup(slow.stop)
        service.wait_for_line("the API has as many clients as it may, "
                              "who waited longest lost its place")
        kept = peers.connect(service.api_port, service.api_host)
        self.addCleanup(kept.close)
        answers = Answers(kept)
        slowest = 0.0
        while slow.rounds <= ROUNDS:
            before = time.monotonic()
            self.assertEqual(service.get("/status").status, 200)
            slowest = max(slowest, time.monotonic() - before)
            before = time.monotonic()
            kept.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(answers.next()[0], 200)
            slowest = max(slowest, time.monotonic() - before)
            self.assertLessEqual(processes.descriptors(service.pid).sockets, PLACES + 16)
        self.assertLess(slowest, PROMPT)
        self.assertGreaterEqual(slow.comings, SLOW_CLIENTS)
        slow.stop()

    def test_random_requests_break_nothing_and_change_nothing_that_was_not_asked_for(self):
        # AddressSanitizer keeps what was freed; here memory is measured.
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"
        service = self.start_service(FIXED + THREADS, environment={"ASAN_OPTIONS": sanitizer})
        fixed = {port: f"127.0.0.1:{number}" for number, port in enumerate(service.ports[:FIXED], 1)}
        for port, backend in fixed.items():
            service.create(port, backend)
        own = service.ports[FIXED:]

        def run(seed, count):
            with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
                return list(pool.map(
                    lambda at: send_all(service, RandomRequests(seed + at, own[at]),
                                        count // THREADS), range(THREADS)))

        run(SEED - THREADS, REQUESTS // 20)  # its memory counts as there before
        before = processes.descriptors(service.pid)
        memory = processes.resident_bytes(service.pid)
        done = run(SEED, REQUESTS)

        self.assertIsNone(service.process.poll(), service.log())
        for statuses, _ in done:
            faults = {status for status in statuses if status >= 500} - set(NOT_OURS)
            self.assertFalse(faults, statuses)
            self.assertLessEqual({200, 400, 404, 405, 501}, set(statuses))
        expected = dict(fixed)
        expected.update({own[at]: each[1] for at, each in enumerate(done) if each[1]})
        streams = service.streams()
        self.assertEqual({int(port): backend for port, backend in streams.items()}, expected)
        service.wait_no_sessions()
        after = processes.descriptors(service.pid)
        self.assertLessEqual(after.others, before.others)
        self.assertLessEqual(after.listeners, 1 + len(expected))
        # A sanitizer's own records of memory grow with what was touched, more than ours.
        bound = 8 * MIB if SLOWNESS == 1 else 96 * MIB
        self.assertLess(processes.resident_bytes(service.pid) - memory, bound)


if __name__ == "__main__":
    harness.main()
