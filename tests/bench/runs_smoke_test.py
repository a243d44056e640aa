"""tools/scale and tools/soak run, small; what they say is right, and they leave nothing."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/bench"), str(ROOT / "tests/e2e")]

import mix  # pylint: disable=wrong-import-position
import peers  # pylint: disable=wrong-import-position
import procfs  # pylint: disable=wrong-import-position


class Smoke(unittest.TestCase):
    def check(self, tool, *words, says):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([ROOT / "tools" / tool, "--no-build", *words],
                                  env=dict(os.environ, TMPDIR=folder), capture_output=True, text=True,
                                  timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(os.listdir(folder), [])
        for text in ("Congestion control:", *says):
            self.assertIn(text, done.stdout)
        self.assertEqual(procfs.family([os.getpid()]), [os.getpid()], "it left processes")

    def test_200_streams_and_100_sessions(self):
        self.check("scale", "--streams=200", "--sessions=100", "--seconds=0.5",
                   says=["| streams that brought right bytes | 200 | 200 | met |",
                         "| sessions at once, at rest after an exchange each | 100 | 100 | met |",
                         "kill -9", "remove p50"])

    def test_a_soak_of_5_seconds(self):
        self.check("soak", "--minutes=0.085", "--warm-up=3",
                   says=["| threads |", "| half-close by the backend |", "| create, use, remove |"])


class Activities(unittest.TestCase):
    """They notice what is wrong: here a service that leads to something else."""

    class Soak:
        service = load = None

        def __init__(self, serve):
            self.backend = peers.Backend(serve)

        def create(self, _):
            return self.backend.port

    def fault_of(self, kind, serve):
        soak = self.Soak(serve)
        activity = kind(soak)
        try:
            with self.assertRaises(AssertionError) as caught:
                activity.turn()
        finally:
            activity.close()
            soak.backend.close()
        return str(caught.exception)

    def test_wrong_bytes_after_a_half_close(self):
        self.assertIn("wrong bytes", self.fault_of(mix.ClientHalfCloses, peers.echo))

    def test_an_end_in_place_of_the_bytes(self):
        self.assertIn("wrong bytes", self.fault_of(mix.BackendHalfCloses, lambda client: None))

    def test_an_end_in_place_of_a_reset(self):
        for kind in (mix.BackendResets, mix.Refused):
            self.assertIn("an orderly end", self.fault_of(kind, lambda client: client.recv(4)
                                                          if kind is mix.BackendResets else None))


if __name__ == "__main__":
    unittest.main(verbosity=2)
