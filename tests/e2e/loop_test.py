#!/usr/bin/env python3
"""A stream that forwards to this service itself harms no other stream; streams in a row work.

Runs in a network and a mount namespace of its own, which end with it: it needs addresses and names
that the host does not have.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile

import handoff
import harness
import peers
import v1_client
from waiting import wait_until

IN_NAMESPACE = "SC_LOOP_TEST_NAMES"  # set within: the file that is /etc/hosts there
# Each name resolves to its address. The second of 10.77.0.0/24 is what ip(8) calls a secondary address; 10.88.0.0/16 is
# a route of type `local`, on no interface.
OWN = {
    "loopback.test": "127.0.0.1",
    "loopback-other.test": "127.9.9.9",
    "loopback6.test": "::1",
    "wildcard.test": "0.0.0.0",
    "wildcard6.test": "::",
    "interface.test": "10.77.0.1",
    "secondary.test": "10.77.0.2",
    "other-interface.test": "10.78.0.1",
    "interface6.test": "fd77::1",
    "any-ip.test": "10.88.1.2",
}
LATER = "10.79.0.1"
COMMANDS = """
ip link set lo up
ip link add one type veth peer name two
ip link set one up
ip link set two up
ip address add 10.77.0.1/24 dev one
ip address add 10.77.0.2/24 dev one
ip address add 10.78.0.1/24 dev two
ip address add fd77::1/64 dev one nodad
ip route add local 10.88.0.0/16 dev lo
"""


def literal(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class LoopTest(v1_client.V1Test):
    flags = {"workers": 2, "log-sessions": "all"}

    def facts(self, port):
        return self.ask("GET", self.stream(port)).json

    def wait_ended(self, port, sessions=1):
        wait_until(lambda: self.facts(port)["sessions_active"] == 0
                   and self.facts(port)["sessions_total"] >= sessions, 10, f"sessions of {port} end")

    def assert_ring(self, first, ring, sessions=1):
        """One client of the first stream: each stream of the ring ends `sessions` sessions as `loop`."""
        self.assert_is_reset(first)
        shown = " -> ".join(str(port) for port in ring)
        for port in set(ring) | {first}:
            self.wait_ended(port, sessions)
            facts = self.facts(port)
            self.assertEqual((facts["sessions_total"], facts["ended"]), (sessions, {"loop": sessions}), facts)
            failure = self.ask("GET", f"{self.stream(port)}/failures").json["failures"][0]
            self.assertEqual((failure["reason"], failure["fault"]), ("loop", "policy"), failure)
            self.assertIn(shown, failure["message"])
            line = self.service.wait_for_line("session ended", port=str(port), reason="loop")
            self.assertEqual(line.fields["fault"], "policy")

    def assert_others_go_on(self):
        port = self.ports[9]
        if self.ask("GET", self.stream(port)).status == 404:
            self.put_ok(port, self.backend(peers.says(b"here")).address)
        self.assert_says(port, b"here")


class Refused(LoopTest):
    """Rings of IP addresses."""

    def test_a_stream_to_its_own_port_is_refused_by_each_address_of_the_host(self):
        for address in [*OWN.values(), "::ffff:127.0.0.1", "::ffff:10.77.0.1", "::ffff:0.0.0.0"]:
            with self.subTest(address):
                backend = literal(address, self.port)
                ring = f"{self.port} -> {self.port}"
                self.assert_problem(self.put(self.port, backend), 422, "loop", ring, pointer="/backend")
                reply = self.service.get(f"/createstream/{self.port}/{backend}")
                self.assertEqual(reply.status, 200)
                self.assertEqual(reply.json["result"], "error")
                self.assertIn(ring, reply.json["errors"])
                self.assertEqual(self.ask("GET", self.stream(self.port)).status, 404)
        self.assertEqual(self.events(), [])

    def test_a_stream_without_a_port_gets_one_at_which_it_makes_no_ring(self):
        reply = self.ask("POST", "/v1/streams", {"backend": f"127.0.0.1:{self.port}"})
        self.assertEqual(reply.status, 201, reply.json)
        self.assertNotEqual(reply.json["port"], self.port)

    def test_a_longer_ring_is_refused_where_it_closes(self):
        first, second, third = self.ports[:3]
        self.put_ok(first, f"127.0.0.1:{second}")
        self.put_ok(second, f"10.77.0.1:{third}")
        ring = f"{third} -> {first} -> {second} -> {third}"
        self.assert_problem(self.put(third, f"[::1]:{first}"), 422, "loop", ring, pointer="/backend")
        self.put_ok(third, "127.0.0.1:7000")
        reply = self.ask("PATCH", self.stream(third), {"backend": f"0.0.0.0:{first}"})
        self.assert_problem(reply, 422, "loop", ring, pointer="/backend")
        self.assertEqual(self.facts(third)["backend"], "127.0.0.1:7000")

    def test_a_list_with_a_ring_is_refused_whole_and_shows_where(self):
        streams = [{"port": port, "backend": "127.0.0.1:7000"} for port in self.ports[:3]]
        streams.append({"port": self.ports[3], "backend": f"127.0.0.1:{self.ports[4]}"})
        streams.append({"port": self.ports[4], "backend": f"127.0.0.1:{self.ports[3]}"})
        ring = f"{self.ports[3]} -> {self.ports[4]} -> {self.ports[3]}"
        for query in ("", "?dry_run=true", "?mode=replace"):
            reply = self.ask("POST", "/v1/streams:apply" + query, {"streams": streams})
            self.assert_problem(reply, 422, "loop", ring, pointer="/streams/3/backend")
        self.assertEqual(self.listed(), {})

    def test_a_list_may_open_a_ring_that_it_closes_elsewhere(self):
        first, second = self.ports[:2]
        self.put_ok(first, f"127.0.0.1:{second}")
        streams = [{"port": first, "backend": "127.0.0.1:7000"}, {"port": second, "backend": f"127.0.0.1:{first}"}]
        reply = self.ask("POST", "/v1/streams:apply", {"streams": streams})
        self.assertEqual(reply.status, 200, reply.json)
        self.assertEqual(self.listed(), {first: "127.0.0.1:7000", second: f"127.0.0.1:{first}"})

    def test_a_disabled_stream_makes_no_ring_until_it_is_enabled(self):
        self.put_ok(self.port, f"127.0.0.1:{self.port}", enabled=False)
        reply = self.ask("PATCH", self.stream(self.port), {"enabled": True})
        self.assert_problem(reply, 422, "loop", f"{self.port} -> {self.port}")
        self.assertEqual(self.facts(self.port)["state"], "disabled")

    def test_a_stream_at_one_address_may_forward_to_its_port_at_another(self):
        backend = self.backend(peers.says(b"loopback"), port=self.port)
        self.put_ok(self.port, backend.address, listen_address="10.77.0.1")
        self.assert_says(self.port, b"loopback", host="10.77.0.1")
        reply = self.put(self.port, f"10.77.0.1:{self.port}", listen_address="10.77.0.1")
        self.assert_problem(reply, 422, "loop", f"{self.port} -> {self.port}")


class Found(LoopTest):
    """Rings that only a session finds."""

    def test_a_name_of_each_kind_of_own_address_is_found_without_a_hop(self):
        for port, name in zip(self.ports, list(OWN)[:9]):
            with self.subTest(name):
                self.put_ok(port, f"{name}:{port}")
                self.assert_ring(port, [port, port])
        self.assert_others_go_on()

    def test_a_name_of_a_local_route_is_found(self):
        self.put_ok(self.port, f"any-ip.test:{self.port}")
        self.assert_ring(self.port, [self.port, self.port])

    def test_an_address_that_the_host_got_later_is_found(self):
        self.put_ok(self.port, f"later.test:{self.port}", connect_timeout="300ms")
        subprocess.run(["ip", "address", "add", f"{LATER}/24", "dev", "two"], check=True)
        self.addCleanup(subprocess.run, ["ip", "address", "del", f"{LATER}/24", "dev", "two"], check=True)
        # The refusal shows that the service has noticed.
        wait_until(lambda: self.put(self.ports[1], f"{LATER}:{self.ports[1]}").status == 422, 10, "it is noticed")
        self.assert_ring(self.port, [self.port, self.port])

    def test_a_ring_of_two_that_an_edit_closes(self):
        first, second = self.ports[:2]
        self.put_ok(first, f"127.0.0.1:{second}")
        self.put_ok(second, f"interface.test:{first}")
        self.assert_ring(first, [first, second, first])
        self.assert_others_go_on()

    def test_a_ring_of_five_over_two_workers_with_a_stream_before_it(self):
        before, *ring = self.ports[:6]
        for port, following in zip(ring, ring[1:]):
            self.put_ok(port, f"127.0.0.1:{following}")
        self.put_ok(ring[-1], f"wildcard6.test:{ring[0]}")
        self.put_ok(before, f"[::1]:{ring[0]}")
        # Shown from where the client came in.
        self.assert_ring(before, [before, *ring, ring[0]])
        self.assert_others_go_on()

    def test_many_clients_of_a_ring_leave_nothing_behind(self):
        first, second = self.ports[:2]
        self.put_ok(first, f"127.0.0.1:{second}")
        self.put_ok(second, f"loopback.test:{first}")
        clients = []
        for _ in range(200):
            with contextlib.suppress(ConnectionResetError):  # the reset may come before connect() returns
                clients.append(self.client(first))
        for client in clients:
            with self.assertRaises(ConnectionResetError):
                peers.read_all(client)
        self.wait_ended(first, 200)
        self.wait_ended(second, 200)
        for port in (first, second):
            self.assertEqual(self.facts(port)["sessions_total"], 200)
            self.assertEqual(self.facts(port)["ended"], {"loop": 200})
        self.assert_others_go_on()

    def test_a_check_of_the_backend_shows_the_ring(self):
        self.put_ok(self.port, f"loopback.test:{self.port}")
        told = self.ask("POST", f"{self.stream(self.port)}:check").json
        self.assertFalse(told["reachable"], told)
        self.assertEqual(told["reason"], "loop", told)
        self.assertIn(f"{self.port} -> {self.port}", json.dumps(told))

    def test_rows_written_by_hand_open_with_a_warning(self):
        first, second = self.ports[:2]
        self.put_ok(first, f"127.0.0.1:{second}")
        self.put_ok(second, "127.0.0.1:7000")
        with contextlib.closing(sqlite3.connect(self.service.database, timeout=20)) as database, database:
            database.execute("UPDATE streams SET backend = ? WHERE port = ?", (f"127.0.0.1:{first}", second))
        for is_reload in (True, False):
            if is_reload:
                self.service.kill(signal.SIGHUP)
            else:
                self.service.stop()
                self.service.start()
            line = self.service.wait_for_line("streams forward to one another in a ring")
            self.assertIn(str(first), line.fields["ring"])
            self.assertEqual({facts["state"] for facts in map(self.facts, (first, second))}, {"listening"})
        # Other fields may change still.
        self.assertEqual(self.ask("PATCH", self.stream(first), {"label": "mended soon"}).status, 200)
        self.assert_is_reset(first)
        self.wait_ended(second)
        self.assertEqual(self.facts(second)["ended"], {"loop": 1})

    def test_the_api_is_denied_at_each_address_of_the_host(self):
        self.service.stop()
        self.service.flags["bind-address"] = "0.0.0.0"
        self.service.start()
        self.service.api_host = "127.0.0.1"
        for port, address in zip(self.ports, ("127.0.0.1", "10.77.0.1", "any-ip.test")):
            self.put_ok(port, f"{address}:{self.service.api_port}")
            self.assert_is_reset(port)
            self.wait_ended(port)
            self.assertEqual(self.facts(port)["ended"], {"denied": 1})


class Row(LoopTest):
    """Streams in a row, which are no ring."""

    def test_five_streams_in_a_row_carry_bytes_both_ways_and_half_close(self):
        row = self.ports[:5]
        backend = self.backend(peers.echo)
        hosts = ["127.0.0.1", "loopback.test", "10.77.0.1", "[::1]"]
        self.put_ok(row[4], backend.address)
        for port, following, host in zip(row, row[1:], hosts):
            self.put_ok(port, f"{host}:{following}")
        sent = os.urandom(1 << 20)
        with peers.connect(row[0]) as client:
            client.sendall(b"hello")
            self.assertEqual(peers.read_exactly(client, 5), b"hello")
            for start in range(0, len(sent), len(sent) // 16):
                piece = sent[start : start + len(sent) // 16]
                client.sendall(piece)
                self.assertEqual(peers.read_exactly(client, len(piece)), piece)
            client.sendall(b"last")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(peers.read_all(client), b"last")
        for port in row:
            self.wait_ended(port)
            self.assertEqual((self.facts(port)["sessions_total"], self.facts(port)["ended"]), (1, {"finished": 1}))

    def test_a_row_that_goes_through_a_stream_that_others_use(self):
        first, second, third = self.ports[:3]
        self.put_ok(third, self.backend(peers.says(b"end")).address)
        self.put_ok(second, f"127.0.0.1:{third}")
        self.put_ok(first, f"127.0.0.1:{second}")
        for _ in range(20):
            for port in (first, second, third):
                self.assert_says(port, b"end")
        self.wait_ended(third, 60)
        self.assertEqual(self.facts(third)["ended"], {"finished": 60})


class Early(handoff.HandoffTest):
    """Sessions that are kept from the moment in which their client was accepted."""

    environment = {}

    def facts(self, port):
        return self.host.service.get(f"/v1/streams/{port}").json

    def test_a_ring_of_early_streams_ends(self):
        ports = list(self.host.service.ports)
        for port, backend in ((ports[0], f"127.0.0.1:{ports[1]}"), (ports[1], f"loopback.test:{ports[0]}")):
            reply = self.host.service.get(f"/v1/streams/{port}", "PUT", {"Content-Type": "application/json"},
                                          json.dumps({"backend": backend, "durable": "early"}))
            self.assertEqual(reply.status, 201, reply)
        for _ in range(5):
            self.assert_is_reset(ports[0])
        for port in ports[:2]:
            wait_until(lambda: self.facts(port)["sessions_total"] == 5  # pylint: disable=cell-var-from-loop
                       and self.facts(port)["sessions_active"] == 0, 10, "its sessions end")
            self.assertEqual(self.facts(port)["ended"], {"loop": 5})

    def test_a_row_of_early_streams_outlives_a_kill(self):
        ports = list(self.host.service.ports)
        backend = self.backend(peers.echo)
        for port, target in ((ports[0], f"127.0.0.1:{ports[1]}"), (ports[1], backend.address)):
            reply = self.host.service.get(f"/v1/streams/{port}", "PUT", {"Content-Type": "application/json"},
                                          json.dumps({"backend": str(target), "durable": "early"}))
            self.assertEqual(reply.status, 201, reply)
        with peers.connect(ports[0]) as client:
            client.sendall(b"before")
            self.assertEqual(peers.read_exactly(client, 6), b"before")
            self.host.wait_durable(2)
            self.host.again()
            client.sendall(b"after")
            self.assertEqual(peers.read_exactly(client, 5), b"after")


class Reserve(LoopTest):
    """One stream cannot take every place."""

    flags = {"workers": 2, "max-sessions": 80}

    def test_a_stream_with_many_sessions_leaves_places_to_the_others(self):
        greedy, other = self.ports[:2]
        backend = self.backend(peers.greets_then_echoes(b"hi"))
        self.put_ok(greedy, backend.address)
        self.put_ok(other, backend.address)
        limits = self.ask("GET", "/v1/status").json["limits"]
        self.assertEqual((limits["max_sessions"], limits["reserved_sessions"]), (80, 10))
        clients = [self.client(greedy) for _ in range(100)]
        wait_until(lambda: self.facts(greedy)["sessions_active"] == 70, 10, "70 sessions")
        for _ in range(10):
            client = self.client(other)
            self.assertEqual(peers.read_exactly(client, 2), b"hi")
        self.assertEqual(self.facts(greedy)["sessions_active"], 70)
        # Those that waited come in when others leave.
        for client in clients[:40]:
            client.close()
        wait_until(lambda: self.facts(greedy)["sessions_total"] == 100, 10, "all of its clients were served")


class OwnAddressTest(harness.EndToEnd):
    """The API is asked without a token at addresses of this host that are not loopback."""

    def ask_by(self, service, name, **headers):
        service.api_host = OWN[name]
        reply = service.get("/v1/status", headers={"Host": f"{name}:{service.api_port}", **headers})
        return reply.status, reply.json["detail"]

    def test_the_api_says_what_a_caller_on_this_host_can_do(self):
        service = self.start_service(flags={"bind-address": "0.0.0.0"})
        advice = f"ask http://localhost:{service.api_port} from this host"
        for name in ("interface.test", "secondary.test", "any-ip.test"):
            status, detail = self.ask_by(service, name)
            self.assertEqual(status, 403, detail)
            self.assertIn(f'"{name}" resolves to an address of this host', detail)
            self.assertIn(advice, detail)
        status, detail = self.ask_by(service, "secondary.test", Host=OWN["secondary.test"])
        self.assertEqual(status, 401, detail)
        self.assertNotIn("other hosts", detail)
        self.assertIn(advice, detail)
        status, detail = self.ask_by(service, "interface.test", **{"X-Forwarded-For": "9.9.9.9"})
        self.assertEqual(status, 401, detail)
        self.assertIn("a proxy passed this on", detail)

    def test_the_api_names_no_address_where_it_does_not_listen(self):
        service = self.start_service(flags={"bind-address": OWN["interface.test"]})
        status, detail = self.ask_by(service, "interface.test")
        self.assertEqual(status, 403, detail)
        self.assertNotIn("localhost", detail)
        self.assertIn("Bearer", detail)


def enter_namespaces():
    """Runs this program again in namespaces of its own, with names of its own."""
    folder = tempfile.mkdtemp(prefix="sc-loop-")
    try:
        hosts = os.path.join(folder, "hosts")
        with open(hosts, "w", encoding="utf-8") as file:
            for name, address in [("localhost", "127.0.0.1"), *OWN.items(), ("later.test", LATER)]:
                file.write(f"{address} {name}\n")
        done = subprocess.run(["unshare", "--net", "--mount", sys.executable, *sys.argv],
                              env={**os.environ, IN_NAMESPACE: hosts}, check=False)
        sys.exit(done.returncode)
    finally:
        shutil.rmtree(folder)


def furnish():
    subprocess.run(["mount", "--bind", os.environ[IN_NAMESPACE], "/etc/hosts"], check=True)
    for command in COMMANDS.strip().splitlines():
        subprocess.run(command.split(), check=True)


if __name__ == "__main__":
    if IN_NAMESPACE not in os.environ:
        enter_namespaces()
    furnish()
    harness.main()
