#!/usr/bin/env python3
"""/metrics as Prometheus sees it, and what ships for it: alert rules and a dashboard."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import harness
import peers
from v1_client import V1Test
from waiting import SLOWNESS, wait_until

RULES = harness.ROOT / "config/prometheus/stream-conductor.rules.yml"
RULES_TEST = pathlib.Path(__file__).parent / "alerts.test.yml"
DASHBOARD = harness.ROOT / "config/grafana/stream-conductor.json"
SAMPLE = re.compile(r'([a-z_:]+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
# What a query names; `up` is Prometheus' own.
NAMED = re.compile(r"\b(?:stream_conductor|process)_[a-z_]+\b")


class Metrics:
    """An answer of /metrics in the text format: every sample once, and what the metrics are."""

    def __init__(self, text):
        self.text = text
        self.samples = {}
        self.types = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"{name} is described twice"
                self.types[name] = kind
            elif not line.startswith("#"):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                key = (name, frozenset(LABEL.findall(labels or "")))
                assert key not in self.samples, f"{key} is there twice"
                self.samples[key] = float(value)

    def __call__(self, name, **labels):
        return self.samples.get((name, frozenset((k, str(v)) for k, v in labels.items())))

    def names(self):
        return {name + suffix for name, kind in self.types.items() for suffix in SUFFIXES[kind]}


def promtool(*words, **options):
    return harness.run("promtool", *words, **options)


class MetricsTest(V1Test):
    def scrape(self):
        reply = self.service.get("/metrics")
        self.assertEqual(reply.status, 200, reply.body)
        return Metrics(reply.body.decode())


class Told(MetricsTest):
    """What /metrics tells is what happened."""

    def wait_for(self, expected, name, **labels):
        """Counters of a session that has ended follow a moment later."""
        wait_until(lambda: self.scrape()(name, **labels) == expected, peers.PATIENCE,
                   f"{name}{labels} == {expected}")

    def test_promtool_finds_no_fault_with_the_names_units_and_form(self):
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address, note='a "note"\\\nof two lines')
        with peers.connect(self.port) as sock:
            sock.sendall(b"x")
            peers.read_exactly(sock, 1)
        done = subprocess.run(["promtool", "check", "metrics"], input=self.scrape().text, text=True,
                              capture_output=True, timeout=peers.PATIENCE, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_bytes_and_sessions_are_told_while_a_session_runs(self):
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address)
        before = self.scrape()
        self.assertEqual(before("stream_conductor_sessions_accepted_total", port=self.port), 0)
        sock = self.client(self.port)
        sent = 0
        for size in (1000, 2000):
            sock.sendall(b"x" * size)
            peers.read_exactly(sock, size)
            sent += size
            now = self.scrape()
            for direction in ("in", "out"):
                self.assertEqual(now("stream_conductor_relayed_bytes_total", port=self.port,
                                     direction=direction), sent)
            self.assertEqual(now("stream_conductor_sessions_active", port=self.port), 1)
            self.assertEqual(now("stream_conductor_sessions_accepted_total", port=self.port), 1)
            self.assertEqual(now("stream_conductor_sessions"), 1)
            self.assertEqual(sum(value for (name, _), value in now.samples.items()
                                 if name == "stream_conductor_worker_sessions"), 1)
        sock.close()
        self.wait_for(0, "stream_conductor_sessions_active", port=self.port)
        self.wait_for(0, "stream_conductor_sessions")

    def test_sessions_are_told_by_the_reason_of_their_end_and_how_long_they_took(self):
        backend = self.backend(peers.echo)
        closed, refused = self.ports[1], self.ports[2]
        held = self.listener()
        nobody = held.getsockname()[1]
        held.close()
        self.put_ok(closed, backend.address)
        self.put_ok(refused, f"127.0.0.1:{nobody}")
        for _ in range(2):
            with peers.connect(closed) as sock:
                sock.sendall(b"x")
                sock.shutdown(socket.SHUT_WR)
                self.assertEqual(peers.read_all(sock), b"x")
        self.assert_is_reset(refused)
        ended = "stream_conductor_sessions_ended_total"
        self.wait_for(2, ended, port=closed, reason="finished")
        self.wait_for(1, ended, port=refused, reason="backend_refused")
        now = self.scrape()
        self.assertEqual(len([name for name, _ in now.samples if name == ended]), 2)
        for metric, count in (("connect", 2), ("first_byte", 2), ("duration", 3)):
            name = f"stream_conductor_session_{metric}_seconds"
            self.assertEqual(now(name + "_count"), count)
            self.assertEqual(now(name + "_bucket", le="+Inf"), count)
            self.assertGreater(now(name + "_sum"), 0)

    def test_states_of_streams_and_readiness_are_told(self):
        taken = self.ports[5]
        self.put_ok(self.port)
        self.put_ok(self.ports[1], enabled=False)
        self.put_ok(taken)
        now = self.scrape()
        self.assertEqual(now("stream_conductor_streams", state="listening"), 2)
        self.assertEqual(now("stream_conductor_streams", state="disabled"), 1)
        self.assertEqual(now("stream_conductor_ready"), 1)
        self.service.stop()
        with contextlib.closing(self.listener(taken, "0.0.0.0")):
            self.service.start()
            now = self.scrape()
            self.assertEqual(now("stream_conductor_streams", state="failed"), 1)
            self.assertEqual(now("stream_conductor_ready"), 0)
        self.ask("DELETE", self.stream(taken))
        self.assertEqual(self.scrape()("stream_conductor_ready"), 1)
        self.ask("POST", "/v1/drain")
        self.assertEqual(self.scrape()("stream_conductor_ready"), 0)

    def test_a_removed_stream_is_told_for_as_long_as_its_sessions_run(self):
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address)
        sock = self.client(self.port)
        sock.sendall(b"x")
        peers.read_exactly(sock, 1)
        self.ask("DELETE", self.stream(self.port) + "?drain=1m")
        now = self.scrape()
        self.assertEqual(now("stream_conductor_sessions_active", port=self.port), 1)
        self.assertEqual(now("stream_conductor_streams", state="draining"), 1)
        self.assertEqual(now("stream_conductor_ready"), 1)
        sock.close()
        self.wait_for(None, "stream_conductor_sessions_active", port=self.port)

    def test_clients_that_wait_are_told_by_the_limit(self):
        self.service.stop()
        self.service.flags["max-sessions-per-stream"] = 1
        self.service.start()
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address)
        first = self.client(self.port)
        first.sendall(b"x")
        peers.read_exactly(first, 1)
        self.client(self.port)
        self.wait_for(1, "stream_conductor_admission_waits_total", limit="max_sessions_per_stream")
        now = self.scrape()
        self.assertEqual(now("stream_conductor_admission_waits_total", limit="max_sessions"), 0)
        waiting = "stream_conductor_listeners_waiting"
        self.assertEqual(now(waiting, limit="max_sessions_per_stream"), 1)
        self.assertEqual(now(waiting, limit="max_sessions"), 0)
        first.close()
        self.wait_for(0, waiting, limit="max_sessions_per_stream")

    def test_requests_are_told_by_route_and_status_and_unknown_paths_together(self):
        self.put_ok(self.port)
        for number in range(3):
            self.ask("GET", self.stream(self.port))
            self.ask("GET", f"/unknown/{number}")
        self.service.get("/v1/status", headers={"Origin": "http://elsewhere.example"})
        self.ask("PUT", self.stream("x"), {"backend": "a:1"})
        now = self.scrape()

        def requests(method, route, code):
            return now("stream_conductor_api_requests_total", method=method, route=route, code=code)

        self.assertEqual(requests("PUT", "/v1/streams/{port}", 201), 1)
        self.assertEqual(requests("PUT", "/v1/streams/{port}", 404), 1)
        self.assertEqual(requests("GET", "/v1/streams/{port}", 200), 3)
        self.assertEqual(requests("any", "unmatched", 404), 3)
        self.assertEqual(requests("any", "unmatched", 403), 1)
        self.assertNotIn("/unknown", now.text)
        self.assertEqual(self.scrape()("stream_conductor_api_requests_total", method="GET",
                                       route="/metrics", code=200), 1)

    def test_the_store_and_the_process_are_told(self):
        before = self.scrape()
        self.put_ok(self.port)
        now = self.scrape()
        count = "stream_conductor_store_commit_seconds_count"
        self.assertEqual(now(count), before(count) + 1)
        self.assertGreater(now("stream_conductor_store_commit_seconds_sum"),
                           before("stream_conductor_store_commit_seconds_sum"))
        self.assertEqual(now("stream_conductor_store_commit_seconds_bucket", le="+Inf"), now(count))
        self.assertEqual(now("stream_conductor_store_failures_total"), 0)
        folder = pathlib.Path(f"/proc/{self.service.pid}")
        self.assertLessEqual(abs(now("process_open_fds") - len(list((folder / "fd").iterdir()))), 2)
        self.assertGreater(now("process_max_fds"), now("process_open_fds"))
        self.assertGreater(now("process_resident_memory_bytes"), 1 << 20)
        self.assertGreater(now("process_virtual_memory_bytes"),
                           now("process_resident_memory_bytes"))
        self.assertGreater(now("process_cpu_seconds_total"), 0)
        # The kernel tells the boot in whole seconds (proc(5)), and a process begins before main().
        since_boot = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
        boot = re.search(r"^btime (\d+)$", pathlib.Path("/proc/stat").read_text(), re.MULTILINE)
        started = int(boot[1]) + since_boot / os.sysconf("SC_CLK_TCK")
        self.assertLess(abs(started - now("process_start_time_seconds")), 2 * SLOWNESS)
        self.assertEqual(now("stream_conductor_build_info",
                             version=self.ask("GET", "/v1/status").json["version"]), 1)
        for worker in range(self.service.workers):
            lag = now("stream_conductor_worker_loop_lag_seconds", worker=worker)
            self.assertGreater(lag, 0)
            self.assertLess(lag, peers.PATIENCE)
            self.assertGreater(now("stream_conductor_worker_cpu_seconds_total", worker=worker), 0)

    def test_counters_begin_at_nothing_after_a_kill_and_the_api_goes_on(self):
        """A total that is a little below what was scraped before would be taken for that much anew."""
        hello = self.backend(peers.says(b"hello")).address
        self.put_ok(self.port, hello)
        ended = "stream_conductor_sessions_ended_total"
        carried = (ended, "stream_conductor_relayed_bytes_total",
                   "stream_conductor_sessions_accepted_total")

        def say_hello(expected):
            self.assert_says(self.port, b"hello")
            self.wait_for(expected, ended, port=self.port, reason="finished")

        def told():
            return {name: sum(value for (each, _), value in now.samples.items() if each == name)
                    for name in carried}

        for number in range(1, 4):
            say_hello(number)
        self.service.stop()  # saves
        self.service.start()
        now = self.scrape()
        self.assertEqual(told(), dict.fromkeys(carried, 0))
        say_hello(1)
        self.service.kill9()
        self.service.start()
        now = self.scrape()
        self.assertEqual(told(), dict.fromkeys(carried, 0))
        self.assertGreaterEqual(self.ask("GET", self.stream(self.port)).json["sessions_total"], 3)
        say_hello(1)
        now = self.scrape()
        self.assertEqual(told(), dict(zip(carried, (1, 5, 1))))

    def test_who_watches_events_is_told(self):
        watchers = "stream_conductor_api_event_watchers"
        self.assertEqual(self.scrape()(watchers), 0)
        with socket.create_connection((self.service.api_host, self.service.api_port),
                                      timeout=peers.PATIENCE) as sock:
            sock.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.wait_for(1, watchers)
        self.wait_for(0, watchers)

    def test_no_address_of_a_client_is_told(self):
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address)
        with peers.connect(self.port) as sock:
            sock.sendall(b"x")
            peers.read_exactly(sock, 1)
            self.assertNotIn("127.0.0.1", self.scrape().text)

    def test_who_asks_for_openmetrics_gets_it(self):
        reply = self.service.get("/metrics", headers={"Accept": OPEN_METRICS})
        self.assertTrue(reply.headers["Content-Type"].startswith(OPEN_METRICS))
        text = reply.body.decode()
        self.assertTrue(text.endswith("\n# EOF\n"))
        self.assertIn("\n# TYPE stream_conductor_relayed_bytes counter\n"
                      "# UNIT stream_conductor_relayed_bytes bytes\n", text)


class Prometheus(MetricsTest):
    """A real one, with a port and a folder of its own."""

    flags = {"api-auth": "always"}

    def token(self, role):
        done = harness.run(harness.BINARY, "token", "create", "--name", role, "--role", role,
                           f"--state-directory={self.service.state}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()[0]

    def start_prometheus(self, token):
        folder = self.dir / "prometheus"
        folder.mkdir()
        port = peers.free_port()
        (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{RULES}"]
scrape_configs:
  - job_name: stream-conductor
    authorization: {{credentials: "{token}"}}
    static_configs:
      - targets: ["127.0.0.1:{self.service.api_port}"]
""", encoding="utf-8")
        log = open(folder / "log", "w", encoding="utf-8")
        self.addCleanup(log.close)
        self.spawn("prometheus", f"--config.file={folder}/prometheus.yml",
                   f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
                   stdout=log, stderr=log)
        self.prometheus = f"http://127.0.0.1:{port}/api/v1"
        self.log = folder / "log"

    def query(self, path, **parameters):
        try:
            with urllib.request.urlopen(
                    f"{self.prometheus}/{path}?{urllib.parse.urlencode(parameters)}",
                    timeout=peers.PATIENCE) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):  # it is starting
            return None

    def values(self, expression):
        data = self.query("query", query=expression)
        return data and {
            result["metric"].get("port"): float(result["value"][1]) for result in data["result"]}

    def test_it_scrapes_with_a_token_and_sees_what_was_carried(self):
        backend = self.backend(peers.echo)
        self.put_ok(self.port, backend.address,
                    headers={"Authorization": f"Bearer {self.token('operator')}"})
        sock = self.client(self.port)
        sock.sendall(b"x" * 4711)
        peers.read_exactly(sock, 4711)
        self.start_prometheus(self.token("viewer"))
        expected = {str(self.port): 4711}
        try:
            wait_until(
                lambda: self.values('stream_conductor_relayed_bytes_total{direction="out"}')
                == expected, peers.PATIENCE, "a scrape")
        except AssertionError:
            raise AssertionError(self.log.read_text(encoding="utf-8")) from None
        targets = self.query("targets")["activeTargets"]
        self.assertEqual([(each["health"], each["lastError"]) for each in targets], [("up", "")])
        # It asks for OpenMetrics first, and has the unit from there.
        metadata = self.query("targets/metadata", metric="stream_conductor_relayed_bytes")
        self.assertEqual([each["unit"] for each in metadata], ["bytes"])

        def health():
            return {rule["health"] for rule in self.query("rules")["groups"][0]["rules"]}

        wait_until(lambda: health() == {"ok"}, peers.PATIENCE, "all rules are evaluated")

    def test_without_a_token_nothing_is_told(self):
        reply = self.service.get("/metrics")
        self.assertEqual(reply.status, 401)
        self.assertNotIn(b"stream_conductor_", reply.body)


