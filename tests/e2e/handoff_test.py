#!/usr/bin/env python3
"""Sessions outlive kill -9 and restarts of the service, to the byte."""

import signal
import socket
import sqlite3
import unittest

import handoff
import harness
import peers
from handoff import scaled
from waiting import SLOWNESS, wait_until

MB = 1_000_000


class Sessions(handoff.Traffics, handoff.HandoffTest):
    """Kept from the moment in which their client was accepted."""

    def early(self, backend_port=None):
        return self.host.stream(backend_port or self.traffic.port, durable="early")

    def test_a_session_up_and_down_at_once_outlives_16_kills(self):
        port = self.early()
        clients = self.host.kill_under(
            lambda: self.traffic.client(port, up=20 * MB, down=20 * MB, rate=8 * MB), 16, 0.1)
        self.right(*clients, sessions=len(clients))
        self.host.check_store()

    def test_half_closed_sessions_outlive_kills_also_before_it_is_ready(self):
        port = self.early()
        clients = self.host.kill_under(
            lambda: self.traffic.client(port, sessions=20, up=MB, down=MB, rate=MB // 4,
                                        modes="both,down-last"), 30, 0.1, early=True)
        self.assertGreater(self.host.early_kills, 3)
        self.right(*clients, sessions=20 * len(clients))
        self.host.check_store()

    def begin_talks(self, port):
        """Small messages back and forth as fast as they go, some seconds of them."""
        kinds = [(20, 64, MB), (10, 4000, 15 * MB), (4, 15_000, 30 * MB)]
        talks = {self.traffic.begin("client", port, sessions=sessions, up=scaled(size),
                                    down=scaled(size), modes="ping-pong", message=message): sessions
                 for sessions, message, size in kinds}
        for talk in talks:
            talk.line()  # all are connected
        return talks

    def test_a_kill_in_the_middle_of_a_message_neither_loses_nor_doubles_it(self):
        port = self.early()
        rescued = 0
        for _ in range(10):
            talks = self.begin_talks(port)
            while rescued < 3 and not any(talk.ends_within(0) for talk in talks):
                next(iter(talks)).ends_within(self.host.random.uniform(0.01, 0.05) * SLOWNESS)
                self.host.again()
                line = self.host.service.wait_for_line("took over from a former process")
                rescued += int(line.fields["rescued_messages"])
            for talk, sessions in talks.items():
                handoff.traffic.assert_right(talk.outcome(), sessions)
            if rescued >= 3:
                break
        self.assertGreaterEqual(rescued, 3)
        self.host.check_store()

    def test_clients_that_come_while_it_is_down_wait_and_are_served(self):
        port = self.early()
        self.host.end()
        client = self.traffic.client(port, sessions=20, up=MB, down=MB)
        self.host.launch()
        self.host.wait_ready()
        self.right(client, sessions=20)

    def test_a_restart_by_sigterm_keeps_them(self):
        client = self.traffic.client(self.early(), sessions=6, up=scaled(2 * MB),
                                     down=scaled(2 * MB), rate=MB, modes="both,down-last")
        self.host.kill_during(client, 6, 0.1, signal.SIGTERM)
        self.right(client, sessions=6)
        self.host.check_store()

    def test_an_urgent_byte_passes_in_its_place_before_and_after_a_kill(self):
        client = self.client(self.early(self.backend(peers.echo).port))
        for _ in range(2):
            client.sendall(b"ab")
            client.send(b"!", socket.MSG_OOB)
            client.sendall(b"cd")
            self.assertEqual(peers.read_exactly(client, 5), b"ab!cd")
            self.host.again()
        client.close()

    def test_silent_sessions_are_alive_afterwards(self):
        held = self.traffic.hold(self.early(), 300)
        self.host.again()
        self.host.again(signal.SIGTERM)
        self.host.again()
        self.right(held, sessions=300)
        self.host.check_store()


class ShortSessions(handoff.HandoffTest):
    def rate(self, durable):
        """What came of short sessions, and how often it was killed meanwhile."""
        port = self.host.stream(self.traffic.port, durable=durable)
        run = self.traffic.begin("rate", port, per_second=300 / SLOWNESS, seconds=2.5 * SLOWNESS,
                                 rate=25_000)  # each lives for 20 ms or more
        self.host.kill_during(run, 10, 0.15)
        outcome = run.outcome()
        self.assertEqual(outcome["wrong"], 0, outcome)
        self.assertEqual(outcome["good"] + outcome["bad"], int(300 * 2.5))
        self.host.check_store()
        return outcome

    def test_early_ones_fail_at_most_in_the_instant_of_their_accept(self):
        # Between accept4 and the copy there are microseconds that no process can close.
        outcome = self.rate("early")
        self.assertLessEqual(outcome["bad"], 1, outcome)

    def test_established_ones_hardly_ever_fail(self):
        # At a kill those break whose backend is being dialled: the more the slower all is.
        outcome = self.rate("established")
        self.assertLessEqual(outcome["bad"], 5 * SLOWNESS, outcome)


