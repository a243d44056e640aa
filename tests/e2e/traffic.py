"""sc-traffic as processes: a backend, and clients whose every byte is looked at by both ends."""

import json
import os
import pathlib
import select
import subprocess

from waiting import SLOWNESS

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SC_TRAFFIC", str(ROOT / "build/tests/traffic/sc-traffic"))
LIMIT = 60  # seconds for a run, times SC_TEST_SLOWNESS


class Process:
    """An sc-traffic; `outcome()` ends its input and gives what it found."""

    def __init__(self, *words, prefix=()):
        self._seen = b""
        self._done = None
        self._process = subprocess.Popen(
            [*map(str, prefix), BINARY, *map(str, words)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def line(self, seconds=20):
        """The next line that it prints, as JSON."""
        while b"\n" not in self._seen:
            ready, _, _ = select.select([self._process.stdout], [], [], seconds * SLOWNESS)
            chunk = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            assert chunk, f"sc-traffic says nothing: {self.stop() if ready else 'it runs'}"
            self._seen += chunk
        text, _, self._seen = self._seen.partition(b"\n")
        return json.loads(text)

    def ends_within(self, seconds):
        """Has it ended, at the latest when so much time has passed?"""
        try:
            self._process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def outcome(self, seconds=LIMIT):
        """The object that it prints at its end, with its exit code as `code`."""
        if self._done is None:
            try:
                output, errors = self._process.communicate(timeout=seconds * SLOWNESS)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"sc-traffic does not end: {self.stop()}") from None
            lines = (self._seen + output).decode().splitlines()
            assert lines, f"sc-traffic: {errors.decode()}"
            self._done = dict(json.loads(lines[-1]), code=self._process.returncode)
        return self._done

    def stop(self):
        """Whatever it does; what it said on stderr."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout.closed:
            return ""
        _, errors = self._process.communicate()
        return errors.decode()


class Traffic:
    """A backend and the clients of a test: `addCleanup(traffic.stop)`."""

    def __init__(self, prefix=()):
        self.prefix = prefix  # of the command lines, such as that of a namespace
        self._processes = []
        self.backend = self._begin("backend", "--listen=127.0.0.1:0")
        ports = self.backend.line()
        self.port, self.banner_port = ports["port"], ports["banner_port"]

    def _begin(self, *words):
        process = Process(*words, prefix=self.prefix)
        self._processes.append(process)
        return process

    def begin(self, command, port, **options):
        """A client of that port of the service, which runs beside the test."""
        options.setdefault("patience", int(30 * SLOWNESS))
        flags = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
                 for name, value in options.items()]
        return self._begin(command, f"--target=127.0.0.1:{port}", *flags)

    def client(self, port, **options):
        """As begin(), once all its sessions are connected."""
        process = self.begin("client", port, **options)
        process.line()
        return process

    def hold(self, port, sessions):
        """As many silent sessions, each after one exchange."""
        process = self.begin("hold", port, sessions=sessions)
        process.line(LIMIT)
        return process

    def finish(self):
        """What the backend found of all sessions; those still open are faults."""
        return self.backend.outcome()

    def stop(self):
        for process in self._processes:
            process.stop()


def assert_right(outcome, good=None):
    """Every session was right, of `good` if that is told."""
    assert outcome["code"] == 0 and outcome["bad"] == 0, outcome
    assert good is None or outcome["good"] == good, outcome
    return outcome
