#!/usr/bin/env python3
"""What clients of the API do to it does not touch the streams, nor the API's other clients."""

import concurrent.futures
import os
import select
import socket
import sqlite3
import threading
import time

import harness
import peers
import processes
from waiting import SLOWNESS, wait_until

MIB = 1 << 20
STREAMS = 1000  # so that their list is long
LIST = b"GET /getstreams HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Nobody waits longer: a session's bytes, and who has the control thread in common with the hostile.
PAUSE = 0.25 * SLOWNESS
API_PAUSE = 0.5 * SLOWNESS
ASKED_AT_ONCE = 300  # in less than the service reads at once
SILENT = 64  # connect and say nothing
DEAF = 8  # ask, and read nothing


class Repeated:
    """Does one thing over and over on a thread of its own and remembers its slowest turn."""

    def __init__(self, turn):
        self.turns, self.slowest, self.error = 0, 0.0, None
        self._turn = turn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.005) and not self.error:
            before = time.monotonic()
            try:
                self._turn()
            except Exception as error:  # pylint: disable=broad-except
                self.error = error
            self.slowest = max(self.slowest, time.monotonic() - before)
            self.turns += 1

    def stop(self):
        self._stop.set()
        self._thread.join(2 * peers.PATIENCE)
        return self


def status_of(reply):
    """Of one answer that the service gives before it ends the connection."""
    assert reply.startswith(b"HTTP/1.1 ") and reply.count(b"HTTP/1.1 ") == 1, reply[:200]
    return int(reply.split(b" ", 2)[1])


def send_until_answered(sock, first, pieces, every=0.0):
    """Sends on until something comes back, and gives all that comes back."""
    sock.sendall(first)
    for piece in pieces:
        if select.select([sock], [], [], every)[0]:
            break
        sock.sendall(piece)
    return peers.read_all(sock)


def endless(piece):
    """Until the test loses its patience."""
    deadline = time.monotonic() + peers.PATIENCE
    while time.monotonic() < deadline:
        yield piece
    raise AssertionError("the service lets a hostile client go on")


def drip(sock):
    """A request that comes byte by byte and never to its end."""
    return status_of(send_until_answered(sock, b"GET /status HTTP/1.1\r\nX: ", endless(b"x"), 0.02))


# Some times the limit, but not so much that who has not seen its answer by then is cut off.


def long_header(sock):
    return status_of(send_until_answered(sock, b"GET / HTTP/1.1\r\n", [b"X: 1\r\n" * 100] * 1000))


def long_target(sock):
    return status_of(send_until_answered(sock, b"GET /", [b"x" * 1000] * 1000))


def long_body(sock):
    head = b"POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
    return status_of(send_until_answered(sock, head, [b"x" * 10_000] * 100))


def garbage(sock):
    return status_of(send_until_answered(sock, b"\x16\x03\x01\x02\x00\x01\x00\xff\r\n\r\n", []))


def shout(sock):
    """A header without an end, whose sender does not listen; says how that ends."""
    try:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        for piece in endless(b"X: 1\r\n" * 10_000):
            sock.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return "cut off"


