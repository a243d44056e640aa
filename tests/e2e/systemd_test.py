#!/usr/bin/env python3
"""The installed units under a real systemd: how they start, reload, fail and come back."""

import json

import box
import harness

API_SOCKET = "/run/stream-conductor/api.sock"


class Systemd(box.BoxTest):
    def curl(self, path, *options):
        done = harness.run("curl", "-sS", "--max-time", 30, *options,
                           f"http://127.0.0.1:5000{path}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_first_curl_over_tcp_starts_the_stopped_service(self):
        self.box.systemctl("start", box.SOCKET)
        self.assertEqual(self.box.show(box.UNIT, "ActiveState")["ActiveState"], "inactive")
        self.assertEqual(self.curl("/v1/status")["phase"], "serving")
        self.assertEqual(self.box.show(box.UNIT, "ActiveState")["ActiveState"], "active")

    def test_the_first_curl_over_the_unix_socket_starts_the_stopped_service(self):
        self.box.systemctl("start", box.SOCKET)
        self.assertEqual(self.box.show(box.UNIT, "ActiveState")["ActiveState"], "inactive")
        status = self.curl("/v1/status", "--unix-socket", self.box.file(API_SOCKET))
        self.assertEqual(status["phase"], "serving")
        self.assertEqual(self.box.show(box.UNIT, "ActiveState")["ActiveState"], "active")


if __name__ == "__main__":
    box.main()
