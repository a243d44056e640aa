#!/usr/bin/env python3
"""How it is started, told things while it runs, and ended: signals, systemd's words, exit codes."""

import signal
import socket
import time
import unittest

import harness
import peers
from waiting import SLOWNESS, wait_until


class Stopping(harness.EndToEnd):
    def with_session(self, drain_timeout="60s"):
        service = self.start_service(10, flags={"drain-timeout": drain_timeout})
        echo = self.backend(peers.echo)
        port = service.create(service.ports[0], echo.address)
        session = self.client(port)
        session.sendall(b"before")
        self.assertEqual(peers.read_exactly(session, 6), b"before")
        return service, port, session

    def check_drain(self, number):
        service, port, session = self.with_session()
        service.kill(number)
        service.wait_for_line("stopping", sessions="1")
        wait_until(lambda: not peers.accepts(service.api_port), what="the API's end")
        session.sendall(b"during the drain")
        self.assertEqual(peers.read_exactly(session, 16), b"during the drain")
        self.assertIsNone(service.process.poll())
        session.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_all(session), b"")
        self.assertEqual(service.wait_exit(), 0)
        service.wait_for_line("drained", cut="0")
        return port

    def test_sigterm_lets_a_running_session_finish_and_exits_0(self):
        self.check_drain(signal.SIGTERM)

    def test_sigint_lets_a_running_session_finish_and_exits_0(self):
        self.check_drain(signal.SIGINT)

    def test_new_clients_are_refused_while_it_drains(self):
        service, port, session = self.with_session()
        service.kill(signal.SIGTERM)
        service.wait_for_line("stopping")
        wait_until(lambda: not peers.accepts(port), 5, "a refusal, not a wait in the backlog")
        session.close()
        self.assertEqual(service.wait_exit(), 0)

    def test_a_session_that_outlasts_the_drain_timeout_is_cut_by_a_reset(self):
        service, _, session = self.with_session("1s")
        before = time.monotonic()
        service.kill(signal.SIGTERM)
        with self.assertRaises(ConnectionResetError):
            session.recv(1)
        self.assertEqual(service.wait_exit(), 0)
        took = time.monotonic() - before
        self.assertGreater(took, 0.9)
        self.assertLess(took, 3 * SLOWNESS)
        service.wait_for_line("drained", cut="1")

    def test_a_second_signal_ends_it_at_once(self):
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM),
                              (signal.SIGTERM, signal.SIGINT)):
            with self.subTest(first=first, second=second):
                service, _, _ = self.with_session()
                service.kill(first)
                service.wait_for_line("stopping")
                before = time.monotonic()
                service.kill(second)
                self.assertEqual(service.wait_exit(), 0)
                self.assertLess(time.monotonic() - before, 2 * SLOWNESS)

    def test_signals_that_arrive_until_the_process_is_gone_leave_the_exit_code_0(self):
        for further in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            with self.subTest(further=further):
                service = self.start_service(10)
                service.kill(signal.SIGTERM)
                # Signals without a pause: some arrive after the loop's handlers are gone.
                while service.process.poll() is None:
                    service.process.send_signal(further)
                self.assertEqual(service.wait_exit(), 0)

    def test_it_stops_at_once_when_there_is_nothing_to_drain(self):
        service = self.start_service(10, flags={"drain-timeout": "60s"})
        service.create(service.ports[0], "127.0.0.1:7000")
        before = time.monotonic()
        service.stop()
        self.assertLess(time.monotonic() - before, 2 * SLOWNESS)

    def test_an_idle_api_client_does_not_hold_up_the_end(self):
        service = self.start_service(10)
        self.client(service.api_port)
        before = time.monotonic()
        service.stop()
        self.assertLess(time.monotonic() - before, 3 * SLOWNESS)


