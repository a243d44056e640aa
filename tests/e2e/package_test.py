#!/usr/bin/env python3
"""The Debian package, built from this tree: what install, upgrade and removal do under systemd."""

import collections
import hashlib
import json
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import unittest

import box
import harness
import peers
from waiting import wait_until

PACKAGE = "stream-conductor"
CONFIGURATION = "/etc/stream-conductor/stream-conductor.toml"
API_TOKENS = "/etc/stream-conductor/api-tokens"
PORT = 9001  # of the default range; the box has a network of its own
BLOCK = 64 << 10
PAUSE = 0.002  # seconds between blocks: sessions at full speed would slow down what they are beside

Package = collections.namedtuple("Package", "path version")
packages = {}


def build(output, *options):
    """It may have to compile: then it takes minutes."""
    done = harness.run(harness.ROOT / "tools/package", "--output", output, *options, seconds=600,
                       env=dict(os.environ))
    assert done.returncode == 0, f"tools/package: {done.stdout}{done.stderr}"
    path = pathlib.Path(done.stdout.strip())
    return Package(path, path.name.split("_")[1])


class Talk(threading.Thread):
    """A session that sends blocks to a backend which echoes them, and wants each as it was."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.socket = peers.connect(port)
        self.blocks = 0
        self.failure = None
        self._over = threading.Event()

    def run(self):
        try:
            while not self._over.wait(PAUSE):
                self.exchange()
            self.socket.shutdown(socket.SHUT_WR)
            assert peers.read_all(self.socket) == b"", "more came than was sent"
        except (OSError, AssertionError) as error:
            self.failure = f"after {self.blocks} blocks: {error}"

    def exchange(self):
        block = hashlib.shake_128(self.blocks.to_bytes(8, "big")).digest(BLOCK)
        self.socket.sendall(block)
        assert peers.read_exactly(self.socket, BLOCK) == block, "another block came back"
        self.blocks += 1

    def wait_for_more(self):
        before = self.blocks
        wait_until(lambda: self.failure or self.blocks > before, peers.PATIENCE, "further blocks")

    def close(self):
        self._over.set()
        if self.ident:
            self.join(peers.PATIENCE)
        self.socket.close()


def setUpModule():
    """Two versions of the tree as it is; nothing but the version tells them apart."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sc-package-"))
    unittest.addModuleCleanup(shutil.rmtree, folder)
    packages["old"] = build(folder)
    packages["new"] = build(folder, "--version", f"{packages['old'].version}+next")


class Host:
    """A box as an operator's machine: its dpkg may start services, and does not index manuals."""

    def __init__(self, running):
        self.box = running
        for path in ("/usr/sbin/policy-rc.d", "/var/lib/man-db/auto-update"):
            running.file(path).unlink(missing_ok=True)
        for package in packages.values():
            shutil.copy(package.path, running.file("/tmp"))

    def install(self, name):
        self.dpkg("--install", f"/tmp/{packages[name].path.name}")

    def dpkg(self, action, what=PACKAGE):
        self.box.run("dpkg", "--force-unsafe-io", action, what, seconds=60)

    def units(self, *properties):
        """These properties of socket and service."""
        return [tuple(self.box.show(unit, *properties)[name] for name in properties)
                for unit in (box.SOCKET, box.UNIT)]

    @staticmethod
    def ask(path):
        done = harness.run("curl", "-sS", "--max-time", 30, f"http://127.0.0.1:5000{path}")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def version(self):
        return self.ask("/v1/status")["version"]

    def create_stream(self, backend):
        answer = self.ask(f"/createstream/{PORT}/{backend}")
        assert answer == {"result": "ok", "errors": ""}, answer