class Shipped(MetricsTest):
    """The alert rules and the dashboard name what there is."""

    def known(self):
        self.put_ok(self.port)
        return self.scrape().names()

    def test_the_rules_are_right_and_fire_when_they_should(self):
        for words in (("check", "rules", RULES), ("test", "rules", RULES_TEST)):
            done = promtool(*words)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        alerts = re.findall(r"^\s*- alert: (\w+)$", RULES.read_text(encoding="utf-8"), re.M)
        fired = re.findall(r"alertname: (\w+)\n\s*exp_alerts:",
                           RULES_TEST.read_text(encoding="utf-8"))
        self.assertGreater(len(alerts), 5)
        self.assertEqual(set(alerts), set(fired))

    def test_the_rules_ask_for_what_there_is(self):
        named = set(NAMED.findall(RULES.read_text(encoding="utf-8")))
        self.assertGreater(len(named), 5)
        self.assertEqual(named - self.known(), set())

    def test_the_dashboard_asks_for_what_there_is_and_can_be_provisioned(self):
        board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        asked += [each["query"]["query"] for each in board["templating"]["list"]
                  if each["type"] == "query"]
        known = self.known()
        for query in asked:
            with self.subTest(query=query):
                named = NAMED.findall(query)
                self.assertTrue(named)
                self.assertEqual(set(named) - known, set())
        self.assertEqual(board["templating"]["list"][0]["type"], "datasource")
        self.assertEqual({panel["datasource"]["uid"] for panel in board["panels"]},
                         {"${datasource}"})
        self.assertNotIn("id", board)  # Grafana gives it one of its own
        self.assertEqual(len({panel["id"] for panel in board["panels"]}), len(board["panels"]))

    def test_prometheus_understands_the_dashboards_queries(self):
        board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        rules = []
        for panel in board["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "5m")
                rules.append(json.dumps({"record": f"r{len(rules)}", "expr": query}))
        file = self.dir / "queries.yml"
        file.write_text('{"groups": [{"name": "g", "rules": [' + ", ".join(rules) + "]}]}",
                        encoding="utf-8")
        done = promtool("check", "rules", file)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    harness.main()