class Hostile(harness.EndToEnd):
    def start_with_streams(self, backend):
        """A thousand streams, of which the first leads somewhere."""
        # AddressSanitizer keeps what was freed; here memory is measured.
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"
        service = self.start_service(STREAMS, environment={"ASAN_OPTIONS": sanitizer})
        service.stop()
        rows = [(port, backend.address) for port in service.ports]
        database = sqlite3.connect(service.database)
        with database:
            database.executemany("INSERT INTO streams (port, backend) VALUES (?, ?)", rows)
        database.close()
        service.start()
        self.assertEqual(service.streams_at_ready, STREAMS)
        return service

    def ping_pong(self, service):
        session = self.client(service.ports[0])

        def turn():
            session.sendall(b"x" * 64)
            assert peers.read_exactly(session, 64) == b"x" * 64

        return turn

    @staticmethod
    def ask(service):
        def turn():
            assert service.get("/status").status == 200

        return turn

    @staticmethod
    def list_all(service):
        def turn():
            assert len(service.get("/getstreams").json) == STREAMS

        return turn

    def api_client(self, service, receive_buffer=None):
        sock = socket.socket()
        self.addCleanup(sock.close)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(peers.PATIENCE)
        sock.connect((service.api_host, service.api_port))
        return sock

    def deaf_client(self, service):
        """Asks for far more than fits into any buffer, and reads nothing of it."""
        sock = self.api_client(service, 4096)
        sock.setblocking(False)
        try:
            sock.send(LIST * 5000)
        except BlockingIOError:
            pass
        return sock

    def repeat(self, turn):
        repeated = Repeated(turn)
        self.addCleanup(repeated.stop)
        return repeated

    def assert_undisturbed(self, who, repeated, pause):
        repeated.stop()
        if repeated.error:
            raise repeated.error
        self.assertLess(repeated.slowest, pause, who)
        self.assertGreater(repeated.turns, 0, who)

    def test_hostile_clients_of_the_api_slow_down_neither_streams_nor_its_other_clients(self):
        service = self.start_with_streams(self.backend(peers.echo))
        turns = {
            "a session's bytes": (self.ping_pong(service), PAUSE),
            "GET /status": (self.ask(service), API_PAUSE),
            "GET /getstreams": (self.list_all(service), API_PAUSE),
        }
        for turn, _ in turns.values():  # its memory and descriptors count as there before
            turn()
        before = processes.descriptors(service.pid).sockets
        memory = processes.resident_bytes(service.pid)
        most = [memory]

        others = [(who, self.repeat(turn), pause) for who, (turn, pause) in turns.items()]
        watching = self.repeat(lambda: most.append(processes.resident_bytes(service.pid)))
        silent = [self.api_client(service) for _ in range(SILENT)]
        deaf = [self.deaf_client(service) for _ in range(DEAF)]
        expected = {drip: 408, long_header: 431, long_target: 414, long_body: 413, garbage: 400,
                    shout: "cut off"}
        with concurrent.futures.ThreadPoolExecutor(len(expected)) as pool:
            ends = {each: pool.submit(each, self.api_client(service)) for each in expected}
            got = {each: end.result() for each, end in ends.items()}
        self.assertEqual(list(got.values()), list(expected.values()))
        poll = select.poll()
        for sock in deaf:  # each is cut off with its answers unread
            poll.register(sock, 0)
            self.assertTrue(poll.poll(peers.PATIENCE * 1000), "a deaf client is kept")
            poll.unregister(sock)
        for who, repeated, pause in others:
            self.assert_undisturbed(who, repeated, pause)
        watching.stop()
        # What the deaf ones have asked for would be gigabytes.
        self.assertLess(max(most) - memory, 32 * MIB * SLOWNESS)
        wait_until(lambda: processes.descriptors(service.pid).sockets == before + SILENT, 10,
                   "the end of all hostile clients but the silent ones")
        for sock in silent:
            sock.close()
        wait_until(lambda: processes.descriptors(service.pid).sockets == before, 10,
                   "the end of the silent clients")

    def test_a_client_that_asks_without_pause_leaves_turns_to_the_others(self):
        service = self.start_with_streams(self.backend(peers.echo))
        greedy = self.api_client(service)
        size = len(service.raw(LIST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
        size -= len(b"Connection: close\r\n")

        def ask_without_pause():
            greedy.sendall(LIST * ASKED_AT_ONCE)
            peers.read_exactly(greedy, size * ASKED_AT_ONCE)

        asking = self.repeat(self.ask(service))
        session = self.repeat(self.ping_pong(service))
        for _ in range(5):
            ask_without_pause()
        self.assert_undisturbed("GET /status", asking, PAUSE)
        self.assert_undisturbed("a session's bytes", session, PAUSE)


if __name__ == "__main__":
    harness.main()