class Fields(handoff.HandoffTest):
    """What is told of durability, by the operator and by the service."""

    environment = {}

    def cut(self, client, sessions):
        """All were ended, and no byte was wrong."""
        outcome = client.outcome()
        self.assertEqual((outcome["good"], outcome["bad"], outcome["wrong"]), (0, sessions, 0),
                         outcome)
        return outcome

    def finish_with(self, good, bad):
        outcome = self.traffic.finish()
        self.assertEqual((outcome["good"], outcome["bad"], outcome["wrong"]), (good, bad, 0),
                         outcome)

    def both(self, port, **options):
        return self.traffic.client(port, sessions=3, up=scaled(2 * MB), down=scaled(2 * MB),
                                   rate=MB, **options)

    def test_one_whose_stream_is_not_durable_ends_and_the_others_go_on(self):
        port = self.host.stream(self.traffic.port, durable="off")
        off = self.both(port)
        on = self.both(self.host.stream(self.traffic.port, durable="early"))
        self.host.wait_flowing(port, 3)
        self.host.wait_durable(3)
        self.host.again()
        self.cut(off, 3)
        self.assertEqual(on.outcome()["good"], 3)
        self.finish_with(3, 3)

    def test_without_a_word_they_are_kept_once_they_are_a_second_old(self):
        client = self.both(self.host.stream(self.traffic.port))
        self.host.wait_durable(3)
        self.assertFalse(client.ends_within(0))
        self.host.again()
        self.right(client, sessions=3)

    def test_a_stream_that_was_removed_meanwhile_has_its_sessions_reset(self):
        port = self.host.stream(self.traffic.port, durable="early")
        removed = self.both(port)
        others = self.both(self.host.stream(self.traffic.port, durable="early"))
        self.host.wait_durable(6)
        self.host.wait_flowing(port, 3)
        self.host.end()
        connection = sqlite3.connect(self.host.service.database)
        with connection:
            connection.execute("DELETE FROM streams WHERE port = ?", (port,))
        connection.close()
        self.host.launch()
        self.host.wait_ready()
        outcome = self.cut(removed, 3)
        self.assertTrue(all("ECONNRESET" in error for error in outcome["errors"]), outcome)
        self.assertEqual(others.outcome()["good"], 3)
        self.finish_with(3, 3)
        self.assertFalse(peers.accepts(port))
        self.host.check_store()


class NoStore(handoff.HandoffTest):
    most = 0

    def test_it_works_and_says_that_nothing_is_durable(self):
        port = self.host.stream(self.traffic.port, durable="early")
        self.right(self.traffic.client(port, sessions=5, up=MB, down=MB), sessions=5)
        durability = self.host.durability()
        self.assertEqual(durability["sessions"], 0)
        self.assertFalse(durability["available"], durability)
        self.assertTrue(durability["reason"], durability)
        self.assertEqual(sum(durability["not_durable"].values()), 5, durability)
        self.assertEqual(self.host.stored(), 0)

    def test_after_a_kill_it_opens_its_streams_and_serves(self):
        port = self.host.stream(self.traffic.port)
        cut = self.traffic.client(port, up=100 * MB, down=100 * MB, rate=MB)
        self.host.wait_flowing(port, 1)
        self.host.again()
        outcome = cut.outcome()
        self.assertEqual((outcome["bad"], outcome["wrong"]), (1, 0), outcome)
        after = self.traffic.client(port, sessions=5, up=MB, down=MB).outcome()
        self.assertEqual(after["good"], 5, after)


class SmallStore(handoff.HandoffTest):
    most = 2

    def test_sessions_beyond_it_are_not_durable_and_are_counted(self):
        port = self.host.stream(self.traffic.port, durable="early")
        clients = [self.traffic.client(port, sessions=200, up=scaled(100_000),
                                       down=scaled(100_000), rate=50_000) for _ in range(3)]
        wait_until(lambda: sum(self.host.durability()["not_durable"].values()) > 0, 10, "a refusal")
        self.assertLessEqual(self.host.stored(), 2)
        self.host.again()
        outcomes = [client.outcome() for client in clients]
        self.assertEqual(sum(outcome["wrong"] for outcome in outcomes), 0, outcomes)
        self.assertEqual(self.traffic.finish()["wrong"], 0)
        after = handoff.traffic.Traffic()
        self.addCleanup(after.stop)
        served = after.client(self.host.stream(after.port), sessions=5, up=MB, down=MB).outcome()
        self.assertEqual(served["good"], 5, served)


if __name__ == "__main__":
    harness.main()
