"""The installed service under the real systemd of a box, killed and restarted from outside."""

import errno
import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import box
import harness
import peers
from handoff import Host
from waiting import SLOWNESS, wait_until

PORTS = range(9000, 9100)
API = ("127.0.0.1", 5000)
STARTED = "39f53479d3a045ac8e11786248231fbf"  # SD_MESSAGE_UNIT_STARTED


def is_service(pid):
    return os.path.basename(os.readlink(f"/proc/{pid}/exe")).startswith("stream-conductor")


class Starts:
    """When PID 1 took the service for ready, by the journal: to ask takes too long."""

    def __init__(self, the_box):
        self._changed = threading.Condition()
        self._times = []
        self._follower = the_box.spawn(
            "journalctl", "--follow", "--lines=0", "--output=json", f"MESSAGE_ID={STARTED}",
            f"UNIT={box.UNIT}", stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._follower.stdout:
            with self._changed:
                self._times.append(int(json.loads(line)["__MONOTONIC_TIMESTAMP"]) / 1e6)
                self._changed.notify_all()

    def first_after(self, time_before, seconds):
        """The first start after that time, if it comes within so many seconds from now."""
        def find():
            return next((at for at in self._times if at > time_before), None)

        with self._changed:
            return self._changed.wait_for(find, seconds)

    def close(self):
        self._follower.kill()
        self._follower.wait()
        self._thread.join()
        self._follower.stdout.close()


class BoxHost(Host):
    """A service with no streams, sessions or state from before, in a box that is up."""

    def __init__(self, the_box, environment):
        super().__init__()
        self.box = the_box
        self._ports = iter(PORTS)
        self._ended_at = self._ended_pid = None
        self.box.systemctl("stop", box.SOCKET, box.UNIT)
        shutil.rmtree(self.box.file(box.STATE), ignore_errors=True)
        lines = [f"Environment={name}={value}" for name, value in environment.items()]
        self.box.drop_in(box.UNIT, "handoff", "\n".join(["[Service]", *lines, ""]))
        self.box.systemctl("start", box.SOCKET, box.UNIT)
        self._starts = Starts(the_box)

    def close(self):
        self._starts.close()
        self.box.systemctl("stop", box.SOCKET, box.UNIT)

    def _request(self, method, path, body=None):
        client = http.client.HTTPConnection(*API, timeout=peers.PATIENCE)
        try:
            client.request(method, path, body and json.dumps(body),
                           {"Content-Type": "application/json"} if body else {})
            answer = client.getresponse()
            return harness.parse_reply(answer.status, answer.headers, answer.read())
        finally:
            client.close()

    def stream(self, backend_port, **fields):
        port = next(self._ports)
        body = {"backend": f"127.0.0.1:{backend_port}", **fields}
        reply = self._request("PUT", f"/v1/streams/{port}", body)
        assert reply.status == 201, reply
        return port

    def status(self):
        return self._request("GET", "/v1/status").json

    def main_pid(self):
        """As the host counts; None between two processes, where ExecStopPost='s may be."""
        group = self.box.cgroup / "system.slice" / box.UNIT / "cgroup.procs"
        try:
            return next((int(pid) for pid in group.read_text("ascii").split()
                         if is_service(pid)), None)
        except OSError as error:  # the group or the process has gone, perhaps while it was read
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.ESRCH):
                raise
            return None

    def begin_again(self, number=signal.SIGKILL):
        """SIGTERM stands for `systemctl restart`, which returns when the next one is ready.

        It may also be a function that ends the process whose pid it is given.
        """
        self._ended_pid = wait_until(self.main_pid, 20, "a main process")
        self._ended_at = time.monotonic()
        if callable(number):
            number(self._ended_pid)
        elif number == signal.SIGTERM:
            self.box.systemctl("restart", box.UNIT)
        else:
            os.kill(self._ended_pid, number)

    def seconds_to_ready(self):
        started = self._starts.first_after(self._ended_at, 20 * SLOWNESS)
        assert started, f"not ready again:\n{self.box.journal_text('-n', 50)}"
        return started - self._ended_at

    def ready_within(self, seconds):
        """From when the next process is there on: the time before that is systemd's."""
        wait_until(lambda: self.main_pid() not in (None, self._ended_pid), 20, "the next process")
        return self._starts.first_after(self._ended_at, seconds) is not None

    def stored(self):
        return int(self.box.show(box.UNIT, "NFileDescriptorStore")["NFileDescriptorStore"])
