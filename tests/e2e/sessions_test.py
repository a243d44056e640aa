#!/usr/bin/env python3
"""Sessions over the API, with real sockets: lists, what the kernel knows, kills, failures, checks."""

import contextlib
import socket
import threading

import harness
import peers
from v1_client import V1Test
from waiting import wait_until

PAGE = 7


class Sessions(V1Test):
    def setUp(self):
        super().setUp()
        self.echo = self.backend(peers.echo)
        self.put_ok(self.port, self.echo.address)

    def running(self, query=""):
        reply = self.ask("GET", "/v1/sessions" + query)
        self.assertEqual(reply.status, 200, reply.json)
        return reply.json["sessions"]

    def one(self, session):
        return f"/v1/sessions/{session['id']}"

    def talk(self, port=None, text=b"hello"):
        """A client whose session relays."""
        client = self.client(port or self.port)
        client.sendall(text)
        self.assertEqual(peers.read_exactly(client, len(text)), text)
        return client

    def assert_reset(self, sock):
        with self.assertRaises(ConnectionResetError):
            while sock.recv(65536):
                pass


class Lists(Sessions):
    def test_a_session_that_runs_is_told_as_it_is(self):
        client = self.talk()
        host, port = client.getsockname()
        wait_until(lambda: self.running()[0]["bytes_out"] == 5, 10, "the bytes")
        session, = self.running()
        self.assertEqual(session["client"], f"{host}:{port}")
        self.assertEqual((session["port"], session["state"]), (self.port, "relaying"))
        self.assertEqual((session["backend"], session["address"]), (self.echo.address,) * 2)
        self.assertEqual((session["bytes_in"], session["bytes_out"]), (5, 5))
        self.assertLessEqual(session["connected_after_ms"], session["first_byte_after_ms"])
        self.assertFalse(session["durable"])  # no manager keeps anything here
        client.close()
        wait_until(lambda: self.running() == [], 10, "its end")
        self.assert_problem(self.ask("GET", self.one(session)), 404, "not-found", session["id"])

    def test_filters_leave_out_what_is_not_asked_for(self):
        other = self.ports[1]
        self.put_ok(other, self.echo.address)
        first = self.talk()
        self.talk(other, b"x" * 1000)
        wait_until(lambda: sum(each["bytes_out"] for each in self.running()) == 1005, 10, "bytes")

        def ports(query):
            return [each["port"] for each in self.running(query)]

        self.assertEqual(ports(""), [other, self.port])  # the latest first
        self.assertEqual(ports(f"?port={self.port}"), [self.port])
        self.assertEqual(ports("?client=127.0.0.1"), [other, self.port])
        self.assertEqual(ports("?client=127.0.0.2"), [])
        self.assertEqual(ports("?min_bytes=2000"), [other])
        self.assertEqual(ports("?min_age=1h"), [])
        age = self.running(f"?port={self.port}")[0]["age_ms"]
        self.assertEqual(ports(f"?port={self.port}&min_age={age}ms"), [self.port])
        first.close()

    def test_pages_have_each_session_that_stays_once_while_others_come_and_go(self):
        stay = [self.talk() for _ in range(25)]
        wait_until(lambda: len(self.running()) == 25, 10, "the sessions")
        wanted = {each["client"] for each in self.running()}
        over = threading.Event()

        def come_and_go():
            while not over.is_set():
                with peers.connect(self.port) as client:
                    client.sendall(b"x")
                    client.recv(1)

        visitors = threading.Thread(target=come_and_go)
        visitors.start()
        try:
            for _ in range(3):
                seen = self.clients_of_all_pages()
                self.assertEqual(len(seen), len(set(seen)), "one is on two pages")
                self.assertLessEqual(wanted, set(seen))
        finally:
            over.set()
            visitors.join()
        self.assertEqual(len(stay), 25)

    def clients_of_all_pages(self):
        seen, last = [], None
        target = f"/v1/sessions?limit={PAGE}&port={self.port}"
        while target:
            reply = self.ask("GET", target)
            page = reply.json["sessions"]
            for session in page:
                self.assertTrue(last is None or int(session["id"]) < last, "not the latest first")
                last = int(session["id"])
                seen.append(session["client"])
            link = reply.headers["Link"]
            self.assertEqual(link is None, reply.json["next_cursor"] is None)
            self.assertTrue(link is None or len(page) == PAGE)
            target = link and link.partition("<")[2].partition(">")[0]
        return seen


