#!/usr/bin/env python3
"""A drain that somebody asks for: clients are refused, sessions end, the service stays."""

import signal
import time

import harness
import peers
from v1_client import V1Test
from waiting import SLOWNESS, wait_until


class Drained(V1Test):
    """A stream with an echo behind it, and what tests do with it."""

    flags = {"drain-timeout": "1m"}

    def setUp(self):
        super().setUp()
        self.echo = self.backend(peers.echo)
        self.put_ok(self.port, self.echo.address)

    def session(self):
        session = self.client(self.port)
        self.assert_echoes(session)
        return session

    def assert_echoes(self, session):
        session.sendall(b"hello")
        self.assertEqual(peers.read_exactly(session, 5), b"hello")

    def drain(self, timeout=None):
        reply = self.ask("POST", "/v1/drain", {"timeout": timeout} if timeout else None)
        self.assertEqual(reply.status, 202, reply.body)
        return reply.json

    def status(self):
        return self.ask("GET", "/v1/status").json

    def wait_drained(self, cut):
        self.service.wait_for_line("drained", cut=str(cut))
        wait_until(lambda: self.status()["phase"] == "drained", what="the phase")

    def assert_ends(self, seconds):
        """From now on."""
        before = time.monotonic()
        self.assertEqual(self.service.wait_exit(), 0)
        self.assertLess(time.monotonic() - before, seconds * SLOWNESS)


class OnRequest(Drained):
    def test_new_clients_are_refused_and_sessions_go_on_until_they_end(self):
        session = self.session()
        answer = self.drain()
        self.assertEqual((answer["phase"], answer["sessions_active"]), ("draining", 1))
        wait_until(lambda: not peers.accepts(self.port), 5, "a refusal, not a wait in the backlog")
        self.assert_echoes(session)
        # A client that came just before is a session for a moment.
        wait_until(lambda: answer.items() <= self.status().items(), what=f"the same as {answer}")
        session.close()
        self.wait_drained(0)
        self.assertEqual(self.status()["sessions_active"], 0)
        self.service.kill(signal.SIGTERM)
        self.assert_ends(2)
        self.service.wait_for_line("stopping", sessions="0")

    def test_the_api_answers_but_takes_no_changes(self):
        held = self.listener(self.ports[1], "0.0.0.0")
        session = self.session()
        self.drain()
        for phase in ("draining", "drained"):
            reply = self.ask("GET", "/readyz")
            self.assertEqual((reply.status, reply.json["detail"]), (503, f"the service is {phase}"))
            self.assertEqual(self.listed(), {self.port: self.echo.address})
            self.assertEqual(self.ask("GET", self.stream(self.port)).json["state"], "draining")
            self.assertEqual(self.status()["streams"]["listening"], 0)
            for reply in (self.put(self.port), self.put(self.ports[1]),
                          self.ask("DELETE", self.stream(self.port))):
                self.assert_problem(reply, 503, "unavailable", "draining")
            legacy = self.service.get(f"/createstream/{self.ports[2]}/127.0.0.1:7000").json
            self.assertEqual(legacy["result"], "error")
            self.assertIn("draining", legacy["errors"])
            if phase == "draining":
                session.close()
                self.wait_drained(0)
        held.close()

    def test_a_restart_opens_everything_again(self):
        self.drain()
        self.wait_drained(0)
        self.service.stop()
        self.service.start()
        self.session()
        self.assertEqual(self.status()["phase"], "serving")
        self.assertIsNone(self.status()["drain_until"])
        self.assertEqual(self.service.history(self.port), ["created"])

    def test_what_outlasts_the_time_out_is_cut_and_the_service_stays(self):
        session = self.session()
        before = time.monotonic()
        self.drain("500ms")
        with self.assertRaises(ConnectionResetError):
            session.recv(1)
        took = time.monotonic() - before
        self.assertGreater(took, 0.4)
        self.assertLess(took, 3 * SLOWNESS)
        self.wait_drained(1)

    def test_a_second_request_changes_nothing(self):
        session = self.session()
        first = self.drain("1h")
        self.assertEqual(self.drain("0"), first)
        self.service.kill(signal.SIGUSR1)
        self.service.wait_for_line("a drain has begun already, its limit stays", actor="SIGUSR1")
        self.assertEqual(self.drain(), first)
        self.assert_echoes(session)
        session.close()
        self.wait_drained(0)
        self.assertEqual(self.drain("5m"), {**first, "phase": "drained", "sessions_active": 0})

    def test_sigusr1_drains_as_the_service_is_set(self):
        session = self.session()
        self.service.kill(signal.SIGUSR1)
        self.service.wait_for_line("draining", sessions="1", timeout="1m", actor="SIGUSR1")
        wait_until(lambda: not peers.accepts(self.port), 5, "the closed port")
        self.assert_echoes(session)
        session.close()
        self.wait_drained(0)

    def test_who_asked_is_in_the_log(self):
        self.ask("POST", "/v1/drain", headers={"X-Request-Id": "night-7"})
        self.service.wait_for_line("draining", actor="127.0.0.1", request_id="night-7")

    def test_a_stop_in_a_drain_waits_for_its_sessions(self):
        session = self.session()
        self.drain("1h")
        self.service.kill(signal.SIGTERM)
        self.service.wait_for_line("stopping", sessions="1")
        self.assert_echoes(session)
        session.close()
        self.assert_ends(2)
        self.service.wait_for_line("drained", cut="0")

    def test_a_second_stop_in_a_drain_ends_it_at_once(self):
        session = self.session()
        self.drain("1h")
        self.service.kill(signal.SIGTERM)
        self.service.wait_for_line("stopping", sessions="1")
        self.service.kill(signal.SIGTERM)
        self.assert_ends(2)
        with self.assertRaises(ConnectionResetError):
            session.recv(1)

    def test_a_reload_in_a_drain_leaves_the_streams_alone(self):
        self.drain()
        self.wait_drained(0)
        harness.run("sqlite3", self.service.database, "PRAGMA busy_timeout = 10000; INSERT INTO"
                    f" streams (port, backend) VALUES ({self.ports[1]}, '{self.echo.address}')")
        self.service.kill(signal.SIGHUP)
        self.service.wait_for_line("the streams stay as they are, as the service is draining")
        self.assertEqual(self.listed(), {self.port: self.echo.address})
        self.service.stop()
        self.service.start()
        self.assertTrue(peers.accepts(self.ports[1]))


class StoppedSooner(Drained):
    flags = {"drain-timeout": "500ms"}

    def test_a_stop_waits_no_longer_than_a_stop_does(self):
        session = self.session()
        self.drain("1h")
        before = time.monotonic()
        self.service.kill(signal.SIGTERM)
        self.assert_ends(4)
        self.assertGreater(time.monotonic() - before, 0.4)
        with self.assertRaises(ConnectionResetError):
            session.recv(1)
        self.service.wait_for_line("drained", cut="1")


if __name__ == "__main__":
    harness.main()
