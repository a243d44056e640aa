"""A real systemd in a box: PID 1 of throw-away namespaces over this machine's own root.

    with Box(installed=True) as box:
        box.run("systemctl", "start", "stream-conductor.service")
        harness.run("curl", "127.0.0.1:5000/v1/status")

It boots in about a second. What is written inside is gone afterwards, the host sees none of it.
While it is up, the thread that made it is in the box's network, and so is all that it starts:
sockets, threads, programs. Where this machine cannot have a box, why_not() says why.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import harness
import peers
from waiting import SLOWNESS, wait_until

SCRIPT = pathlib.Path(__file__).with_name("box.sh")
SYSTEMD = pathlib.Path("/lib/systemd/systemd")
SKIPPED = 77  # what meson takes for `skipped`
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROBE = """set -e
mount -t tmpfs box /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work box /mnt/root
mount -t proc proc /mnt/root/proc
mount -t cgroup2 box /mnt/root/sys
"""
UNIT = "stream-conductor.service"
SOCKET = "stream-conductor.socket"
STATE = "/var/lib/stream-conductor"
DATABASE = STATE + "/stream-conductor.db"


def cgroup_root():
    """Where the unified hierarchy is; on hosts with both it is not the first."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, where, kind, options = line.split()[:4]
            if kind == "cgroup2" and "rw" in options.split(","):
                return pathlib.Path(where)
    return None


