#!/usr/bin/env python3
"""Socket activation: the first request starts the service and is answered by it."""

import json
import os
import unittest

import harness
import peers
from waiting import wait_until


class Activation(harness.EndToEnd):
    def curl(self, url, *options):
        done = harness.run("curl", "-sS", "--max-time", 30, *options, url)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_first_curl_over_tcp_starts_it_and_is_answered(self):
        api = peers.free_port()
        service = self.activated(f"127.0.0.1:{api}")
        self.assertFalse(service.state.exists(), "it runs already")
        status = self.curl(f"http://127.0.0.1:{api}/status")
        self.assertEqual(status["version"], "0.1")
        service.wait_ready()
        self.assertEqual(service.api_port, api)
        hello = self.backend(peers.says(b"hello"))
        service.create(service.ports[0], hello.address)
        self.assert_says(service.ports[0], b"hello")

    def test_a_unix_socket_serves_and_its_users_are_told_apart_in_history(self):
        api, path = peers.free_port(), self.dir / "api.sock"
        service = self.activated(f"127.0.0.1:{api}", str(path))
        first, second = service.ports[:2]
        made = self.curl(f"http://localhost/createstream/{first}/127.0.0.1:7000",
                         "--unix-socket", path)
        self.assertEqual(made, {"result": "ok", "errors": ""})
        service.wait_for_line("API listens", address=f"127.0.0.1:{api}")
        service.wait_ready()
        service.api_host, service.api_port = "127.0.0.1", api
        service.create(second, "127.0.0.1:7000")
        self.assertEqual(service.sql("SELECT port, actor FROM mapping_history ORDER BY port"),
                         [(first, f"uid {os.geteuid()} (curl)"), (second, "127.0.0.1")])

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_users_uid_is_what_history_has(self):
        path = self.dir / "api.sock"
        service = self.activated(str(path))
        path.chmod(0o666)
        done = harness.run("curl", "-sS", "--max-time", 30, "--unix-socket", path,
                           f"http://localhost/createstream/{service.ports[0]}/127.0.0.1:7000",
                           user=65534, group=65534, extra_groups=[])
        self.assertEqual(json.loads(done.stdout)["result"], "ok", done)
        self.assertEqual(service.sql("SELECT actor FROM mapping_history"), [("uid 65534 (curl)",)])
        service.stop()

    def test_a_web_page_is_kept_out_of_the_unix_socket_too(self):
        path = self.dir / "api.sock"
        service = self.activated(str(path))
        reply = self.curl(f"http://localhost/createstream/{service.ports[0]}/127.0.0.1:1",
                          "--unix-socket", path, "-H", "Sec-Fetch-Site: cross-site")
        self.assertEqual(reply["status"], 403)
        service.stop()

    def test_a_socket_of_another_name_is_not_taken_for_the_apis(self):
        other = peers.free_port()
        service = self.activated(f"127.0.0.1:{other}", name="other")
        with peers.connect(other):  # starts it
            service.wait_ready()
        service.wait_for_line("socket passed by systemd is not used", name="other")
        self.assertNotEqual(service.api_port, other)
        self.assertEqual(service.get("/status").status, 200)

    def test_it_stops_with_exit_code_0_and_leaves_its_state(self):
        api = peers.free_port()
        service = self.activated(f"127.0.0.1:{api}")
        port = service.ports[0]
        self.curl(f"http://127.0.0.1:{api}/createstream/{port}/127.0.0.1:7000")
        service.wait_ready()
        service.stop()
        service.prefix = []
        service.start()
        self.assertEqual(service.streams(), {port: "127.0.0.1:7000"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
