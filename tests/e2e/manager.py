"""A small service manager: starts a service, keeps what descriptors it is given, starts it again.

What systemd does of sd_notify(3), FileDescriptorStoreMax= and LISTEN_FDS, where no systemd runs.
"""

import array
import collections
import fcntl
import os
import select
import signal
import socket
import subprocess
import threading
import time

import harness
from waiting import SLOWNESS, wait_until

START_SECONDS = 20
FIRST_PASSED = 3  # SD_LISTEN_FDS_START
MOST_IN_A_MESSAGE = 253  # SCM_MAX_FD
# LISTEN_PID is the service's own pid, which is known once it runs.
EXEC_STEP = ["/bin/sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh"]


class Child:
    """A process with the descriptors that it is passed at 3 and up; what tests use of a Popen."""

    def __init__(self, command, environment, passed):
        reader, writer = os.pipe2(os.O_CLOEXEC)
        silence = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        # Away from the numbers that they get, so that none is overwritten before it was copied.
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_PASSED + len(passed))
                  for fd in (silence, writer, *passed)]
        actions = [(os.POSIX_SPAWN_DUP2, copies[0], 0), (os.POSIX_SPAWN_DUP2, copies[0], 1),
                   (os.POSIX_SPAWN_DUP2, copies[1], 2)]
        actions += [(os.POSIX_SPAWN_DUP2, copy, FIRST_PASSED + at)
                    for at, copy in enumerate(copies[2:])]
        try:
            self.pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
        finally:
            for fd in (silence, writer, *copies):
                os.close(fd)
        self.stderr = open(reader, encoding="utf-8", errors="replace")
        self.args = command
        self.returncode = None
        self._pidfd = os.pidfd_open(self.pid)

    def wait(self, timeout=None):
        if self.returncode is None:
            if not select.select([self._pidfd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
            os.close(self._pidfd)
        return self.returncode

    def poll(self):
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number):
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


Stored = collections.namedtuple("Stored", "name fd")

QUEUE_LENGTH = "/proc/sys/net/unix/max_dgram_qlen"
SYSTEMD_QUEUE_LENGTH = 512


def notify_socket(messages):
    """A datagram socket that takes this many messages unread: systemd raises the sysctl when it starts.

    A socket keeps the value that it found, so the host's is put back at once.
    """
    with open(QUEUE_LENGTH, "r+", encoding="ascii") as sysctl:
        fcntl.flock(sysctl, fcntl.LOCK_EX)  # by other tests of this host as well
        before = sysctl.read().strip()
        with open(QUEUE_LENGTH, "w", encoding="ascii") as changed:
            changed.write(str(messages))
        try:
            return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        finally:
            with open(QUEUE_LENGTH, "w", encoding="ascii") as changed:
                changed.write(before)


class Manager:
    """The notify socket, the store, and who is started with them.

    `most` is FileDescriptorStoreMax; `listeners` are (name, socket), given to every process;
    `messages` is how many wait for a manager that does not read.
    """

    def __init__(self, directory, most=4096, listeners=(), messages=SYSTEMD_QUEUE_LENGTH):
        self.most = most
        self.listeners = list(listeners)
        self.refused = 0  # descriptors for which there was no room
        self.polled = 0  # stored without FDPOLL=0, which systemd would drop when they hang up
        self.status = ""
        self.child = None
        self._store = []
        self._marks = 0
        self._ready = self._stopping = False
        self._began = None
        self.ready_after = None  # seconds from the end before, or from the start, to READY=1
        self._changed = threading.Condition()
        self.address = os.path.join(directory, "notify")
        self.beats = 0  # WATCHDOG=1
        self._reads = threading.Event()  # cleared: it takes no message
        self._reads.set()
        self._socket = notify_socket(messages)
        self._socket.bind(self.address)
        os.chmod(self.address, 0o666)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    # What the service says.

    def _read(self):
        while True:
            select.select([self._socket], [], [])
            self._reads.wait()
            text, rights, _, _ = self._socket.recvmsg(
                65536, socket.CMSG_SPACE(4 * MOST_IN_A_MESSAGE), socket.MSG_CMSG_CLOEXEC)
            fds = array.array("i")
            for _, _, data in rights:
                fds.frombytes(data[:len(data) // 4 * 4])
            lines = [line.partition("=") for line in text.decode(errors="replace").split("\n")]
            values = {name: value for name, _, value in lines if name}
            if "X_END" in values:
                return
            with self._changed:
                self._take(values, list(fds))
                self._changed.notify_all()

    def _take(self, values, fds):
        if values.get("FDSTORE") == "1":
            for fd in fds:
                self._keep(values, fd)
            fds = []
        if values.get("FDSTOREREMOVE") == "1" and "FDNAME" in values:
            self._drop(lambda stored: stored.name == values["FDNAME"])
        self.status = values.get("STATUS", self.status)
        self.beats += values.get("WATCHDOG") == "1"
        self._stopping = self._stopping or values.get("STOPPING") == "1"
        self._marks += "X_MARK" in values
        if values.get("READY") == "1" and not self._ready:
            self._ready = True
            self.ready_after = time.monotonic() - self._began
            self._began = None
        for fd in fds:  # BARRIER=1 waits for this
            os.close(fd)

    def _keep(self, values, fd):
        """As service_add_fd_store() does: what is there already is not stored again."""
        file = os.fstat(fd)
        known = any((file.st_dev, file.st_ino) == (kept.st_dev, kept.st_ino)
                    for kept in (os.fstat(stored.fd) for stored in self._store))
        if known or len(self._store) >= self.most:
            self.refused += not known
            os.close(fd)
            return
        self.polled += values.get("FDPOLL") != "0"
        self._store.append(Stored(values.get("FDNAME", "stored"), fd))

    def _drop(self, condition):
        for stored in [stored for stored in self._store if condition(stored)]:
            self._store.remove(stored)
            os.close(stored.fd)

    def stop_reading(self):
        self._reads.clear()

    def read_again(self):
        self._reads.set()

    def _say(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text, self.address)

    def settle(self):
        """All that was said until now is taken in."""
        with self._changed:
            seen = self._marks
        self._say(b"X_MARK=1")
        self._wait(lambda: self._marks > seen, 10, "the manager's own word")

    def _wait(self, condition, seconds, what):
        with self._changed:
            assert self._changed.wait_for(condition, seconds * SLOWNESS), f"no {what}"

    def names(self):
        """How many descriptors are stored under which name."""
        with self._changed:
            return collections.Counter(stored.name for stored in self._store)

    def stored(self):
        return sum(self.names().values())

    # The service.

    def start(self, command, environment=None):
        """Starts it with all that is kept, and waits for nothing."""
        assert self.child is None or self.child.poll() is not None
        self.settle()
        passed = [(name, sock.fileno()) for name, sock in self.listeners]
        with self._changed:
            passed += self._store
            self._ready = self._stopping = False
            if self._began is None:
                self._began = time.monotonic()
        environment = dict(environment or harness.clean_environment(), NOTIFY_SOCKET=self.address)
        if passed:
            environment["LISTEN_FDS"] = str(len(passed))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in passed)
        command = [str(word) for word in command]
        self.child = Child(EXEC_STEP + command, environment, [fd for _, fd in passed])
        return self.child

    def wait_ready(self, seconds=START_SECONDS):
        """READY=1; how many seconds it took, from the end of the process before."""
        wait_until(lambda: self._ready or self.child.poll() is not None, seconds, "READY=1")
        assert self._ready, f"it ended with {self.child.returncode} before READY=1"
        return self.ready_after

    def ready_within(self, seconds):
        with self._changed:
            return self._changed.wait_for(lambda: self._ready, seconds)

    def wait_stopping(self, seconds=10):
        self._wait(lambda: self._stopping, seconds, "STOPPING=1")

    def end(self, number=signal.SIGKILL, seconds=20):
        """Ends the process; the store stays, as it does until the next start. Its exit code."""
        self._began = time.monotonic()
        self.child.send_signal(number)
        return self.child.wait(seconds * SLOWNESS)

    def drop_store(self):
        """As `systemctl stop` does."""
        self.settle()
        with self._changed:
            self._drop(lambda stored: True)

    def close(self):
        """The process, if there is one, is killed; nothing stays."""
        self.read_again()
        if self.child:
            if self.child.poll() is None:
                self.end()
            if not self.child.stderr.closed:
                self.child.stderr.close()
        self.drop_store()
        self._say(b"X_END=1")
        self._thread.join(10 * SLOWNESS)
        self._socket.close()
        os.unlink(self.address)


class ManagedService(harness.Service):
    """A service that this manager starts; launch(), kill9() and all else are the same."""

    manager = None

    def launch(self, **options):
        assert not options and (self.process is None or self.process.poll() is not None)
        if self._reader:
            self._reader.join(10 * SLOWNESS)
        self.lines = []
        self.stopping = False
        self.process = self.manager.start(
            self.command(), harness.clean_environment(**self.environment))
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        return self

    def end(self, number=signal.SIGKILL):
        """By a signal; the descriptors are kept for the next launch()."""
        code = self.manager.end(number)
        assert code == (-number if number == signal.SIGKILL else 0), f"exit code {code}"
        self.check_reports()
