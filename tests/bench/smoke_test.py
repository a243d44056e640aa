"""The benchmark runs, its bytes are right, it notices those that are not, and it leaves nothing."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/bench"), str(ROOT / "tests/e2e")]

import launch  # pylint: disable=wrong-import-position
import procfs  # pylint: disable=wrong-import-position
from spoiling import SpoilingRelay, changed, moved  # pylint: disable=wrong-import-position

LOAD = os.environ.get("STREAM_CONDUCTOR_LOAD",
                      str(ROOT / "build/tests/bench/stream-conductor-load"))
SPOILT_AT = 100_000  # a position in each direction


class Notices(unittest.TestCase):
    def setUp(self):
        self.load = launch.Load(LOAD, os.sched_getaffinity(0))
        self.addCleanup(self.load.stop)
        self.load.start_backend(verify=True)

    def check(self, kind, spoil, command, **options):
        relay = SpoilingRelay(self.load.ports[kind], spoil, SPOILT_AT)
        try:
            with self.assertRaisesRegex(launch.Failed, "wrong byte"):
                self.load.run(command, relay.port, **options)
        finally:
            relay.close()

    def test_a_wrong_byte_on_the_way_up(self):
        self.check("sink", changed, "bulk", direction="up", bytes=1_000_000, verify=True)

    def test_a_wrong_byte_on_the_way_down(self):
        self.check("source", changed, "bulk", direction="down", bytes=1_000_000, verify=True)

    def test_a_byte_that_is_lost_and_one_that_is_doubled(self):
        self.check("source", moved, "bulk", direction="down", bytes=1_000_000, verify=True)

    def test_a_wrong_byte_in_a_reply(self):
        self.check("echo", changed, "ping-pong", size=4096, seconds=5)


class Smoke(unittest.TestCase):
    def check(self, *words, says):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [ROOT / "tools/bench", "--smoke", "--no-build", *words],
                env=dict(os.environ, TMPDIR=folder), capture_output=True, text=True, timeout=120,
                check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(os.listdir(folder), [])
        for text in ("Congestion control:", *says):
            self.assertIn(text, done.stdout)
        self.assertEqual(procfs.family([os.getpid()]), [os.getpid()], "it left processes")

    def test_every_scenario_with_every_proxy(self):
        self.check(says=["up, 16 sessions", "64 B, 16 at a time", "after one exchange", "create, list",
                         "nginx", "haproxy", "systemd-socket-proxyd", "direct"])

    def test_one_worker_beside_two(self):
        self.check("--only=workers", says=["bulk up, 16", "ping-pong 64 B", "connect 64 B",
                                           "2 workers / 1 worker", "the busiest one's"])

    def test_kept_sessions_beside_others(self):
        self.check("--only=durability",
                   says=["ping-pong 64 B, 100", "bulk down, 16", "64 B, 16 at a time", "64 B, 64 at a time",
                         "early, after 0 s / off", "of the store", "both: CPU µs"])

    def test_a_service_that_is_watched_beside_one_that_is_not(self):
        self.check("--only=insight", says=["ping-pong 64 B, 100", "bulk down, 16", "all of it / off"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
