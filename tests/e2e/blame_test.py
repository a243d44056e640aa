#!/usr/bin/env python3
"""Whose fault it was, where this host itself is in the way: its ports, routes and source addresses.

Runs in a network namespace of its own, which ends with it: it changes the host's ports and routes.
"""

import itertools
import os
import pathlib
import socket
import subprocess
import sys

import harness
import peers
import v1_client
from waiting import wait_until

IN_NAMESPACE = "SC_BLAME_TEST_IS_INSIDE"
RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
RESERVED = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
COMMANDS = """
ip link set lo up
ip route add blackhole 10.81.0.0/24
ip route add prohibit 10.82.0.0/24
ip route add unreachable 10.83.0.0/24
"""
WARNING = "PORT_RANGE overlaps the source ports of this host"


class BlameTest(v1_client.V1Test):
    flags = {"workers": 2, "log-sessions": "failed"}

    def setUp(self):
        self.before = RANGE.read_text(encoding="ascii")
        self.addCleanup(RANGE.write_text, self.before, encoding="ascii")
        self.addCleanup(RESERVED.write_text, "\n", encoding="ascii")
        super().setUp()

    def failures(self, port):
        return self.ask("GET", self.stream(port) + "/failures").json

    def ended(self, port):
        return self.ask("GET", self.stream(port)).json["ended"]

    def assert_host(self, port, error, *words):
        """A client of the stream has ended as `host`: in the API, in the log and in the counters."""
        line = self.service.wait_for_line("session ended", port=str(port), reason="host")
        failure = self.failures(port)["failures"][0]
        for told in (line.fields, failure):
            self.assertEqual((told["reason"], told["fault"], told["error"]), ("host", "service", error), told)
        for word in words:  # the log has no room for all of them
            self.assertIn(word, failure["message"])
        self.assertEqual(set(self.ended(port)), {"host"})


