#!/usr/bin/env python3
"""TCP through a stream is TCP: every byte, every half-close and every reset arrives."""

import hashlib
import random
import socket
import threading
import time
import unittest

import harness
import peers
import processes
from waiting import SLOWNESS, wait_until

MIB = 1 << 20


def some_bytes(seed, count):
    return random.Random(seed).randbytes(count)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def read_until_broken(sock):
    """What came before the end, and whether that was a reset."""
    parts = []
    try:
        while chunk := sock.recv(MIB):
            parts.append(chunk)
    except ConnectionResetError:
        return b"".join(parts), True
    return b"".join(parts), False


def visit(port):
    """What a client gets that only reads; the reset may come before its connect() has returned."""
    try:
        with peers.connect(port) as client:
            return read_until_broken(client)
    except ConnectionResetError:
        return b"", True


class RelayTest(harness.EndToEnd):
    flags = {"log-sessions": "all"}

    def through(self, serve, flags=None):
        """A service with one stream to such a backend; sets service, port and peer."""
        self.peer = self.backend(serve)
        self.service = self.start_service(10, flags={**self.flags, **(flags or {})})
        self.port = self.service.create(self.service.ports[0], self.peer.address)

    def assert_ended(self, reason, after=0):
        self.service.wait_for_line("session ended", after=after, port=str(self.port), reason=reason)


