#!/usr/bin/env python3
"""An upgrade from an earlier version, whose tree with its build is SC_FORMER: see tools/upgrade."""

import os
import pathlib
import re
import signal
import unittest

import handoff
import harness
import peers
from handoff import scaled

MB = 1_000_000
# The host under test gives them as flags.
GIVEN = ("port_range", "bind_address", "bind_port", "state_directory")


class Upgrade(handoff.HandoffTest):
    """`self.host` runs the former version until upgrade()."""

    def make_host(self):
        self.former = pathlib.Path(os.environ["SC_FORMER"])
        host = handoff.ManagedHost(self.dir, self.environment,
                                   binary=self.former / "build/stream-conductor")
        self.addCleanup(host.close)
        return host

    def upgrade(self, number):
        self.host.end(number)
        self.host.service.binary = harness.BINARY
        self.host.service.at_ready = None  # another version has other descriptors at rest
        self.host.launch()
        self.host.wait_ready()

    def upgrade_under_traffic(self, number):
        early = self.host.stream(self.traffic.port, durable="early")
        established = self.host.stream(self.traffic.port, durable="established")
        clients = [self.traffic.client(early, sessions=4, up=scaled(4 * MB), down=scaled(4 * MB),
                                       rate=2 * MB, modes="both,down-last,up-last,reply"),
                   self.traffic.client(established, sessions=4, up=scaled(200_000),
                                       down=scaled(200_000), rate=100_000, modes="ping-pong",
                                       message=1000)]
        self.host.wait_durable(8)
        for _ in range(3):
            self.upgrade(number)  # the second and third time from this version to itself
        self.right(*clients, sessions=8)
        self.host.check_store()

    def test_sessions_outlive_a_kill_before_the_upgrade(self):
        self.upgrade_under_traffic(signal.SIGKILL)

    def test_sessions_outlive_an_orderly_upgrade(self):
        self.upgrade_under_traffic(signal.SIGTERM)

    def token(self, *words):
        return harness.run(self.host.service.binary, "token", *words,
                           f"--config={self.host.service.config}",
                           f"--state-directory={self.host.service.state}")

    def test_streams_tokens_and_history_stay(self):
        service = self.host.service
        echo = self.backend(peers.echo).port
        ports = [self.host.stream(echo, note=f"number {n}", label="a", owner="ops") for n in range(3)]
        service.get(f"/v1/streams/{ports[0]}", "DELETE")
        made = self.token("create", "--name", "ci", "--role", "operator")
        self.assertEqual(made.returncode, 0, made.stderr)
        token = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
        self.assertEqual(service.get("/v1/streams", headers=token).status, 200)
        before = [service.get(f"/v1/streams/{port}").json for port in ports[1:]]
        events = service.get("/v1/history").json["events"]
        self.assertGreaterEqual(len(events), 4)
        self.upgrade(signal.SIGKILL)
        for then in before:
            now = service.get(f"/v1/streams/{then['port']}").json
            for field in ("backend", "note", "label", "owner", "created_at", "revision", "enabled"):
                self.assertEqual(now[field], then[field])
            with self.client(then["port"]) as sock:
                sock.sendall(b"x")
                self.assertEqual(peers.read_exactly(sock, 1), b"x")
        ids = {each["id"] for each in service.get("/v1/history").json["events"]}
        self.assertLessEqual({each["id"] for each in events}, ids)
        self.assertEqual(service.get("/v1/streams", headers=token).status, 200)
        self.assertIn("ci", self.token("list").stdout)

    def test_every_setting_of_its_shipped_configuration_is_accepted(self):
        shipped = (self.former / "config/stream-conductor.toml").read_text(encoding="utf-8")
        settings = re.findall(r"^#?([a-z_]+ = .+)$", shipped, re.MULTILINE)
        settings = [each for each in settings if each.split()[0] not in GIVEN]
        self.assertGreater(len(settings), 10)
        self.host.service.config.write_text("\n".join(settings) + "\n", encoding="utf-8")
        self.upgrade(signal.SIGTERM)
        self.assertEqual(self.host.service.get("/readyz").status, 200)


if __name__ == "__main__":
    unittest.main()