class Kernel(Sessions):
    def test_of_a_client_that_does_not_read_it_is_told_what_waits(self):
        listener = self.listener()
        self.put_ok(self.port, f"127.0.0.1:{listener.getsockname()[1]}")
        client = self.client(self.port)
        backend, _ = listener.accept()
        self.addCleanup(backend.close)
        backend.setblocking(False)
        wait_until(lambda: self.running(), 10, "the session")
        session, = self.running()

        def facts():
            return self.ask("GET", self.one(session)).json

        def waits():
            with contextlib.suppress(BlockingIOError):
                while True:
                    backend.send(b"x" * 65536)
            told = facts()
            return told["client_socket"]["unsent"] > 0 and told["backend_socket"]["unread"] > 0

        wait_until(waits, 10, "bytes that wait")
        told = facts()
        self.assertGreater(told["client_socket"]["unacknowledged"], 0)
        self.assertEqual(told["backend_socket"]["unsent"], 0)
        self.assertEqual(told["client_socket"]["state"], "established")
        self.assertEqual(told["client_socket"]["local"], f"127.0.0.1:{self.port}")
        client.close()

    def test_of_one_that_is_served_nothing_waits(self):
        self.talk()
        session, = self.running()
        told = self.ask("GET", self.one(session)).json
        for side in ("client_socket", "backend_socket"):
            self.assertEqual((told[side]["unread"], told[side]["unsent"]), (0, 0))
            self.assertGreater(told[side]["mss"], 0)
        host, port = told["backend_socket"]["local"].rsplit(":", 1)
        self.assertEqual((host, port != str(self.port)), ("127.0.0.1", True))


class Kills(Sessions):
    def test_a_killed_session_is_seen_as_a_reset_by_both_and_the_others_go_on(self):
        listener = self.listener()
        self.put_ok(self.port, f"127.0.0.1:{listener.getsockname()[1]}")
        pairs = []
        for _ in range(2):
            client = self.client(self.port)
            backend, _ = listener.accept()
            self.addCleanup(backend.close)
            backend.settimeout(peers.PATIENCE)
            client.sendall(b"hello")
            self.assertEqual(peers.read_exactly(backend, 5), b"hello")
            pairs.append((client, backend))
        _, first = self.running()
        reply = self.ask("DELETE", self.one(first))
        self.assertEqual(reply.status, 200, reply.json)
        self.assertEqual((reply.json["id"], reply.json["reason"]), (first["id"], "killed"))
        self.assertEqual((reply.json["fault"], reply.json["bytes_in"]), ("operator", 5))
        for sock in pairs[0]:
            self.assert_reset(sock)
        pairs[1][0].sendall(b"there")
        self.assertEqual(peers.read_exactly(pairs[1][1], 5), b"there")
        self.assert_problem(self.ask("DELETE", self.one(first)), 404, "not-found")
        self.service.wait_for_line("session killed", session=first["id"], actor="127.0.0.1")
        stream = self.ask("GET", self.stream(self.port)).json
        self.assertEqual(stream["ended"], {"killed": 1})

    def test_one_whose_backend_does_not_answer_can_be_killed_too(self):
        full = self.listener(backlog=0)
        self.addCleanup(socket.create_connection(full.getsockname()).close)
        self.put_ok(self.port, f"127.0.0.1:{full.getsockname()[1]}", connect_timeout="1m")
        client = self.client(self.port)
        wait_until(lambda: [each["state"] for each in self.running()] == ["dialing"], 10, "a dial")
        session, = self.running()
        self.assertIsNone(self.ask("GET", self.one(session)).json["backend_socket"])
        self.assertEqual(self.ask("DELETE", self.one(session)).json["phase"], "connect")
        self.assert_reset(client)

    def test_who_may_change_other_ports_alone_may_not(self):
        def bearer(name, *words):
            done = harness.run(harness.BINARY, "token", "create", "--name", name, *words,
                               f"--config={self.service.config}",
                               f"--state-directory={self.service.state}")
            self.assertEqual(done.returncode, 0, done.stderr)
            return {"Authorization": "Bearer " + done.stdout.strip()}

        self.talk()
        path = self.one(self.running()[0])
        other = bearer("other", "--role", "operator", "--ports", str(self.ports[1]))
        viewer = bearer("viewer", "--role", "viewer")
        check = self.stream(self.port) + ":check"
        for token in (other, viewer):
            self.assert_problem(self.ask("DELETE", path, headers=token), 403, "forbidden")
            self.assert_problem(self.ask("POST", check, headers=token), 403, "forbidden")
            self.assertEqual(self.ask("GET", path, headers=token).status, 200)
        own = bearer("own", "--role", "operator", "--ports", str(self.port))
        self.assertEqual(self.ask("POST", check, headers=own).status, 200)
        self.assertEqual(self.ask("DELETE", path, headers=own).status, 200)


