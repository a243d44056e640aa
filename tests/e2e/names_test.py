"""Names of backends: one silent name, dead server or changed file harms no other stream.

In network and mount namespaces of its own, where the DNS servers of this host are the test's.
"""

import pathlib
import signal
import subprocess
import threading
import time

import dns
import harness
import peers
from waiting import SLOWNESS, wait_until

ONE_SERVER = "nameserver 127.0.0.1\nsearch .\n"
TWO_SERVERS = "nameserver 127.0.0.1\nnameserver 127.0.0.2\nsearch .\n"


class Names(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.resolv_conf = dns.HostFile("/etc/resolv.conf", ONE_SERVER)
        self.addCleanup(self.resolv_conf.close)
        self.hosts = dns.HostFile("/etc/hosts", "127.0.0.1 localhost\n127.0.0.1 db.hosts\n")
        self.addCleanup(self.hosts.close)
        self.dns = self.server()
        self.here = self.backend(peers.says(b"here"))
        self.there = self.backend(peers.says(b"there"), host="127.0.0.3", port=self.here.port)

    def server(self, ip="127.0.0.1"):
        server = dns.DnsServer(ip)
        self.addCleanup(server.close)
        return server

    def stream(self, service, place, name):
        return service.create(service.ports[place], f"{name}:{self.here.port}")

    @staticmethod
    def says(port):
        """What the backend says, and how long it took; b"" after a reset."""
        before = time.monotonic()
        try:
            with peers.connect(port) as sock:
                text = peers.read_all(sock)
        except ConnectionResetError:
            text = b""
        return text, time.monotonic() - before

    def resolution(self, service, port):
        return service.get(f"/v1/streams/{port}").json["resolution"]

    def metric(self, service, name):
        for line in service.get("/metrics").body.decode().splitlines():
            if line.startswith(f"stream_conductor_resolver_{name}_total "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    @staticmethod
    def degraded(service):
        listed = service.get("/v1/status").json["degraded"]  # streams too
        return [each["component"] for each in listed if "component" in each]

    def check_silent_name(self, service):
        """40 clients of a silent name wait; streams to other names serve at once."""
        self.dns.silence("silent.test")
        self.dns.set("good.test", ["127.0.0.1"])
        silent = self.stream(service, 0, "silent.test")
        others = [self.stream(service, place, name)
                  for place, name in enumerate(("db.hosts", "localhost", "good.test"), 1)]
        waiting = [self.client(silent) for _ in range(40)]
        wait_until(lambda: service.get(f"/v1/streams/{silent}").json["sessions_active"] == 40, 10,
                   "40 sessions that wait for the name")
        for port in others:
            text, seconds = self.says(port)
            self.assertEqual(text, b"here", port)
            self.assertLess(seconds, 1 * SLOWNESS, port)
        self.assertEqual(service.get(f"/v1/streams/{silent}").json["sessions_active"], 40)
        return silent, waiting

    def test_clients_of_a_silent_name_hold_up_no_other_stream(self):
        service = self.start_service(environment={"RESOLVE_TIMEOUT": "2s"})
        silent, waiting = self.check_silent_name(service)
        for sock in waiting:
            with self.assertRaises(ConnectionResetError):
                sock.recv(1)
        ended = service.get(f"/v1/streams/{silent}/failures").json["failures"][0]
        self.assertEqual((ended["reason"], ended["phase"]), ("backend_unresolved", "resolve"))
        self.assertEqual(ended["message"], "cannot resolve silent.test: no DNS server answered "
                                           "within 2s (127.0.0.1)")

    def test_clients_of_a_silent_name_hold_up_no_other_stream_with_getaddrinfo(self):
        service = self.start_service(environment=harness.LEAVES_THREADS | {
            "RESOLVER": "system", "RESOLVE_TIMEOUT": "2s"})
        silent, _ = self.check_silent_name(service)
        failures = f"/v1/streams/{silent}/failures"
        wait_until(lambda: service.get(failures).json["failures"], 10, "the end of a session")
        self.assertEqual(service.get(failures).json["failures"][0]["message"],
                         "cannot resolve silent.test: the system's resolver did not answer within 2s")
        service.stop()  # although getaddrinfo still runs

    def test_600_clients_at_once_cost_one_query_and_all_are_served(self):
        self.dns.set("slow.test", ["127.0.0.1"], delay=0.25)
        service = self.make_service()
        # Opening the stream looks the name up: its clients must come before the answer does.
        service.start()
        port = self.stream(service, 0, "slow.test")
        socks = [self.client(port) for _ in range(600)]
        texts = [peers.read_all(sock) for sock in socks]
        self.assertEqual(texts.count(b"here"), 600)
        self.assertEqual(self.dns.asked["slow.test", dns.A], 1)
        self.assertEqual(self.dns.asked["slow.test", dns.AAAA], 1)
        self.assertEqual(service.get(f"/v1/streams/{port}/failures").json["failures"], [])

    def test_clients_of_a_name_whose_answer_arrives_during_a_pause_are_served(self):
        self.dns.set("slow.test", ["127.0.0.1"], delay=0.8)
        service = self.start_service(environment={"RESOLVE_TIMEOUT": "1s"})
        port = self.stream(service, 0, "slow.test")
        socks = [self.client(port) for _ in range(20)]
        wait_until(lambda: service.get(f"/v1/streams/{port}").json["sessions_total"] == 20, 10,
                   "20 sessions")
        # Longer than the service waits for its resolver's thread.
        until = time.monotonic() + 4.2
        service.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: time.monotonic() > until, 10, "an end of the time to resolve")
        finally:
            service.process.send_signal(signal.SIGCONT)
        for sock in socks:
            self.assertEqual(peers.read_all(sock), b"here")
        self.assertEqual(service.get(f"/v1/streams/{port}/failures").json["failures"], [])

    def test_a_dead_first_server_costs_the_first_client_little_and_later_ones_nothing(self):
        for name in ("one.test", "two.test"):
            self.dns.silence(name)
        second = self.server("127.0.0.2")
        second.set("one.test", ["127.0.0.1"])
        second.set("two.test", ["127.0.0.1"])
        self.resolv_conf.write(TWO_SERVERS)
        service = self.start_service()
        port = self.stream(service, 0, "one.test")
        text, seconds = self.says(port)
        self.assertEqual(text, b"here")
        self.assertLess(seconds, 2 * SLOWNESS)
        port = self.stream(service, 1, "two.test")
        text, seconds = self.says(port)
        self.assertEqual(text, b"here")
        self.assertLess(seconds, 0.3 * SLOWNESS)
        self.assertEqual(self.dns.asked["two.test", dns.A], 0)

    def test_an_unanswered_aaaa_query_delays_an_a_answer_by_little(self):
        self.dns.set("db.test", ["127.0.0.1"])
        self.dns.answers["db.test", dns.AAAA] = dns.SILENT
        service = self.start_service()
        text, seconds = self.says(self.stream(service, 0, "db.test"))
        self.assertEqual(text, b"here")
        self.assertLess(seconds, 0.3 * SLOWNESS)  # 50 ms, and what a busy host adds

    def test_the_ttl_is_honoured_and_stale_addresses_bridge_a_silent_server(self):
        self.dns.set("db.test", ["127.0.0.1"], ttl=1)
        service = self.start_service(environment={"RESOLVE_TIMEOUT": "1500ms"})
        port = self.stream(service, 0, "db.test")
        self.assertEqual(self.says(port)[0], b"here")
        self.dns.set("db.test", ["127.0.0.3"], ttl=1)
        wait_until(lambda: self.says(port)[0] == b"there", 5, "the other address")
        self.dns.silence("db.test")
        wait_until(lambda: self.says(port) and self.resolution(service, port)["last_failure"], 10,
                   "a look-up that failed")
        text, seconds = self.says(port)
        self.assertEqual(text, b"there")
        self.assertLess(seconds, 0.5 * SLOWNESS)
        shown = self.resolution(service, port)
        self.assertEqual(shown["addresses"], ["127.0.0.3"])
        self.assertEqual(shown["ttl_s"], 1)
        self.assertGreater(shown["age_ms"], 1000)
        self.assertTrue(shown["last_failure"].startswith("no DNS server answered"), shown)
        checked = service.get(f"/v1/streams/{port}:check", "POST").json
        self.assertTrue(checked["reachable"])
        self.assertTrue(checked["resolution"]["stale"])
        self.assertEqual(self.degraded(service), ["resolver"])
        self.assertEqual(service.get("/readyz").status, 200)
        self.assertGreater(self.metric(service, "stale"), 0)
        self.assertGreater(self.metric(service, "failures"), 0)
        self.dns.set("db.test", ["127.0.0.1"], ttl=60)
        self.dns.set("db.test", [], kind=dns.AAAA)
        wait_until(lambda: self.says(port)[0] == b"here", 10, "the server that answers again")
        self.assertFalse(self.resolution(service, port)["stale"])
        wait_until(lambda: self.degraded(service) == [], 5, "the end of the condition")

    def test_changes_of_resolv_conf_and_hosts_count_within_a_second(self):
        self.dns.set("db.test", ["127.0.0.1"], ttl=3600)
        other = self.server("127.0.0.2")
        other.set("db.test", ["127.0.0.3"], ttl=3600)
        service = self.start_service()
        port = self.stream(service, 0, "db.test")
        local = self.stream(service, 1, "db.hosts")
        self.assertEqual([self.says(port)[0], self.says(local)[0]], [b"here", b"here"])
        self.resolv_conf.write("nameserver 127.0.0.2\nsearch .\n")
        wait_until(lambda: self.says(port)[0] == b"there", 1, "the other server's address")
        self.hosts.write("127.0.0.3 db.hosts\n")
        wait_until(lambda: self.says(local)[0] == b"there", 1, "the other line's address")
        self.assertEqual(self.resolution(service, local)["source"], "hosts")
        self.assertIsNone(self.resolution(service, local)["ttl_s"])

    def test_a_name_that_does_not_exist_fails_at_once_and_is_found_once_it_does(self):
        service = self.start_service()
        port = self.stream(service, 0, "later.test")
        self.assertEqual(self.says(port)[0], b"")
        self.assertEqual(self.resolution(service, port)["failure"], "host not found")
        reason = service.get(f"/v1/streams/{port}").json["reason"]
        self.assertEqual(reason, "cannot resolve later.test: host not found")
        self.dns.set("later.test", ["127.0.0.1"])
        wait_until(lambda: self.says(port)[0] == b"here", 6, "the new name")

    def test_a_link_local_backend_needs_its_interface_and_works_with_it(self):
        subprocess.run(["ip", "addr", "add", "fe80::7/64", "dev", "lo", "nodad"], check=True)
        self.addCleanup(subprocess.run, ["ip", "addr", "del", "fe80::7/64", "dev", "lo"], check=True)
        linked = self.backend(peers.says(b"linked"), host="::")
        service = self.start_service()
        path = f"/v1/streams/{service.ports[0]}"
        body = '{"backend": "[fe80::7]:%d"}' % linked.port
        json = {"Content-Type": "application/json"}
        refused = service.get(path, "PUT", json, body)
        self.assertEqual(refused.status, 422, refused)
        self.assertIn("is a link-local address without a zone", refused.body.decode())
        made = service.get(path, "PUT", json, body.replace("fe80::7", "fe80::7%lo"))
        self.assertEqual(made.status, 201, made)
        self.assertEqual(self.says(service.ports[0])[0], b"linked")
        checked = service.get(path + ":check", "POST").json
        self.assertEqual(checked["address"], f"[fe80::7%lo]:{linked.port}")
        self.assertIsNone(checked["resolution"])


if __name__ == "__main__" and dns.run_in_namespaces():
    harness.main()