class Bytes(RelayTest):
    def test_64_mib_up_then_a_half_close_then_64_mib_back(self):
        up, down = some_bytes(1, 64 * MIB), some_bytes(2, 64 * MIB)

        def serve(sock):
            got = digest(peers.read_all(sock))
            sock.sendall(down)
            return got

        self.through(serve)
        client = self.client(self.port)
        client.sendall(up)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(digest(peers.read_all(client)), digest(down))
        self.assertEqual(self.peer.result(), digest(up))
        self.assert_ended("finished")

    def test_twenty_thousand_writes_of_one_byte_arrive_in_order(self):
        self.through(peers.echo)
        client = self.client(self.port)
        data = bytes(i % 251 for i in range(20_000))

        def send():
            for i in range(len(data)):
                client.sendall(data[i : i + 1])
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = peers.read_all(client)
        sender.join()
        self.assertEqual(got, data)

    def test_one_byte_there_and_back_waits_for_no_timer(self):
        self.through(peers.echo)
        client = self.client(self.port)
        before = time.monotonic()
        for _ in range(500):
            client.sendall(b"x")
            self.assertEqual(client.recv(1), b"x")
        # With Nagle's algorithm and delayed acks a turn can take 40 ms.
        self.assertLess(time.monotonic() - before, 5 * SLOWNESS)

    def test_a_stuck_reader_costs_no_cpu_and_no_memory_and_loses_nothing(self):
        data = some_bytes(3, 64 * MIB)
        sent = [0]

        def serve(sock):
            for at in range(0, len(data), MIB // 4):
                sock.sendall(data[at : at + MIB // 4])
                sent[0] = at

        self.through(serve)
        pid = self.service.pid
        memory = processes.resident_bytes(pid)
        client = self.client(self.port)
        wait_until(lambda: sent[0] > 0, what="the backend sends")
        self.wait_until_still(lambda: sent[0])
        cpu = processes.cpu_seconds(pid)
        time.sleep(3)  # this long it is stuck: that is what is measured
        self.assertLess(processes.cpu_seconds(pid) - cpu, 0.3 * SLOWNESS)
        self.assertLess(processes.resident_bytes(pid) - memory, 8 * MIB * SLOWNESS)
        self.assertLess(sent[0], len(data) * 3 // 4, "the reader was not stuck")
        self.assertEqual(digest(peers.read_all(client)), digest(data))

    @staticmethod
    def wait_until_still(value, seconds=0.5):
        """Until the value has been the same for so long."""
        last = [value(), time.monotonic()]

        def is_still():
            if value() != last[0]:
                last[:] = [value(), time.monotonic()]
            return time.monotonic() - last[1] > seconds

        wait_until(is_still, 20, "standstill")

    def test_a_short_reply_followed_at_once_by_close_arrives_whole_1000_times(self):
        replies = [some_bytes(i, 1 + i * 7 % 3000) for i in range(1000)]
        turns = iter(replies)
        self.through(lambda sock: sock.sendall(next(turns)))
        for number, reply in enumerate(replies):
            with peers.connect(self.port) as client:
                self.assertEqual(peers.read_all(client), reply, f"reply {number}")

    def test_a_reply_to_a_request_that_was_never_read_arrives(self):
        reply = b"HTTP/1.1 413 Content Too Large\r\n\r\n" + b"x" * 2000

        def serve(sock):
            sock.recv(1, socket.MSG_PEEK)  # so that close() finds unread bytes and resets
            sock.sendall(reply)

        self.through(serve)
        for turn in range(100):
            with peers.connect(self.port) as client:
                client.sendall(b"r" * 4000)
                self.assertEqual(read_until_broken(client)[0], reply, f"turn {turn}")

    def test_two_hundred_sessions_at_once_mix_no_bytes(self):
        self.through(peers.echo)
        gate = threading.Barrier(200, timeout=peers.PATIENCE)
        faults = []

        def session(seed):
            try:
                data = some_bytes(seed, 200_000 + seed)
                with peers.connect(self.port) as client:
                    gate.wait()
                    sender = threading.Thread(target=send_in_pieces, args=(client, data, seed))
                    sender.start()
                    got = peers.read_all(client)
                    sender.join()
                if got != data:
                    faults.append(f"session {seed}: {len(got)} of {len(data)} bytes, or others")
            except (OSError, AssertionError, threading.BrokenBarrierError) as error:
                faults.append(f"session {seed}: {error!r}")

        threads = [threading.Thread(target=session, args=(seed,)) for seed in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])


def send_in_pieces(client, data, seed):
    chance = random.Random(seed)
    at = 0
    while at < len(data):
        size = chance.choice((1, 10, 1000, 20_000))
        client.sendall(data[at : at + size])
        at += size
    client.shutdown(socket.SHUT_WR)


class Ends(RelayTest):
    def test_a_client_that_half_closes_before_its_first_byte_gets_the_reply(self):
        def serve(sock):
            self.assertEqual(peers.read_all(sock), b"")
            sock.sendall(b"reply to nothing")

        self.through(serve)
        client = self.client(self.port)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_all(client), b"reply to nothing")
        self.peer.result()

    def test_a_backend_that_half_closes_first_still_gets_what_the_client_sends(self):
        data = some_bytes(4, 8 * MIB)

        def serve(sock):
            sock.sendall(b"that is all")
            sock.shutdown(socket.SHUT_WR)
            return digest(peers.read_all(sock))

        self.through(serve)
        client = self.client(self.port)
        self.assertEqual(peers.read_all(client), b"that is all")
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.peer.result(), digest(data))
        self.assert_ended("finished")

    def test_a_clients_reset_reaches_the_backend_as_a_reset(self):
        self.through(peers.read_all)
        client = self.client(self.port)
        client.sendall(b"x")
        wait_until(lambda: self.peer.clients == 1, what="the session")
        peers.reset(client)
        with self.assertRaises(ConnectionResetError):
            self.peer.result()
        self.assert_ended("client_reset")

    def test_a_clients_reset_after_its_half_close_reaches_the_backend(self):
        def serve(sock):
            peers.read_all(sock)
            sock.sendall(b"go")
            while True:
                sock.sendall(b"more")
                time.sleep(0.01)

        self.through(serve)
        client = self.client(self.port)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_exactly(client, 2), b"go")
        peers.reset(client)
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            self.peer.result()
        self.assert_ended("client_reset")

    def test_a_backends_reset_reaches_the_client_as_a_reset(self):
        def serve(sock):
            sock.recv(1)
            peers.reset(sock)

        self.through(serve)
        client = self.client(self.port)
        client.sendall(b"x")
        self.assertEqual(read_until_broken(client), (b"", True))
        self.assert_ended("backend_reset")

    def test_a_refused_backend_ends_the_client_at_once_by_a_reset(self):
        self.through(peers.echo)
        self.peer.close()
        before = time.monotonic()
        self.assertEqual(visit(self.port), (b"", True))
        self.assertLess(time.monotonic() - before, 1 * SLOWNESS)
        self.assert_ended("backend_refused")

    def test_a_backend_that_never_answers_ends_the_client_after_the_connect_timeout(self):
        service = self.start_service(10, flags={**self.flags, "connect-timeout": "500ms"})
        self.service, self.port = service, service.ports[0]
        service.create(self.port, self.silent_address())
        before = time.monotonic()
        self.assertEqual(visit(self.port), (b"", True))
        took = time.monotonic() - before
        self.assertGreater(took, 0.45)
        self.assertLess(took, 2 * SLOWNESS)
        self.assert_ended("backend_timeout")

    def silent_address(self):
        """A listening socket whose backlog is full, so that the kernel drops each SYN."""
        listener = self.listener(backlog=0)
        address = listener.getsockname()
        for _ in range(4):
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setblocking(False)
            sock.connect_ex(address)
        return f"127.0.0.1:{address[1]}"

    def test_idle_timeout_ends_a_silent_session_and_no_talking_one(self):
        self.through(peers.echo, {"idle-timeout": "1s"})
        silent, talking = self.client(self.port), self.client(self.port)
        silent.settimeout(0.1)
        start = time.monotonic()
        silent_until = None
        while silent_until is None or time.monotonic() - start < 3:
            talking.sendall(b"word")
            self.assertEqual(peers.read_exactly(talking, 4), b"word")
            if silent_until is None and self.has_ended(silent):
                silent_until = time.monotonic() - start
            self.assertLess(time.monotonic() - start, 20 * SLOWNESS, "the silent one goes on")
        self.assertGreater(silent_until, 0.9)
        self.assertLess(silent_until, 2.5 * SLOWNESS)
        self.assert_ended("idle_timeout")

    @staticmethod
    def has_ended(sock):
        try:
            return sock.recv(1) == b""
        except socket.timeout:
            return False
        except ConnectionResetError:
            return True


