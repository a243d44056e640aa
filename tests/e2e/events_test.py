#!/usr/bin/env python3
"""Server-sent events: watched with curl, resumed, and what ends them."""

import concurrent.futures
import json
import signal
import socket
import subprocess
import threading
import time

import harness
import peers
import processes
from v1_client import V1Test
from waiting import SLOWNESS, wait_until

MOST_WATCHERS = 64


class Watcher:
    """`curl -N`, and the events that it has printed so far."""

    def __init__(self, test, query="", *options):
        self.events = []
        self.place = None  # the last id, with an event or without
        self._grew = threading.Condition()
        self.process = test.spawn(
            "curl", "-sS", "-N", "-f", *options, test.service.url("/v1/events" + query),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        fields = {}
        for line in self.process.stdout:
            name, _, value = line.rstrip("\n").partition(": ")
            if line != "\n":
                fields[name] = value
                continue
            with self._grew:
                self.place = int(fields["id"]) if "id" in fields else self.place
                if "event" in fields:
                    self.events.append((fields["event"], json.loads(fields["data"])))
                self._grew.notify_all()
            fields = {}
        with self._grew:
            self._grew.notify_all()

    def wait(self, condition, what, seconds=20):
        with self._grew:
            self._grew.wait_for(lambda: condition() or not self._reader.is_alive(),
                                seconds * SLOWNESS)
            assert condition(), f"{what}: {self.events[-3:]} {self.process.poll()}"

    def watches(self):
        self.wait(lambda: self.place is not None, "where history stands")
        return self

    def ids(self):
        return [data["id"] for event, data in self.events if event == "stream"]

    def wait_for_id(self, number):
        self.wait(lambda: self.place is not None and self.place >= number, f"event {number}")

    def wait_end(self, seconds=20):
        return self.process.wait(seconds * SLOWNESS)


class Events(V1Test):
    def newest(self):
        return self.service.sql("SELECT max(id) FROM stream_events")[0][0]

    def ids_since(self, number):
        return [row[0] for row in self.service.sql(
            "SELECT id FROM stream_events WHERE id > ? ORDER BY id", number)]

    def watching_socket(self, query="", small=False):
        """A client that has got the head and is not read from any further."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(peers.PATIENCE)
        sock.connect((self.service.api_host, self.service.api_port))
        sock.sendall(f"GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1)
        return sock, head

    def test_what_happens_is_told_as_history_tells_it(self):
        self.put_ok(self.port)
        every, one = Watcher(self).watches(), Watcher(self, f"?port={self.ports[1]}").watches()
        before = self.newest()
        self.put_ok(self.port, label="web")
        self.put_ok(self.ports[1])
        self.ask("DELETE", self.stream(self.port))
        self.assertEqual(self.service.create(self.ports[2], "a:1"), self.ports[2])
        every.wait_for_id(before + 4)
        self.assertEqual([data for _, data in every.events], self.events("?limit=4")[::-1])
        self.assertEqual([data["action"] for _, data in every.events],
                         ["changed", "created", "removed", "created"])
        one.wait_for_id(before + 2)
        self.put_ok(self.ports[1], label="last")
        one.wait_for_id(before + 5)
        self.assertEqual([data["action"] for _, data in one.events], ["created", "changed"])

    def test_a_session_that_fails_is_told_with_its_reason_and_each_one_where_that_is_asked_for(self):
        backend = self.backend(peers.echo)
        gone = f"127.0.0.1:{peers.free_port()}"
        self.put_ok(self.port, backend.address)
        self.put_ok(self.ports[1], gone)
        failures = Watcher(self, "?types=failure,stream").watches()
        sessions = Watcher(self, f"?types=session,stream&port={self.port}").watches()
        # On a busy machine it is reset before connect() has returned.
        with self.assertRaises(ConnectionResetError), self.client(self.ports[1]) as client:
            peers.read_all(client)
        failures.wait(lambda: failures.events, "the failure")
        event, told = failures.events[0]
        self.assertEqual((event, told["port"], told["reason"], told["fault"], told["error"]),
                         ("failure", self.ports[1], "backend_refused", "backend", "ECONNREFUSED"))
        self.assertIn(gone, told["message"])
        with self.client(self.port) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(peers.read_all(client), b"hello")
        sessions.wait(lambda: len(sessions.events) == 2, "accepted and ended")
        accepted, ended = (data for _, data in sessions.events)
        self.assertEqual([accepted["change"], ended["change"], ended["reason"]],
                         ["accepted", "ended", "finished"])
        self.assertEqual((accepted["id"], accepted["port"]), (ended["id"], self.port))
        self.assertEqual((ended["bytes_in"], ended["bytes_out"]), (5, 5))
        self.assertEqual(len(failures.events), 1)

    def test_after_a_kill_it_goes_on_behind_the_last_event_and_tells_what_came_meanwhile(self):
        first = Watcher(self).watches()
        for port in self.ports[:3]:
            self.put_ok(port)
        first.wait_for_id(3)
        self.service.kill9()
        self.assertNotEqual(first.wait_end(), 0)  # not in order: nobody said an end
        self.service.start()
        self.put_ok(self.ports[3])
        again = Watcher(self, "", "-H", f"Last-Event-ID: {first.place}")
        again.wait_for_id(self.newest())
        self.assertEqual(first.ids() + again.ids(), self.ids_since(0))
        actions = [data["action"] for _, data in again.events]
        self.assertEqual(actions, ["created"])  # a start is no event of its streams

    def test_whoever_comes_again_and_again_while_much_happens_sees_each_event_once(self):
        going = threading.Event()
        going.set()

        def change(port):
            number = 0
            while going.is_set():
                number += 1
                self.put_ok(port, label=str(number))

        seen = []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            changes = [pool.submit(change, port) for port in self.ports[:4]]
            try:
                steady = Watcher(self, "?last_event_id=0")
                place = 0
                for _ in range(12):
                    watcher = Watcher(self, f"?last_event_id={place}")
                    watcher.wait(lambda w=watcher: len(w.events) >= 40, "forty events")
                    watcher.process.kill()
                    watcher.wait_end()
                    ids = watcher.ids()
                    seen += ids
                    place = ids[-1]
            finally:
                going.clear()
            for each in changes:
                each.result()
        self.put_ok(self.ports[0], label="last")  # nobody has seen
        last = self.newest()
        final = Watcher(self, f"?last_event_id={place}")
        final.wait_for_id(last)
        steady.wait_for_id(last)
        self.assertEqual(steady.ids(), self.ids_since(0))
        self.assertEqual(seen + final.ids(), self.ids_since(0))

    def test_a_client_that_takes_nothing_is_dropped_and_costs_the_others_nothing(self):
        other = Watcher(self).watches()
        slow, head = self.watching_socket(small=True)
        self.assertIn(b" 200 OK", head)
        memory = processes.resident_bytes(self.service.pid)
        lines = len(self.service.lines)
        streams = [{"port": port, "backend": "a:1", "enabled": False} for port in self.ports]
        for number in range(700):
            for stream in streams:
                stream["note"] = str(number) + "x" * 1000
            reply = self.ask("POST", "/v1/streams:apply", {"streams": streams})
            self.assertEqual(reply.status, 200, reply.body)
        other.wait_for_id(7000)
        self.assertEqual(other.ids(), list(range(1, 7001)))
        self.service.wait_for_line(
            "a client of the API was dropped, as it takes what it asked for too slowly",
            seconds=30, after=lines, times="1")
        self.assertIn(b"\nstream_conductor_api_slow_readers_total 1\n",
                      self.service.get("/metrics").body)
        with self.assertRaises(ConnectionResetError):
            while slow.recv(65536):
                pass
        # Some 10 MB of events were not kept for it.
        grown = processes.resident_bytes(self.service.pid) - memory
        # A sanitizer's own records of memory grow with what was touched, more than ours.
        if SLOWNESS == 1:
            self.assertLess(grown, 5 * 1024 * 1024)

    def test_a_client_that_goes_makes_room_at_once_where_as_many_watch_as_may(self):
        watching = [self.watching_socket()[0] for _ in range(MOST_WATCHERS)]
        refused = self.service.get("/v1/events")
        self.assert_problem(refused, 503, "unavailable", MOST_WATCHERS)
        self.assertEqual(refused.headers["Retry-After"], "5")
        self.assertEqual(self.service.get("/v1/status").status, 200)
        watching.pop().close()
        wait_until(lambda: b" 200 OK" in self.watching_socket()[1], 5, "a place for one more")

    def test_a_stop_ends_them_in_order_and_a_drain_does_not(self):
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address)
        client = self.client(self.port)
        client.sendall(b"x")
        self.assertEqual(client.recv(1), b"x")
        watcher = Watcher(self).watches()
        self.assertEqual(self.ask("POST", "/v1/drain", {"timeout": "5m"}).status, 202)
        other = Watcher(self).watches()  # one more while it drains
        self.service.kill(signal.SIGTERM)  # the session runs on, and nobody waits for its end
        self.assertEqual((watcher.wait_end(), other.wait_end()), (0, 0))
        self.assertIsNone(self.service.process.poll())
        client.close()
        self.assertEqual(self.service.wait_exit(), 0)
        self.service.check_reports()

    def test_a_client_that_reads_nothing_does_not_hold_up_a_stop(self):
        self.watching_socket()
        self.watching_socket(small=True)
        before = time.monotonic()
        self.service.stop()
        self.assertLess(time.monotonic() - before, 5 * SLOWNESS)

    def test_a_revoked_token_ends_its_own(self):
        def token(*words):
            done = harness.run(harness.BINARY, "token", *words, f"--config={self.service.config}",
                               f"--state-directory={self.service.state}")
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout.strip()

        secrets = [token("create", "--name", name, "--role", "viewer") for name in ("a", "b")]
        watchers = [Watcher(self, "", "-H", f"Authorization: Bearer {secret}").watches()
                    for secret in secrets]
        trusted = Watcher(self).watches()
        token("revoke", "a")
        revoked_at = time.monotonic()
        self.assertEqual(watchers[0].wait_end(), 0)
        self.assertLess(time.monotonic() - revoked_at, 2 * SLOWNESS)
        before = self.newest() or 0
        self.put_ok(self.port)
        for watcher in (watchers[1], trusted):
            watcher.wait_for_id(before + 1)
        self.assertEqual(watchers[0].events, [])


if __name__ == "__main__":
    harness.main()