class Reloading(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.service = self.start_service(10, config='log_level = "info"\n')
        hello = self.backend(peers.says(b"hello"))
        self.port = self.service.create(self.service.ports[0], hello.address)

    def reload(self, text):
        after = len(self.service.lines)
        self.service.config.write_text(text, encoding="utf-8")
        self.service.kill(signal.SIGHUP)
        self.service.wait_for_line("reloaded", after=after)
        return after

    def test_sighup_takes_from_the_changed_file_what_is_logged_and_how(self):
        self.assert_says(self.port, b"hello")
        self.service.wait_no_sessions()
        after = self.reload('log_sessions = "all"\nlog_format = "json"\n')
        self.assertNotIn("session ended", self.service.log())
        self.assert_says(self.port, b"hello")
        line = self.service.wait_for_line("session ended", after=after, port=str(self.port))
        self.assertEqual((line.level, line.fields["reason"]), ("info", "finished"))
        self.assertTrue(line.text.startswith("{"))

    def test_sighup_takes_the_log_level_from_the_changed_file(self):
        after = len(self.service.lines)
        self.service.config.write_text('log_level = "warning"\nlog_sessions = "all"\n',
                                       encoding="utf-8")
        self.service.kill(signal.SIGHUP)
        self.service.wait_for_line("reloading", after=after)
        self.service.get("/getstreams")  # answered after that
        self.assert_says(self.port, b"hello")
        self.service.wait_no_sessions()
        self.reload('log_level = "info"\n')
        self.assertNotIn("session ended", self.service.log())

    def test_a_wrong_file_at_sighup_is_reported_and_changes_nothing(self):
        after = self.reload('log_level = "loud"\n')
        line = self.service.wait_for_line(
            "configuration is wrong now, the present one stays", after=after)
        self.assertIn("loud", line.text)
        self.assert_says(self.port, b"hello")
        self.reload('log_sessions = "all"\n')
        self.assert_says(self.port, b"hello")
        self.service.wait_for_line("session ended", after=after)


class Systemd(harness.EndToEnd):
    def notify_socket(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        path = self.dir / "notify"
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        sock.settimeout(harness.START_SECONDS * SLOWNESS)
        return sock, {"NOTIFY_SOCKET": str(path)}

    @staticmethod
    def receive(sock, word):
        """The first message with that line; gives all lines."""
        while True:
            lines = sock.recv(4096).decode().splitlines()
            if word in lines:
                return lines

    def test_ready_is_said_when_all_streams_are_open_and_stopping_when_it_stops(self):
        hello = self.backend(peers.says(b"hello"))
        service = self.start_service(100)
        for port in service.ports:
            service.create(port, hello.address)
        service.stop()
        notify, service.environment = self.notify_socket()
        service.launch()
        self.receive(notify, "READY=1")
        for port in service.ports:
            self.assertTrue(peers.accepts(port), f"{port} at READY")
        service.wait_ready()
        service.stop()
        self.receive(notify, "STOPPING=1")

    def test_sighup_is_told_as_a_reload(self):
        notify, environment = self.notify_socket()
        service = self.start_service(10, environment=environment)
        self.receive(notify, "READY=1")
        service.kill(signal.SIGHUP)
        lines = self.receive(notify, "RELOADING=1")
        self.assertTrue(any(line.startswith("MONOTONIC_USEC=") for line in lines), lines)
        self.receive(notify, "READY=1")

    def test_a_drain_is_shown_by_systemctl_status(self):
        notify, environment = self.notify_socket()
        service = self.start_service(10, environment=environment)
        self.receive(notify, "READY=1")
        service.kill(signal.SIGUSR1)
        said = notify.recv(4096).decode()
        self.assertRegex(said, "^STATUS=draining until 2.*Z, takes no clients$")
        self.receive(notify, "STATUS=drained, takes no clients until it is restarted")

    def test_the_watchdog_is_fed(self):
        notify, environment = self.notify_socket()
        environment["WATCHDOG_USEC"] = str(int(400_000 * SLOWNESS))
        self.start_service(10, environment=environment)
        self.receive(notify, "READY=1")
        before = time.monotonic()
        for _ in range(5):
            self.receive(notify, "WATCHDOG=1")
        self.assertLess(time.monotonic() - before, 5 * 0.4 * SLOWNESS)


class CommandLine(harness.EndToEnd):
    def run_it(self, *arguments, config=None, **environment):
        file = self.dir / "some.toml"
        file.write_text(config or "", encoding="utf-8")
        return harness.run(harness.BINARY, f"--config={file}", *arguments,
                           env=harness.clean_environment(**environment))

    def assert_fails(self, done, code, *words):
        self.assertEqual((done.returncode, done.stdout), (code, ""), done)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_a_bad_port_range_names_key_value_source_and_what_is_allowed(self):
        for text in ("9000-8000", "abc", "0-10", "9000-70000", "9000-9009,", "", "9000 - 9009"):
            quoted = f'"{text}"'
            allowed = ("port_range", quoted, "from 1 to 65535", "9000-9009")
            with self.subTest(value=text):
                done = self.run_it(f"--port-range={text}")
                self.assert_fails(done, 78, *allowed, "flag --port-range")
                done = self.run_it(PORT_RANGE=text)
                self.assert_fails(done, 78, *allowed, "environment PORT_RANGE")
                done = self.run_it(config=f"\nport_range = {quoted}\n")
                self.assert_fails(done, 78, *allowed, "some.toml", "line 2")

    def test_bad_values_of_every_setting_are_78(self):
        bad = {"bind-address": "nowhere", "bind-port": "65536", "stream-address": "1.2.3",
               "state-directory": "relative/path", "history-keep": "0", "workers": "0", "connect-timeout": "0",
               "idle-timeout": "-1s", "session-lifetime": "1ms", "keepalive": "1ms", "drain-timeout": "10",
               "durable-after": "2h", "log-level": "loud", "api-auth": "maybe", "api-hosts": "a b",
               "api-admin-group": "no such group", "insecure": "maybe"}
        for name, value in bad.items():
            with self.subTest(setting=name):
                done = self.run_it(f"--{name}={value}", "--check")
                self.assert_fails(done, 78, name.replace("-", "_"), f'"{value}"', f"--{name}")

    def test_a_broadcast_address_ends_the_start_with_78(self):
        for name in ("bind-address", "stream-address"):
            for address in ("127.255.255.255", "::ffff:127.255.255.255"):
                with self.subTest(setting=name, address=address):
                    done = self.run_it("--bind-port=0", f"--{name}={address}", f"--state-directory={self.dir}")
                    self.assert_fails(done, 78, name.replace("-", "_"), address, "is a broadcast address")

    def test_all_faults_are_told_at_once(self):
        done = self.run_it("--bind-port=x", WORKERS="x", config="colour = 1\nlog_level = 7\n")
        self.assert_fails(done, 78, "bind_port", "workers", "colour", "log_level")

    def test_an_unknown_key_is_78_and_an_unknown_flag_is_64(self):
        self.assert_fails(self.run_it(config="port_rang = 1\n"), 78, "port_rang", "port_range")
        self.assert_fails(self.run_it("--port-rang=1"), 64, "--port-rang")
        self.assert_fails(self.run_it("start"), 64, "start")
        self.assert_fails(self.run_it("--bind-port"), 64, "--bind-port")
        self.assert_fails(self.run_it(f"--config={self.dir}/none"), 78, "none", "ENOENT")

    def test_check_says_whether_the_configuration_is_valid(self):
        done = self.run_it("--check", "--port-range=9000-9009,10000")
        self.assertEqual((done.returncode, done.stdout), (0, "configuration is valid\n"))
        self.assert_fails(self.run_it("--check", WORKERS="many"), 78, "workers")

    def test_print_config_shows_each_value_and_where_it_came_from(self):
        done = self.run_it("--print-config", "--bind-port=1", BIND_PORT="2", WORKERS="3",
                           config="bind_port = 4\nworkers = 5\nkeepalive = \"6s\"\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
        self.assertEqual(len(shown), 25)
        self.assertEqual(shown["bind_port"], "1  # flag --bind-port")
        self.assertEqual(shown["workers"], "3  # environment WORKERS")
        self.assertEqual(shown["keepalive"], f'"6s"  # file {self.dir}/some.toml')
        self.assertEqual(shown["port_range"], '"9000-9009"  # default')
        self.assertEqual(shown["bind_address"], '"0.0.0.0"  # default')
        again = self.run_it("--print-config", config=done.stdout)
        self.assertEqual(again.returncode, 0, "what it prints is a configuration file")

    def test_version_and_help_are_printed_and_exit_0(self):
        self.assertRegex(self.run_it("--version").stdout, r"^stream-conductor \d+\.\d+\.\d+\n$")
        done = self.run_it("--help")
        self.assertEqual(done.returncode, 0)
        for flag in ("--port-range", "--print-config", "import"):
            self.assertIn(flag, done.stdout)

    def test_nginx_bin_is_accepted_and_noted(self):
        done = self.run_it("--check", NGINX_BIN="/usr/sbin/nginx")
        self.assertEqual(done.returncode, 0)
        self.assertIn("NGINX_BIN", done.stderr)


class Starting(harness.EndToEnd):
    def test_a_taken_api_port_is_exit_1_with_the_reason(self):
        holder = self.listener()
        port = holder.getsockname()[1]
        service = self.make_service(10, flags={"bind-port": port})
        service.launch()
        self.assertEqual(service.wait_exit(), 1)
        line = service.wait_for_line("cannot start")
        self.assertIn(f"127.0.0.1:{port}", line.fields["reason"])
        self.assertIn("EADDRINUSE", line.fields["reason"])

    def test_the_originals_variables_are_settings(self):
        first = peers.free_ports(10)
        service = self.make_service(
            10, first_port=first,
            flags={"bind-address": None, "bind-port": None, "port-range": None},
            environment={"BIND_ADDRESS": "127.0.0.1", "BIND_PORT": "0",
                         "PORT_RANGE": f"{first}-{first + 9}"})
        service.start()
        self.assertNotEqual(service.api_port, 0)
        self.assertEqual(service.get("/status").json["range"], f"range({first}-{first + 9})")
        service.create(first + 9, "127.0.0.1:7000")

    def test_the_log_tells_of_the_start_and_of_each_change_with_its_actor(self):
        service = self.start_service(10)
        line = service.wait_for_line("ready")
        self.assertEqual((line.fields["opened"], line.fields["failed"]), ("0", "0"))
        service.wait_for_line("starting")
        service.wait_for_line("setting differs from its default", key="bind_port", value="0")
        port = service.create(service.ports[0], "127.0.0.1:7000")
        wanted = {"port": str(port), "backend": "127.0.0.1:7000", "actor": "127.0.0.1"}
        service.wait_for_line("stream created", **wanted)
        service.remove(port)
        service.wait_for_line("stream removed", **wanted)


if __name__ == "__main__":
    unittest.main(verbosity=2)
