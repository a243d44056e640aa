"""Runs the built stream-conductor as a process and looks after it: nothing may be left behind."""

import collections
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

import peers
import processes
from waiting import SLOWNESS, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("STREAM_CONDUCTOR", str(ROOT / "build/release/stream-conductor"))
REPORTS = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:|Assertion .* failed")
PIPES_KEPT = 2 * 16  # descriptors of the pipes that a worker keeps at rest, src/relay/pipe_pool.h
START_SECONDS = 20
# For a service that must end although one of its threads cannot.
LEAVES_THREADS = {"TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"}
FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)')

Reply = collections.namedtuple("Reply", "status headers body json")
Line = collections.namedtuple("Line", "level sentence fields text")


def clean_environment(**more):
    """Ours without what would be taken for settings or for a service manager's gifts."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.endswith("SAN_OPTIONS")
    }
    environment.update(more)
    return environment


def parse_line(text):
    """`2026-11-23T10:00:00.123Z info API listens address=127.0.0.1:41234`, or as JSON, in its parts."""
    if text.startswith("{"):
        line = json.loads(text)
        return Line(line["level"], line["message"], line["fields"], text)
    parts = text.split(" ", 2)
    if len(parts) < 3:
        return Line("", text, {}, text)
    found = FIELD.search(parts[2])
    sentence = parts[2][: found.start()].rstrip() if found else parts[2]
    fields = {key: value.strip('"') for key, value in FIELD.findall(parts[2])}
    return Line(parts[1], sentence, fields, text)


def parse_reply(status, headers, body):
    is_json = "json" in headers.get("Content-Type", "") and body
    return Reply(status, headers, body, json.loads(body) if is_json else None)


def run(*command, seconds=30, **options):
    """A program that ends by itself; its exit code and what it printed."""
    options.setdefault("env", clean_environment())
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        timeout=seconds * SLOWNESS,
        check=False,
        text=options.pop("text", True),
        stdin=subprocess.DEVNULL,
        **options,
    )


def database_of(state):
    return pathlib.Path(state) / "stream-conductor.db"


class Service:
    """A stream-conductor and its state; it can be started again after its end."""

    def __init__(self, state, first_port, port_count=10, flags=None, environment=None, config=""):
        self.state = pathlib.Path(state)
        self.ports = range(first_port, first_port + port_count)
        self.flags = dict(flags or {})
        self.environment = dict(environment or {})
        self.config = self.state.parent / "stream-conductor.toml"
        self.config.write_text(config, encoding="utf-8")
        self.binary = BINARY
        self.prefix = []  # of the command line, such as `prlimit --fsize=...`
        self.process = None
        self.lines = []
        self._grew = threading.Condition()
        self._reader = None
        self.takes_log = threading.Event()  # cleared: nobody reads its stderr
        self.takes_log.set()
        self.api_host = self.api_port = None
        self.at_ready = None
        self.streams_at_ready = 0
        self.workers = 1
        self.stopping = False  # told to end, so that it cannot be asked any more

    # The process.

    def command(self):
        settings = {
            "config": self.config,
            "bind-address": "127.0.0.1",
            "bind-port": 0,
            "state-directory": self.state,
            "port-range": f"{self.ports[0]}-{self.ports[-1]}",
        }
        settings.update(self.flags)
        flags = [f"--{name}={value}" for name, value in settings.items() if value is not None]
        return [*self.prefix, self.binary, *flags]

    def launch(self, **options):
        """Starts the process and waits for nothing."""
        assert self.process is None or self.process.poll() is not None
        self.lines = []
        self.stopping = False
        self.process = subprocess.Popen(
            [str(word) for word in self.command()],
            env=clean_environment(**self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            **options,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        return self

    def start(self, **options):
        self.launch(**options)
        self.wait_ready()
        return self

    def wait_ready(self):
        address = self.wait_for_line("API listens", seconds=START_SECONDS).fields["address"]
        ready = self.wait_for_line("ready", seconds=START_SECONDS)
        host, _, port = address.rpartition(":")
        if port.isdigit():
            self.api_host, self.api_port = host.strip("[]"), int(port)
        self.workers = int(ready.fields.get("workers", "1"))
        self.streams_at_ready = int(ready.fields.get("opened", "0"))
        self.at_ready = processes.descriptors(self.pid)

    def _read(self, stream):
        with stream:
            for text in stream:
                self.takes_log.wait()
                with self._grew:
                    self.lines.append(text.rstrip("\n"))
                    self._grew.notify_all()
        with self._grew:
            self._grew.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with self._grew:
            return "\n".join(self.lines)

    def wait_for_line(self, sentence, seconds=10, after=0, **fields):
        """The first log line with that sentence and those fields, of those after number `after`."""

        def find():
            for text in self.lines[after:]:
                line = parse_line(text)
                if line.sentence == sentence and fields.items() <= line.fields.items():
                    return line
            return None

        with self._grew:
            self._grew.wait_for(
                lambda: find() or not self._reader.is_alive(), timeout=seconds * SLOWNESS
            )
            found = find()
        if not found and self.process.poll() is not None:
            self.wait_exit()
            with self._grew:
                found = find()
        assert found, f"no log line {sentence!r} {fields}:\n{self.log()}"
        return found

    def kill(self, number):
        self.stopping = number in (signal.SIGTERM, signal.SIGINT)
        self.process.send_signal(number)

    def wait_exit(self, seconds=20):
        try:
            code = self.process.wait(timeout=seconds * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.log()}") from None
        self._reader.join(10 * SLOWNESS)
        return code

    def stop(self, number=signal.SIGTERM, seconds=20):
        self.kill(number)
        code = self.wait_exit(seconds)
        assert code == 0, f"exit code {code} after a signal:\n{self.log()}"
        self.check_reports()

    def kill9(self):
        self.process.kill()
        self.wait_exit()
        self.check_reports()

    def check_reports(self):
        found = REPORTS.search(self.log())
        assert not found, f"a sanitizer's or an assertion's report:\n{self.log()}"

    def check_descriptors(self):
        """What sessions, API clients and removed streams had open is closed again."""
        before = self.at_ready
        most_pipes = before.pipes + self.workers * PIPES_KEPT
        streams = len(self.get("/getstreams").json)
        most_listeners = before.listeners - self.streams_at_ready + streams

        def is_clean():
            now = processes.descriptors(self.pid)
            return (
                now.listeners <= most_listeners
                and now.sockets <= before.sockets
                and now.others <= before.others
                and now.pipes <= most_pipes
            )

        try:
            wait_until(is_clean, 15, "descriptors")
        except AssertionError:
            now = processes.descriptors(self.pid)
            raise AssertionError(
                f"leaked: {before} with {self.streams_at_ready} streams at the start, "
                f"now {now} with {streams}"
            ) from None

    def wait_no_sessions(self):
        wait_until(lambda: processes.descriptors(self.pid).sockets <= self.at_ready.sockets, 15,
                   "the end of all sessions")

    def finish(self):
        """What every scenario ends with; afterwards the process is gone, whatever happens."""
        if self.process is None:
            return
        try:
            if self.process.poll() is None and self.at_ready and not self.stopping:
                self.check_descriptors()
                self.stop()
            self.check_reports()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.wait_exit()

    # The API.

    def get(self, path, method="GET", headers=None, body=None):
        """The path goes over the wire as it stands here."""
        client = http.client.HTTPConnection(self.api_host, self.api_port, timeout=peers.PATIENCE)
        try:
            client.request(method, path, body=body, headers=headers or {})
            answer = client.getresponse()
            return parse_reply(answer.status, answer.headers, answer.read())
        finally:
            client.close()

    def raw(self, request):
        """All that comes back for these bytes until the service ends the connection."""
        with peers.connect(self.api_port, self.api_host) as sock:
            sock.sendall(request)
            return peers.read_all(sock)

    def url(self, path):
        host = f"[{self.api_host}]" if ":" in self.api_host else self.api_host
        return f"http://{host}:{self.api_port}{path}"

    def curl(self, path, *options):
        done = run("curl", "-sS", "--max-time", 30, *options, self.url(path))
        assert done.returncode == 0, f"curl: {done.stderr}"
        return done.stdout

    def create(self, port, backend):
        reply = self.get(f"/createstream/{port}/{urllib.parse.quote(str(backend), safe=':')}")
        assert reply.json == {"result": "ok", "errors": ""}, reply
        return port

    def remove(self, port):
        reply = self.get(f"/removestream/{port}")
        assert reply.json == {"result": "ok", "errors": ""}, reply

    def streams(self):
        return {row["listen"]: row["proxy_pass"] for row in self.get("/getstreams").json}

    # The database, as sqlite3 readers see it.

    @property
    def database(self):
        return database_of(self.state)

    def sql(self, query, *values):
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def mapping(self, port):
        rows = self.sql("SELECT state, coalesce(reason, '') FROM mappings WHERE port = ?", port)
        return rows[0] if rows else None

    def history(self, port):
        return [row[0] for row in self.sql(
            "SELECT action FROM stream_events WHERE port = ? ORDER BY id", port)]


class EndToEnd(unittest.TestCase):
    """A temporary folder and services, backends and sockets that end with the test."""

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sc-e2e-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.dir.chmod(0o755)  # other users read a database in it

    def make_service(self, port_count=10, **options):
        state = options.pop("state", self.dir / "state")
        first = options.pop("first_port", None) or peers.free_ports(port_count)
        service = Service(state, first, port_count, **options)
        self.addCleanup(service.finish)
        return service

    def start_service(self, port_count=10, **options):
        return self.make_service(port_count, **options).start()

    def activated(self, *listen, name="api", **options):
        """systemd-socket-activate, which becomes the service when the first client comes."""
        service = self.make_service(10, **options)
        names = ":".join([name] * len(listen))
        service.prefix = ["systemd-socket-activate", f"--fdname={names}"]
        service.prefix += [f"--listen={address}" for address in listen]
        # What it starts gets little of its environment otherwise.
        service.prefix += [f"--setenv={name}={value}" for name, value
                           in clean_environment().items() if name.endswith("SAN_OPTIONS")]
        service.launch()
        wait_until(lambda: service.log().count("Listening on") == len(listen), 10,
                   f"systemd-socket-activate listens: {service.log()}")
        return service

    def backend(self, serve, **options):
        backend = peers.Backend(serve, **options)
        self.addCleanup(backend.close)
        return backend

    def client(self, port, host="127.0.0.1"):
        sock = peers.connect(port, host)
        self.addCleanup(sock.close)
        return sock

    def listener(self, port=0, host="127.0.0.1", backlog=16):
        """A listening socket of the test's own, which accepts nobody."""
        sock = socket.create_server((host, port), backlog=backlog)
        self.addCleanup(sock.close)
        return sock

    def spawn(self, *command, **options):
        """Another program that runs until the test ends."""
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            env=options.pop("env", clean_environment()),
            **options,
        )
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=20 * SLOWNESS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()

    def assert_is_reset(self, port):
        """Whoever connects is told by a reset, which may come before connect() has returned."""
        with self.assertRaises(ConnectionResetError), peers.connect(port) as sock:
            while sock.recv(65536):
                pass

    def assert_says(self, port, text, host="127.0.0.1"):
        with peers.connect(port, host) as sock:
            self.assertEqual(peers.read_all(sock), text)


def main():
    unittest.main(verbosity=2)