class Routes(BlameTest):
    def test_a_route_of_this_host_is_not_the_backends_fault(self):
        for port, (address, error, word) in zip(self.ports, (
                ("10.81.0.1", "EINVAL", "blackhole"), ("10.82.0.1", "EACCES", "prohibit"),
                ("10.83.0.1", "EHOSTUNREACH", "unreachable"), ("10.84.0.1", "ENETUNREACH", "no route to it"))):
            with self.subTest(error=error):
                self.put_ok(port, f"{address}:80")
                self.assert_is_reset(port)
                self.assert_host(port, error, f"{address}:80", word, f"`ip route get {address}`")
                check = self.ask("POST", self.stream(port) + ":check").json
                self.assertEqual((check["reachable"], check["reason"]), (False, "host"), check)

    def test_a_streams_reason_follows_the_cause_between_host_and_backend(self):
        self.put_ok(self.port, "10.84.0.9:9")
        address = ("ip", "address", "add", "10.84.0.9/32", "dev", "lo")
        remove = (*address[:2], "del", *address[3:])
        self.addCleanup(subprocess.run, remove, check=False, stderr=subprocess.DEVNULL)
        self.wait_for_reason("this host cannot dial backend 10.84.0.9:9")
        self.service.wait_for_line("this host cannot reach the backend", port=str(self.port))
        subprocess.run(address, check=True)
        self.wait_for_reason("backend 10.84.0.9:9: Connection refused")
        self.service.wait_for_line("backend is not reached", port=str(self.port))
        subprocess.run(remove, check=True)
        self.wait_for_reason("this host cannot dial backend 10.84.0.9:9")

    def wait_for_reason(self, begin):
        """Connects until the stream's reason begins so: the service reports trouble once a second at most."""
        def has_reason():
            self.assert_is_reset(self.port)
            return (self.ask("GET", self.stream(self.port)).json["reason"] or "").startswith(begin)
        wait_until(has_reason, 10, begin)

    def test_a_host_without_ipv6_has_no_source_address_and_says_so(self):
        subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"], check=True)
        self.addCleanup(subprocess.run, ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"], check=True)
        self.put_ok(self.port, "[2001:db8::1]:80")
        self.assert_is_reset(self.port)
        self.assert_host(self.port, "EADDRNOTAVAIL", "no source address", "net.ipv6.conf.all.disable_ipv6")


class SourcePorts(BlameTest):
    sources = itertools.count(3001)  # each once, as its connection may be in TIME_WAIT

    def test_used_up_source_ports_are_this_hosts_lack(self):
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address)
        first = self.talk(self.port)
        [taken] = self.outgoing(backend)
        RANGE.write_text(f"{taken} {taken}", encoding="ascii")
        with self.assertRaises(ConnectionResetError):
            peers.read_all(self.connect(self.port))
        RANGE.write_text(self.before, encoding="ascii")
        self.service.wait_for_line("this host cannot reach the backend", port=str(self.port))
        self.assertIn("no source port is left", self.ask("GET", self.stream(self.port)).json["reason"])
        self.assertEqual(self.failures(self.port)["failures"][0]["reason"], "host")
        self.assert_host(self.port, "EADDRNOTAVAIL",
                         f"no source port is left for connections to {backend.address}",
                         f"net.ipv4.ip_local_port_range ({taken}-{taken})", "widen that range")
        first.sendall(b"def")
        self.assertEqual(peers.read_exactly(first, 3), b"def")

    def connect(self, port):
        """A client whose source port the test has chosen, so that the kernel gives it none."""
        client = socket.create_connection(("127.0.0.1", port), peers.PATIENCE, ("127.0.0.1", next(self.sources)))
        self.addCleanup(client.close)
        return client

    def talk(self, port):
        client = self.connect(port)
        client.sendall(b"abc")
        self.assertEqual(peers.read_exactly(client, 3), b"abc")
        return client

    def outgoing(self, backend):
        """The source ports of connections to the backend."""
        rows = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        return {int(row.split()[1].rpartition(":")[2], 16): row.split()[3] for row in rows
                if row.split()[2].endswith(f":{backend.port:04X}")}

    def test_an_own_connection_keeps_no_stream_from_its_port(self):
        self.service.stop()
        RANGE.write_text(f"{self.ports[-1]} {self.ports[-1] + 2000}", encoding="ascii")
        self.service.start()
        self.service.wait_for_line(WARNING)
        backend = self.backend(peers.echo)
        entry, port = self.ports[:2]
        self.put_ok(entry, backend.address)
        RANGE.write_text(f"{port} {port}", encoding="ascii")
        client = self.talk(entry)
        RANGE.write_text(self.before, encoding="ascii")
        self.assertEqual(self.outgoing(backend), {port: "01"})
        self.assertEqual(self.put(port, backend.address).status, 201)
        self.talk(port)
        client.sendall(b"def")
        self.assertEqual(peers.read_exactly(client, 3), b"def")
        # The service ends first, so its end of the connection keeps the port in TIME_WAIT.
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_all(client), b"")
        wait_until(lambda: self.outgoing(backend).get(port) == "06", 10, "TIME_WAIT")
        self.ask("DELETE", self.stream(port))
        self.assertEqual(self.put(port, backend.address).status, 201)

    def test_what_has_a_port_is_named_although_it_listens_nowhere(self):
        port = self.ports[3]
        target = self.listener()
        foreign = socket.socket()
        self.addCleanup(foreign.close)
        foreign.bind(("127.0.0.1", port))
        foreign.connect(target.getsockname())
        address = f"127.0.0.1:{target.getsockname()[1]}"
        self.assert_problem(self.put(port), 409, "port-in-use",
                            f"python3 (pid {os.getpid()}) has a connection from it to {address}")

    def test_no_warning_where_the_kernel_gives_no_such_port(self):
        self.assertNotIn(WARNING, self.service.log())
        self.service.stop()
        RESERVED.write_text(f"{self.ports[0]}-{self.ports[-1]}\n", encoding="ascii")
        RANGE.write_text(f"{self.ports[0]} {self.ports[-1] + 100}", encoding="ascii")
        self.service.start()
        self.assertNotIn(WARNING, self.service.log())


class Attention(BlameTest):
    def test_what_is_frequent_hides_nothing_that_is_rare(self):
        def serve(client):
            if client.recv(3) == b"bad":
                peers.reset(client)
            else:
                client.recv(1)

        backend = self.backend(serve)
        self.put_ok(self.port, backend.address)
        client = self.client(self.port)
        client.sendall(b"bad")
        self.assertRaises(ConnectionResetError, peers.read_all, client)
        for word in [b""] * 150 + [b"abc"] * 150:  # health checks, and clients that give up
            client = peers.connect(self.port)
            if word:
                client.sendall(word)
            peers.reset(client)
        wait_until(lambda: sum(self.ended(self.port).values()) == 301, 20, "all sessions ended")
        ended = self.ended(self.port)
        self.assertGreaterEqual(ended["empty"], 150)
        told = self.failures(self.port)
        groups = {group["reason"]: group for group in told["groups"]}
        self.assertNotIn("empty", groups)
        self.assertEqual(groups["backend_reset"]["count"], 1)
        self.assertEqual(groups["backend_reset"]["address"], backend.address)
        self.assertEqual(told["failures"][-1]["reason"], "backend_reset")
        self.assertEqual(groups["backend_reset"]["sessions"], [told["failures"][-1]["id"]])
        self.assertEqual(groups["client_reset"]["count"], ended["client_reset"])
        self.service.wait_for_line("session ended", reason="backend_reset")
        self.assertNotIn("reason=empty", self.service.log())


def enter_namespace():
    done = subprocess.run(["unshare", "--net", sys.executable, *sys.argv],
                          env={**os.environ, IN_NAMESPACE: "1"}, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    if IN_NAMESPACE not in os.environ:
        enter_namespace()
    for command in COMMANDS.strip().splitlines():
        subprocess.run(command.split(), check=True)
    harness.main()
