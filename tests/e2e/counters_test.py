#!/usr/bin/env python3
"""What streams have carried is told on after any end of the process."""

import signal

import handoff
import harness
import peers
from v1_client import V1Test
from waiting import wait_until

COUNTS = ("sessions_total", "bytes_in", "bytes_out")


def counts(reply):
    return tuple(reply.json[name] for name in COUNTS)


class Counters(V1Test):
    def carried(self, port):
        return counts(self.ask("GET", self.stream(port)))

    def say_hello(self, port):
        before = self.carried(port)
        self.assert_says(port, b"hello")
        wanted = (before[0] + 1, before[1], before[2] + 5)
        wait_until(lambda: self.carried(port) == wanted, 10, f"{wanted}")

    def setUp(self):
        super().setUp()
        self.hello = self.backend(peers.says(b"hello")).address
        for port in self.ports[:2]:
            self.put_ok(port, self.hello)

    def test_a_restart_begins_where_the_process_before_ended(self):
        for port in (self.ports[0], self.ports[0], self.ports[1]):
            self.say_hello(port)
        self.ask("PATCH", self.stream(self.ports[1]), {"enabled": False})
        self.assertEqual(self.carried(self.ports[1]), (1, 0, 5))
        for total in (3, 4):
            self.service.stop()
            self.service.start()
            self.assertEqual(self.carried(self.ports[1]), (1, 0, 5))
            self.say_hello(self.ports[0])
            self.assertEqual(self.carried(self.ports[0]), (total, 0, 5 * total))
        self.ask("PATCH", self.stream(self.ports[1]), {"enabled": True})
        self.say_hello(self.ports[1])
        self.assertEqual(self.carried(self.ports[1]), (2, 0, 10))

    def test_a_kill_loses_nothing_that_was_saved(self):
        self.say_hello(self.ports[0])
        self.service.stop()
        self.service.start()
        self.say_hello(self.ports[0])
        self.service.kill9()
        rows = self.service.sql("SELECT port, sessions, bytes_out FROM traffic")
        self.assertEqual(rows, [(self.ports[0], 1, 5)])
        self.service.start()
        self.assertGreaterEqual(self.carried(self.ports[0]), (1, 0, 5))

    def test_a_stream_that_is_created_again_begins_at_nothing(self):
        self.say_hello(self.ports[0])
        self.service.stop()
        self.service.start()
        self.ask("DELETE", self.stream(self.ports[0]))
        self.put_ok(self.ports[0], self.hello)
        self.assertEqual(self.carried(self.ports[0]), (0, 0, 0))
        self.service.stop()
        self.service.start()
        self.assertEqual(self.carried(self.ports[0]), (0, 0, 0))

    def test_a_changed_stream_goes_on_counting(self):
        self.say_hello(self.ports[0])
        self.put_ok(self.ports[0], self.hello, label="x", listen_address="127.0.0.1")
        self.assertEqual(self.carried(self.ports[0]), (1, 0, 5))
        self.say_hello(self.ports[0])


class KeptSessions(handoff.HandoffTest):
    def carried(self):
        return counts(self.host.service.get(f"/v1/streams/{self.port}"))

    def talk(self, client):
        _, there, back = self.carried()
        client.sendall(b"hello")
        self.assertEqual(peers.read_exactly(client, 5), b"hello")
        wait_until(lambda: self.carried()[1:] == (there + 5, back + 5), 10, "the bytes")

    def setUp(self):
        super().setUp()
        self.port = self.host.stream(self.backend(peers.echo).port, durable="early")

    def test_of_one_that_goes_on_everything_is_counted_once(self):
        client = self.client(self.port)
        self.talk(client)
        self.host.wait_durable(1)
        for rounds in range(2, 5):
            self.host.again(signal.SIGTERM)
            self.talk(client)
            self.assertEqual(self.carried(), (1, 5 * rounds, 5 * rounds))

    def test_after_a_kill_there_is_no_less_than_was_saved_and_none_twice(self):
        client = self.client(self.port)
        self.talk(client)
        self.host.again(signal.SIGTERM)
        self.talk(client)
        late = self.client(self.port)
        self.talk(late)
        self.host.wait_durable(2)
        self.host.again(signal.SIGKILL)
        sessions, there, back = self.carried()
        self.assertIn(sessions, (1, 2))  # the late one may be too young to tell
        self.assertTrue(5 <= there <= 15 and 5 <= back <= 15, (there, back))
        self.talk(client)
        self.talk(late)
        self.assertEqual(self.carried(), (sessions, there + 10, back + 10))


if __name__ == "__main__":
    harness.main()