class Built(unittest.TestCase):
    def test_lintian_finds_no_fault_with_the_package(self):
        done = harness.run("lintian", "--fail-on", "error,warning", packages["old"].path,
                           seconds=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_executable_is_hardened(self):
        with tempfile.TemporaryDirectory() as folder:
            harness.run("dpkg-deb", "--extract", packages["old"].path, folder, seconds=60)
            # What it cannot see is looked for in the build's objects: tests/lint/hardening.py.
            done = harness.run("hardening-check", "--nocfprotection",
                               f"{folder}/usr/bin/{PACKAGE}", seconds=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Upgraded(unittest.TestCase):
    """One host, on which the old package was installed and used, and then the new one."""

    @classmethod
    def setUpClass(cls):
        cls.host = host = Host(cls.enterClassContext(box.Box()))
        host.install("old")
        cls.at_install = host.units("ActiveState", "UnitFileState")
        cls.old_version = host.version()
        with open(host.box.file(CONFIGURATION), "a", encoding="utf-8") as settings:
            settings.write('port_range = "9001-9002"\n')
        cls.backend = peers.Backend(peers.echo)
        cls.addClassCleanup(cls.backend.close)
        host.create_stream(cls.backend.address)
        idle, *busy = cls.talks = [Talk(PORT) for _ in range(4)]
        for talk in cls.talks:
            cls.addClassCleanup(talk.close)
            talk.exchange()
        for talk in busy:
            talk.start()
            talk.wait_for_more()
        wait_until(lambda: host.ask("/v1/status")["durability"]["sessions"] == len(cls.talks), 20,
                   "sessions old enough to be kept")
        cls.before = host.units("InvocationID")
        start = host.box.now()
        host.install("new")
        host.box.sync_journal()
        cls.entries = host.box.journal("_PID=1", f"UNIT={box.UNIT}", after=start)
        idle.start()

    def test_the_install_had_started_and_enabled_socket_and_service(self):
        self.assertEqual(self.at_install, [("active", "enabled")] * 2)
        self.assertEqual(self.old_version, packages["old"].version)

    def test_the_service_was_restarted_once_and_is_the_new_one(self):
        self.assertEqual(self.host.version(), packages["new"].version)
        told = [entry["MESSAGE"].split()[0] for entry in self.entries]
        self.assertEqual([word for word in told if word in ("Started", "Stopped")],
                         ["Stopped", "Started"])

    def test_the_socket_of_the_api_was_open_all_the_time(self):
        now = self.host.units("InvocationID")
        self.assertEqual(now[0], self.before[0])
        self.assertNotEqual(now[1], self.before[1])

    def test_no_session_was_lost(self):
        for talk in self.talks:
            talk.wait_for_more()
            talk.close()
        self.assertEqual([talk.failure for talk in self.talks], [None] * len(self.talks))

    def test_the_stream_and_its_history_are_there(self):
        self.assertEqual(self.host.ask("/getstreams"),
                         [{"listen": PORT, "proxy_pass": self.backend.address}])
        first = self.host.box.sql("SELECT action FROM stream_events ORDER BY id LIMIT 1")
        self.assertEqual(first, "created\n")

    def test_edited_settings_stay(self):
        self.assertEqual(self.host.ask("/status")["range"], "range(9001-9002)")

    def test_state_and_process_are_of_a_user_of_their_own(self):
        run = self.host.box.run
        self.assertEqual(run("stat", "-c", "%U %G %a", box.STATE, box.DATABASE).splitlines(),
                         ["stream-conductor stream-conductor 750",
                          "stream-conductor stream-conductor 640"])
        process = self.host.box.show(box.UNIT, "MainPID")["MainPID"]
        self.assertEqual(run("stat", "-c", "%U", f"/proc/{process}").strip(), "stream-conductor")


class Installed(unittest.TestCase):
    def setUp(self):
        self.host = Host(self.enterContext(box.Box()))
        self.host.install("old")

    def test_what_the_operator_has_disabled_stays_so(self):
        self.host.box.systemctl("disable", "--now", box.SOCKET)
        self.host.box.systemctl("restart", box.UNIT)
        self.host.install("new")
        self.assertEqual(self.host.units("ActiveState", "UnitFileState"),
                         [("inactive", "disabled"), ("active", "enabled")])
        self.assertEqual(self.host.version(), packages["new"].version)

    def test_a_removal_keeps_state_and_settings_and_a_purge_takes_them(self):
        host = self.host
        host.create_stream("127.0.0.1:7000")
        host.dpkg("--remove")
        self.assertFalse(peers.accepts(5000) or peers.accepts(PORT))
        self.assertEqual(host.units("ActiveState", "LoadState"), [("inactive", "not-found")] * 2)
        self.assertFalse(host.box.file("/run/stream-conductor").exists())
        self.assertEqual(host.box.sql("SELECT port FROM streams"), f"{PORT}\n")
        self.assertTrue(host.box.file(CONFIGURATION).exists())

        host.install("new")
        self.assertEqual(host.ask("/getstreams"),
                         [{"listen": PORT, "proxy_pass": "127.0.0.1:7000"}])

        host.box.file(API_TOKENS).touch()
        host.dpkg("--purge")
        left = host.box.run("find", "/etc", "/lib/systemd", "/usr/bin", "/usr/lib/sysusers.d",
                            "/usr/share/doc", "/usr/share/man/man8", "/var/lib", "-maxdepth", 4,
                            "-name", "*stream-conductor*")
        self.assertEqual(left, "")
        self.assertIn("stream-conductor:", host.box.file("/etc/passwd").read_text("utf-8"))


if __name__ == "__main__":
    box.main()
