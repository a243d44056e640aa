"""sc-traffic finds all right what is, through the service too, and notices what is not."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import harness  # pylint: disable=wrong-import-position
import spoiling  # pylint: disable=wrong-import-position
import traffic  # pylint: disable=wrong-import-position

ALL_MODES = {"modes": "both,down-last,up-last,ping-pong,reply", "message": 1000}
SPOILT_AT = 100_000


class TrafficTest(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.traffic = traffic.Traffic()
        self.addCleanup(self.traffic.stop)

    def right(self, port, **options):
        return traffic.assert_right(self.traffic.client(port, **options).outcome(),
                                    options.get("sessions", 1))


class Straight(TrafficTest):
    def test_every_mode_is_right_with_all_sizes(self):
        for up, down in ((0, 0), (1, 0), (0, 1), (65537, 3), (3, 65537), (1_000_000, 1_000_000)):
            with self.subTest(up=up, down=down):
                self.right(self.traffic.port, sessions=10, up=up, down=down, **ALL_MODES)
                self.right(self.traffic.banner_port, sessions=10, up=up, down=down, banner=True,
                           **ALL_MODES)
        outcome = traffic.assert_right(self.traffic.finish(), 120)
        self.assertEqual(outcome["bytes_up"], 20 * 1_065_541)
        self.assertEqual(outcome["bytes_down"], 20 * 1_065_541)

    def test_two_thousand_sessions_at_once(self):
        self.right(self.traffic.port, sessions=2000, up=5000, down=5000, rate=10_000)
        traffic.assert_right(self.traffic.finish(), 2000)

    def test_rates_hold_either_end_back(self):
        for options in ({"rate": 2_000_000}, {"receive_rate": 2_000_000},
                        {"backend_receive_rate": 2_000_000}):
            with self.subTest(options):
                outcome = self.right(self.traffic.port, up=1_000_000, down=1_000_000,
                                     modes="reply", **options)
                self.assertGreater(outcome["seconds"], 0.4)

    def test_a_client_that_nobody_answers_is_bad(self):
        outcome = self.traffic.begin("client", self.listener().getsockname()[1],
                                     down=1, patience=1).outcome()
        self.assertEqual((outcome["code"], outcome["bad"]), (1, 1))
        self.assertIn("nothing moved for 1 s", outcome["errors"][0])


class Notices(TrafficTest):
    def spoil(self, spoil, **options):
        """What the two ends find."""
        relay = spoiling.SpoilingRelay(self.traffic.port, spoil, SPOILT_AT)
        try:
            client = self.traffic.begin("client", relay.port, **options).outcome()
        finally:
            relay.close()
        return client, self.traffic.finish()

    def check(self, spoil, **options):
        client, backend = self.spoil(spoil, **options)
        receiver = backend if "up" in options else client
        found = receiver["code"], receiver["bad"], receiver["wrong"]
        self.assertEqual(found, (1, 1, 1), receiver)

    def test_a_changed_byte_on_the_way_up(self):
        self.check(spoiling.changed, up=1_000_000)

    def test_a_changed_byte_on_the_way_down(self):
        self.check(spoiling.changed, down=1_000_000)

    def test_a_byte_lost_and_one_doubled(self):
        self.check(spoiling.moved, down=1_000_000)

    def test_a_lost_byte(self):
        self.check(spoiling.lost, up=1_000_000)

    def test_a_doubled_byte(self):
        self.check(spoiling.doubled, down=1_000_000)

    def test_an_end_that_comes_early(self):
        def cut(chunk, at):
            raise OSError(len(chunk), at)

        for outcome in self.spoil(cut, up=1_000_000, down=1_000_000):
            found = outcome["code"], outcome["bad"], outcome["wrong"]
            self.assertEqual(found, (1, 1, 0), outcome)


class ThroughTheService(TrafficTest):
    def setUp(self):
        super().setUp()
        self.service = self.start_service(2)
        self.port, self.banner_port = self.service.ports
        self.service.create(self.port, f"127.0.0.1:{self.traffic.port}")
        self.service.create(self.banner_port, f"127.0.0.1:{self.traffic.banner_port}")

    def test_every_mode_is_right(self):
        self.right(self.port, sessions=20, up=1_000_000, down=1_000_000, **ALL_MODES)
        self.right(self.banner_port, sessions=20, up=100_000, down=100_000, banner=True,
                   **ALL_MODES)
        traffic.assert_right(self.traffic.finish(), 40)

    def test_held_sessions_are_alive_at_the_end(self):
        held = self.traffic.hold(self.port, 200)
        traffic.assert_right(held.outcome(), 200)

    def test_a_held_session_that_was_cut_is_bad(self):
        held = self.traffic.hold(self.port, 3)
        self.service.kill9()
        outcome = held.outcome()
        self.assertEqual((outcome["code"], outcome["bad"], outcome["wrong"]), (1, 3, 0), outcome)

    def test_short_sessions_at_a_rate(self):
        run = self.traffic.begin("rate", self.port, per_second=500, seconds=1)
        outcome = traffic.assert_right(run.outcome(), 500)
        self.assertGreater(outcome["max_ms"], outcome["p50_ms"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