class Failures(Sessions):
    def test_a_refused_session_is_told_in_words_and_after_the_port_was_closed_too(self):
        nobody = f"127.0.0.1:{peers.free_port()}"
        self.put_ok(self.port, nobody)
        self.assert_is_reset(self.port)
        path = self.stream(self.port) + "/failures"
        wait_until(lambda: self.ask("GET", path).json["failures"], 10, "the failure")
        failure, = self.ask("GET", path).json["failures"]
        self.assertEqual((failure["reason"], failure["fault"]), ("backend_refused", "backend"))
        self.assertEqual((failure["error"], failure["backend"]), ("ECONNREFUSED", nobody))
        self.assertIn(f"backend {nobody} refused the connection (ECONNREFUSED)", failure["message"])
        self.assertEqual([each["result"] for each in failure["tried"]], ["failed"])
        for enabled in (False, True):
            self.ask("PATCH", self.stream(self.port), {"enabled": enabled})
            self.assertEqual(self.ask("GET", path).json["failures"], [failure])
        stream = self.ask("GET", self.stream(self.port)).json
        self.assertEqual(stream["ended"], {"backend_refused": 1})
        self.ask("DELETE", self.stream(self.port))
        self.put_ok(self.port, nobody)
        self.assertEqual(self.ask("GET", path).json["failures"], [])  # of another stream

    def test_a_session_lives_as_long_as_its_stream_lets_it(self):
        self.put_ok(self.port, self.echo.address, lifetime="1s")
        client = self.talk()
        self.assert_reset(client)
        path = self.stream(self.port) + "/failures"
        wait_until(lambda: self.ask("GET", path).json["failures"], 10, "the end")
        failure, = self.ask("GET", path).json["failures"]
        self.assertEqual((failure["reason"], failure["fault"]), ("lifetime", "policy"))
        self.assertGreaterEqual(failure["ended_after_ms"], 1000)


class Checks(Sessions):
    def check(self, **fields):
        self.put_ok(self.port, **fields)
        reply = self.ask("POST", self.stream(self.port) + ":check")
        self.assertEqual(reply.status, 200, reply.json)
        return reply.json

    def test_a_backend_that_answers_is_reachable_even_of_a_disabled_stream(self):
        told = self.check(backend=self.echo.address, enabled=False)
        self.assertTrue(told["reachable"])
        self.assertEqual((told["reason"], told["message"]), (None, ""))
        self.assertEqual(told["address"], self.echo.address)
        self.assertGreaterEqual(told["took_ms"], told["tried"][0]["took_ms"])
        told = self.check(backend=f"localhost:{self.echo.port}")
        self.assertTrue(told["reachable"], told)
        self.assertIsNotNone(told["resolved_after_ms"])
        self.assertIn(f"127.0.0.1:{self.echo.port}", told["addresses"])

    def test_one_that_does_not_is_told_why(self):
        told = self.check(backend=f"127.0.0.1:{peers.free_port()}")
        self.assertEqual((told["reachable"], told["reason"]), (False, "backend_refused"))
        self.assertEqual(told["tried"][0]["error"], "ECONNREFUSED")
        self.assertIn("ECONNREFUSED", told["message"])
        full = self.listener(backlog=0)
        self.addCleanup(socket.create_connection(full.getsockname()).close)
        told = self.check(backend=f"127.0.0.1:{full.getsockname()[1]}", connect_timeout="200ms")
        self.assertEqual((told["reachable"], told["reason"]), (False, "backend_timeout"))
        self.assertGreaterEqual(told["took_ms"], 200)
        self.assertEqual(self.ask("GET", self.stream(self.port)).json["sessions_total"], 0)


if __name__ == "__main__":
    harness.main()