def why_not():
    """Why no box can be had here, in one line; empty where one can."""
    if os.geteuid() != 0:
        return "a box needs root"
    if not SYSTEMD.exists():
        return f"{SYSTEMD} is not installed"
    for program in ("unshare", "nsenter", "setpriv", "mount", "meson"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    root = cgroup_root()
    if root is None or not os.access(root, os.W_OK):
        return "no cgroup2 that can be written to"
    done = harness.run("unshare", "--cgroup", "--mount", "--uts", "--ipc", "--net", "--pid",
                       "--fork", "sh", "-c", PROBE)
    return f"no namespaces for a box: {done.stderr.strip()}" if done.returncode else ""


def install(folder):
    """All that `meson install` puts on a host, beneath the folder; nothing is built for it."""
    build = pathlib.Path(harness.BINARY).parent
    done = harness.run("meson", "install", "-C", build, "--no-rebuild", "--quiet",
                       "--skip-subprojects", "--destdir", folder, umask=0o022, seconds=60)
    assert done.returncode == 0, f"meson install: {done.stdout}{done.stderr}"


def enter_network(descriptor):
    # os.setns is of Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


class Box:
    """One boot. `installed`: with this build. `binds`: host folders, there under the same path."""

    def __init__(self, installed=False, binds=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sc-box-"))
        for name in ("mnt", "files"):
            (self.folder / name).mkdir(mode=0o755)
        self.cgroup = cgroup_root() / self.folder.name
        self.installed = installed
        self.binds = [pathlib.Path(bind).resolve() for bind in binds]
        self.pid = None  # of its PID 1, as the host has it
        self._keeper = None
        self._own_network = None

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_):
        self.down()

    # Up and down.

    def up(self):
        if self.installed:
            install(self.folder / "files")
        self._keeper = subprocess.Popen(
            ["bash", SCRIPT, "keep", self.folder, self.cgroup, *self.binds],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True, env={"PATH": PATH, "LANG": "C.UTF-8"},
        )
        parent = self._keeper.stdout.readline()
        assert parent, "the box's keeper has ended; standard error says why"
        parent = int(parent)
        self.pid = wait_until(lambda: self._booted(parent), 20, "a systemd as PID 1")
        state = self.run("systemctl", "is-system-running", "--wait", check=False).strip()
        assert state == "running", f"the box is {state}:\n{self.journal_text()}"
        if self.installed:
            self.run("systemd-sysusers")
        self._own_network = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with open(f"/proc/{self.pid}/ns/net", "rb") as network:
            enter_network(network.fileno())

    def _booted(self, parent):
        """The pid of the box's PID 1, once systemctl can talk to it."""
        try:
            children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii")
        except FileNotFoundError:
            log = (self.folder / "log").read_text("utf-8", errors="replace")
            raise AssertionError(f"the box does not boot: {log}") from None
        for child in children.split():
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{child}/comm").read_text("utf-8").strip() == "systemd" \
                        and pathlib.Path(f"/proc/{child}/root/run/systemd/private").is_socket():
                    return int(child)
        return None

    def down(self):
        """Everything in it is killed and everything it had taken away."""
        if self._own_network is not None:
            enter_network(self._own_network)
            os.close(self._own_network)
            self._own_network = None
        self.pid = None
        if self._keeper is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        self._keeper.stdin.close()
        self._keeper.stdout.close()
        self._keeper.wait(timeout=30 * SLOWNESS)
        self._keeper = None
        assert not self.cgroup.exists() and not self.folder.exists(), f"{self.folder} is left"

    # Programs and files inside.

    def command(self, *command, user=None):
        """As the host runs it so that it runs inside, where `user` may be a name."""
        inside = ["nsenter", "--all", "--target", self.pid, "--", "setpriv", "--pdeathsig", "KILL"]
        if user is not None:
            inside += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        environment = ["env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/", "SYSTEMD_PAGER="]
        return [str(word) for word in [*inside, "--", *environment, *command]]

    def run(self, *command, user=None, check=True, seconds=30):
        """What the program printed on standard output."""
        done = harness.run(*self.command(*command, user=user), seconds=seconds)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} ends with {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}\n{self.journal_text('-n', 50)}")
        return done.stdout

    def spawn(self, *command, user=None, **options):
        """A program in the background; killing what this returns kills it."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(*command, user=user), **options)

    def file(self, path):
        """The box's file, to be read and written from here. Absolute links lead out of the box."""
        return pathlib.Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")

    def write(self, path, text):
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    # Units.

    def systemctl(self, *arguments, **options):
        return self.run("systemctl", "--no-pager", *arguments, **options)

    def show(self, unit, *properties):
        """Properties of the unit by name."""
        text = self.systemctl("show", unit, "--property", ",".join(properties))
        return dict(line.partition("=")[::2] for line in text.splitlines())

    def drop_in(self, unit, name, text):
        """A file NAME.conf beside the unit, in force from the next start on."""
        self.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
        self.systemctl("daemon-reload")

    def wait_for_state(self, unit, state, seconds=20):
        """`state`: of ActiveState, or a function of all of systemctl's properties by name."""
        def reached():
            found = self.show(unit, "ActiveState", "SubState", "MainPID", "NRestarts", "Result",
                              "ExecMainStatus", "ExecMainCode", "StatusText")
            fits = state(found) if callable(state) else found["ActiveState"] == state
            return found if fits else None

        return wait_until(reached, seconds, f"{unit} is {state}")

    def main_pid(self, unit=UNIT):
        """The main process of a running service as the host counts; kill it with os.kill."""
        inside = self.show(unit, "MainPID")["MainPID"]
        group = self.show(unit, "ControlGroup")["ControlGroup"]
        for pid in (self.cgroup / group.lstrip("/") / "cgroup.procs").read_text("ascii").split():
            with contextlib.suppress(FileNotFoundError), \
                    open(f"/proc/{pid}/status", encoding="utf-8") as status:
                if any(line.split()[-1] == inside for line in status if line.startswith("NSpid:")):
                    return int(pid)
        raise AssertionError(f"{unit} has no main process")

    def sql(self, statement, user=None):
        """What sqlite3 prints, columns apart by |; by default it is root who asks."""
        return self.run("sqlite3", DATABASE, statement, user=user)

    # The journal.

    def journal(self, *matches, after=0):
        """Entries with all their fields, the oldest first, of those later than `after`."""
        # Not by --after-cursor, which together with a match drops the first one (252).
        text = self.run("journalctl", "--no-pager", "--output=json", "--all", *matches)
        entries = [json.loads(line) for line in text.splitlines()]
        return [entry for entry in entries if int(entry["__MONOTONIC_TIMESTAMP"]) > after]

    def journal_text(self, *matches):
        done = harness.run(*self.command("journalctl", "--no-pager", "--output=short", *matches))
        return done.stdout

    @staticmethod
    def now():
        """For journal(after=...)."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    def sync_journal(self):
        """What was logged until now is read by journal() from now on."""
        self.run("journalctl", "--sync")

    def wait_for_entry(self, message, *matches, after=0, seconds=20):
        """The first entry whose message begins so."""
        def find():
            return next((entry for entry in self.journal(*matches, after=after)
                         if str(entry.get("MESSAGE", "")).startswith(message)), None)

        try:
            return wait_until(find, seconds, f"an entry {message!r}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.journal_text('-n', 100)}") from None


class BoxTest(unittest.TestCase):
    """All tests of a class share one box and find it as `meson install` leaves a host.

    Peers, threads and programs of theirs are in its network.
    """

    box = None

    @classmethod
    def setUpClass(cls):
        cls.box = cls.enterClassContext(Box(installed=True))

    def setUp(self):
        self.box.systemctl("stop", SOCKET, UNIT)
        self.box.systemctl("reset-failed")
        shutil.rmtree(self.box.file(STATE), ignore_errors=True)
        drop_ins = list(self.box.file("/etc/systemd/system").glob("*.d"))
        for folder in drop_ins:
            shutil.rmtree(folder)
        if drop_ins:
            self.box.systemctl("daemon-reload")

    def request(self, path, method="GET", body=None, port=5000):
        """The API's answer over TCP."""
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=peers.PATIENCE)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            client.request(method, path, None if body is None else json.dumps(body), headers)
            answer = client.getresponse()
            return harness.parse_reply(answer.status, answer.headers, answer.read())
        finally:
            client.close()

    def create(self, port, backend):
        reply = self.request(f"/v1/streams/{port}", "PUT", {"backend": backend})
        self.assertEqual(reply.status, 201, reply)
        return port

    def assert_says(self, port, text):
        with peers.connect(port) as sock:
            self.assertEqual(peers.read_all(sock), text)

    def backend(self, serve, **options):
        backend = peers.Backend(serve, **options)
        self.addCleanup(backend.close)
        return backend


def main():
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