class Addresses(RelayTest):
    def test_an_unresolvable_name_fails_its_own_session_alone_and_says_why(self):
        self.through(peers.greets_then_echoes(b"hello"))
        other = self.client(self.port)
        bad = self.service.create(self.service.ports[1], "nosuchhost.invalid:22")
        self.assertEqual(visit(bad), (b"", True))
        self.service.wait_for_line("session ended", port=str(bad), reason="backend_unresolved")
        self.assertEqual(peers.read_exactly(other, 5), b"hello")
        other.sendall(b"still")
        self.assertEqual(peers.read_exactly(other, 5), b"still")
        wait_until(lambda: "nosuchhost.invalid" in self.service.mapping(bad)[1], 10, "the reason")
        self.assertEqual(self.service.mapping(bad)[0], "listening")
        self.assertEqual(self.service.mapping(self.port), ("listening", ""))

    def test_the_reason_goes_when_the_backend_answers_again(self):
        port = peers.free_port()
        service = self.start_service(10)
        stream = service.create(service.ports[0], f"127.0.0.1:{port}")
        self.assertEqual(visit(stream), (b"", True))
        wait_until(lambda: "refused" in service.mapping(stream)[1], 10, "the reason")
        self.backend(peers.says(b"back"), port=port)
        self.assert_says(stream, b"back")
        wait_until(lambda: service.mapping(stream)[1] == "", 10, "no reason")

    def test_a_backend_may_be_a_name(self):
        hello = self.backend(peers.says(b"by name"))
        service = self.start_service(10)
        service.create(service.ports[0], f"localhost:{hello.port}")
        self.assert_says(service.ports[0], b"by name")

    def test_a_backend_may_be_an_ipv6_address(self):
        if not peers.has_ipv6_loopback():
            self.skipTest("the host has no ::1")
        hello = self.backend(peers.says(b"v6"), host="::1")
        service = self.start_service(10)
        service.create(service.ports[0], hello.address)
        self.assertEqual(service.streams(), {service.ports[0]: f"[::1]:{hello.port}"})
        self.assert_says(service.ports[0], b"v6")

    def test_clients_reach_a_stream_over_ipv4_and_ipv6(self):
        self.through(peers.says(b"hello"))
        self.assert_says(self.port, b"hello", "127.0.0.1")
        if peers.has_ipv6_loopback():
            self.assert_says(self.port, b"hello", "::1")

    def test_stream_address_keeps_streams_to_one_address(self):
        self.through(peers.says(b"hello"), {"stream-address": "127.0.0.2"})
        self.assert_says(self.port, b"hello", "127.0.0.2")
        self.assertFalse(peers.accepts(self.port, "127.0.0.1"))


class Removal(RelayTest):
    def test_a_removed_streams_session_goes_on_and_its_port_is_free_at_once(self):
        self.through(peers.greets_then_echoes(b"old"))
        session = self.client(self.port)
        self.assertEqual(peers.read_exactly(session, 3), b"old")
        self.service.remove(self.port)
        self.assertFalse(peers.accepts(self.port))
        self.listener(self.port, "0.0.0.0").close()  # anybody may have it now
        new = self.backend(peers.says(b"new"))
        self.service.create(self.port, new.address)
        self.assert_says(self.port, b"new")
        session.sendall(b"x" * 100_000)
        session.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_all(session), b"x" * 100_000)

    def test_the_drain_time_cuts_what_is_left_of_a_removed_stream(self):
        self.through(peers.greets_then_echoes(b"old"), {"drain-timeout": "1s"})
        session = self.client(self.port)
        self.assertEqual(peers.read_exactly(session, 3), b"old")
        before = time.monotonic()
        self.service.remove(self.port)
        session.sendall(b"echo")
        self.assertEqual(peers.read_exactly(session, 4), b"echo")
        self.assertEqual(read_until_broken(session), (b"", True))
        took = time.monotonic() - before
        self.assertGreater(took, 0.9)
        self.assertLess(took, 3 * SLOWNESS)
        self.assert_ended("drained")

    def test_the_drain_of_one_stream_cuts_no_session_of_another(self):
        self.through(peers.echo, {"drain-timeout": "1s"})
        second = self.service.create(self.service.ports[1], self.peer.address)
        cut, kept = self.client(self.port), self.client(second)
        for sock in (cut, kept):
            sock.sendall(b"x")
            self.assertEqual(sock.recv(1), b"x")
        self.service.remove(self.port)
        self.assertEqual(read_until_broken(cut), (b"", True))
        kept.sendall(b"fine")
        self.assertEqual(peers.read_exactly(kept, 4), b"fine")


if __name__ == "__main__":
    unittest.main(verbosity=2)
