#!/usr/bin/env python3
"""The installed units under a real systemd: how they start, reload, fail and come back."""

import os
import signal
import subprocess
import threading
import time

import box
import harness
import peers
from waiting import wait_until

API_SOCKET = "/run/stream-conductor/api.sock"
MANY = 300
HUNDREDS = range(12000, 12000 + MANY)
TRIES = 4
BAD_RANGE = "[Service]\nEnvironment=PORT_RANGE=9000-x\n"
WRONG = ('port_range: bad value "9000-x" (environment PORT_RANGE); allowed: ports and inclusive '
         "ranges from 1 to 65535")


class Systemd(box.BoxTest):
    def state(self):
        return self.box.show(box.UNIT, "ActiveState")["ActiveState"]

    def start(self):
        self.box.systemctl("start", box.UNIT)

    def start_with_stream(self):
        """The service with a stream on port 9000 that says hello."""
        self.start()
        self.create(9000, self.backend(peers.says(b"hello")).address)
        self.assert_says(9000, b"hello")

    def wait_restarted(self, times):
        return self.box.wait_for_state(box.UNIT, lambda found: (
            found["NRestarts"] == str(times) and found["ActiveState"] == "active"))

    # Starting.

    def first_request_starts_it(self, *how):
        self.box.systemctl("start", box.SOCKET)
        self.assertEqual(self.state(), "inactive")
        done = harness.run("curl", "-sS", "--max-time", 30, *how)
        self.assertIn('"phase":"serving"', done.stdout, done)
        self.assertEqual(self.state(), "active")

    def test_the_first_curl_over_tcp_starts_the_stopped_service(self):
        self.first_request_starts_it("http://127.0.0.1:5000/v1/status")

    def test_the_first_curl_over_the_unix_socket_starts_the_stopped_service(self):
        self.first_request_starts_it("--unix-socket", self.box.file(API_SOCKET),
                                     "http://localhost/v1/status")

    def test_start_returns_once_every_stream_is_open_and_not_before(self):
        self.start()  # makes the database
        self.box.systemctl("stop", box.UNIT)
        self.box.sql("WITH RECURSIVE n(port) AS (SELECT 12000 UNION ALL SELECT port + 1 FROM n "
                     f"LIMIT {MANY}) INSERT INTO streams (port, backend) "
                     "SELECT port, '127.0.0.1:1' FROM n", user="stream-conductor")
        before = self.box.now()
        self.start()
        # Those that are opened last first, while there is least time for it.
        self.assertEqual([port for port in reversed(HUNDREDS) if not peers.accepts(port)], [])
        # Comes with READY=1.
        self.assertEqual(self.box.show(box.UNIT, "StatusText")["StatusText"], f"{MANY} streams")
        # In no order with PID 1's lines: the log is written behind.
        self.box.wait_for_entry(f"ready version=0.1.0 opened={MANY} ", "-u", box.UNIT, after=before)

    def test_stop_ends_with_success_and_the_next_start_has_the_streams(self):
        self.start_with_stream()
        self.box.systemctl("stop", box.UNIT)
        ended = self.box.show(box.UNIT, "ActiveState", "Result", "ExecMainStatus")
        self.assertEqual(ended, {"ActiveState": "inactive", "Result": "success",
                                 "ExecMainStatus": "0"})
        self.assertFalse(peers.accepts(9000))
        self.start()
        self.assert_says(9000, b"hello")

    # Reloading.

    def test_reload_takes_over_rows_edited_by_hand_and_is_reloading_until_they_are_read(self):
        self.start()
        by_hand = self.backend(peers.says(b"by hand")).address
        self.box.sql(f"INSERT INTO streams (port, backend) VALUES (9005, '{by_hand}')")
        # Reading waits for a stream's row, which waits for another one who writes.
        writer = self.box.spawn("sqlite3", box.DATABASE, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        with writer:
            writer.stdin.write("BEGIN IMMEDIATE; SELECT 'locked';\n")
            writer.stdin.flush()
            self.assertEqual(writer.stdout.readline(), "locked\n")
            asked = threading.Thread(target=self.create, args=(9006, by_hand))
            asked.start()
            wait_until(lambda: peers.accepts(9006), what="a stream that waits for its row")
            before = self.box.now()
            self.box.systemctl("reload", "--no-block", box.UNIT)
            self.box.wait_for_entry("reloading", "-u", box.UNIT, after=before)
            self.box.wait_for_state(box.UNIT, "reloading")
            self.assertFalse(peers.accepts(9005))
            writer.stdin.close()
        asked.join()
        self.box.wait_for_state(box.UNIT, "active")
        wait_until(lambda: peers.accepts(9005), what="the row's stream")
        self.assert_says(9005, b"by hand")
        self.assert_says(9006, b"by hand")

    # Failing, and coming back.

    def test_a_process_that_hangs_is_killed_by_the_watchdog_and_back_with_its_streams(self):
        self.box.drop_in(box.UNIT, "watchdog", "[Service]\nWatchdogSec=1s\n")
        self.start_with_stream()
        os.kill(self.box.main_pid(), signal.SIGSTOP)
        self.wait_restarted(1)
        self.assert_says(9000, b"hello")
        self.box.wait_for_entry(f"{box.UNIT}: Watchdog timeout", "UNIT=" + box.UNIT)

    def test_a_process_that_answers_is_left_alone_by_the_watchdog(self):
        self.box.drop_in(box.UNIT, "watchdog", "[Service]\nWatchdogSec=300ms\n")
        self.start()
        first = alive = self.alive_at()
        while int(alive) < int(first) + 1_000_000:  # three times as long, in microseconds
            alive = wait_until(lambda now=alive: self.alive_at() != now and self.alive_at(), 5,
                               "a sign of life")
        self.assertEqual(self.box.show(box.UNIT, "NRestarts")["NRestarts"], "0")

    def alive_at(self):
        return self.box.show(box.UNIT, "WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"]

    def test_after_a_crash_or_a_kill_it_is_back_with_its_streams(self):
        self.start_with_stream()
        for times, number in enumerate((signal.SIGSEGV, signal.SIGKILL), 1):
            with self.subTest(number.name):
                os.kill(self.box.main_pid(), number)
                self.wait_restarted(times)
                self.assert_says(9000, b"hello")

    def test_a_service_that_cannot_start_tries_four_times_a_second_at_most(self):
        self.start()
        self.box.systemctl("stop", box.SOCKET, box.UNIT)
        self.box.file(box.DATABASE).write_text("no database" * 1000, encoding="ascii")
        before = self.box.now()
        harness.run(*self.box.command("systemctl", "start", box.UNIT))
        self.box.wait_for_state(box.UNIT, lambda found: int(found["NRestarts"]) >= TRIES)
        self.box.systemctl("stop", box.UNIT)
        self.box.sync_journal()
        tries = [int(entry["__MONOTONIC_TIMESTAMP"]) for entry in
                 self.box.journal("-u", "stream-conductor", after=before)
                 if entry["MESSAGE"].startswith("cannot start")]
        self.assertGreaterEqual(len(tries), TRIES)
        self.assertGreater(min(after - at for at, after in zip(tries, tries[1:])), 250_000)

    def test_a_binary_that_cannot_be_executed_is_tried_ten_times_a_second_at_most(self):
        for program in ("/usr/bin/no-such-binary", "/bin/sh -c 'kill -SEGV $$$$'",
                        "/bin/sh -c 'exit 1'"):  # as the loader's, of a libc that is too old
            with self.subTest(program):
                self.box.drop_in(box.UNIT, "program",
                                 f"[Service]\nExecStart=\nExecStart={program}\n")
                self.box.systemctl("stop", box.SOCKET, box.UNIT)
                began = time.monotonic()
                self.box.systemctl("start", "--no-block", box.UNIT)
                found = self.box.wait_for_state(
                    box.UNIT, lambda found: int(found["NRestarts"]) >= TRIES)
                self.assertLessEqual(int(found["NRestarts"]), 10 * (time.monotonic() - began))

    def test_a_wrong_setting_ends_the_start_once_and_status_and_journal_say_what_is_allowed(self):
        self.box.drop_in(box.UNIT, "range", BAD_RANGE)
        before = self.box.now()
        done = harness.run(*self.box.command("systemctl", "start", box.UNIT))
        self.assertEqual(done.returncode, 1, done)
        failed = self.box.show(box.UNIT, "ActiveState", "SubState", "ExecMainStatus", "NRestarts")
        self.assertEqual(failed, {"ActiveState": "failed", "SubState": "failed",
                                  "ExecMainStatus": "78", "NRestarts": "0"})
        status = self.box.systemctl("status", "--full", box.UNIT, check=False)
        self.assertIn("(code=exited, status=78)", status)
        self.assertIn(WRONG, status)
        self.box.sync_journal()
        told = [entry["MESSAGE"] for entry in
                self.box.journal("-u", box.UNIT, after=before)]
        self.assertEqual(sum(WRONG in message for message in told), 1, told)

    def test_a_waiting_client_tries_a_wrongly_set_service_once_a_second_until_it_is_mended(self):
        self.box.drop_in(box.UNIT, "range", BAD_RANGE)
        before = self.box.now()
        self.box.systemctl("start", box.SOCKET)
        with peers.connect(5000) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            tries = wait_until(lambda: self.told_wrong(before), 30)
            gaps = [after - at for at, after in zip(tries, tries[1:])]
            self.assertGreater(min(gaps), 900_000)  # as the journal took them
            self.box.file(f"/etc/systemd/system/{box.UNIT}.d/range.conf").unlink()
            self.box.systemctl("daemon-reload")
            self.assertIn(b" 200 OK\r\n", peers.read_all(client))

    def told_wrong(self, after):
        """When each start said so, in microseconds; nothing while they are few."""
        self.box.sync_journal()
        times = [int(entry["__MONOTONIC_TIMESTAMP"])
                 for entry in self.box.journal("-u", box.UNIT, after=after)
                 if WRONG in entry["MESSAGE"]]
        return times if len(times) >= 3 else None

    # The journal.

    def test_lines_in_the_journal_have_the_documented_fields_and_can_be_asked_for_by_them(self):
        self.start()
        self.box.systemctl("stop", box.UNIT)
        self.box.sql("INSERT INTO streams (port, backend) VALUES (9001, '127.0.0.1:7001')",
                     user="stream-conductor")
        self.backend(peers.echo, port=9001)
        before = self.box.now()
        self.start()
        self.create(9000, "127.0.0.1:7000")
        of_unit = ("-u", "stream-conductor")
        created = self.box.wait_for_entry("stream created", *of_unit, "SC_PORT=9000", after=before)
        failed = self.box.wait_for_entry("stream cannot open", *of_unit, "SC_PORT=9001",
                                         after=before)
        pid = self.box.show(box.UNIT, "MainPID")["MainPID"]
        for entry in (created, failed):
            self.assertEqual((entry["SYSLOG_IDENTIFIER"], entry["_PID"], entry["_SYSTEMD_UNIT"]),
                             ("stream-conductor", pid, box.UNIT))
        self.assertEqual({key: created[key] for key in ("PRIORITY", "SC_BACKEND", "SC_ACTOR")},
                         {"PRIORITY": "6", "SC_BACKEND": "127.0.0.1:7000", "SC_ACTOR": "127.0.0.1"})
        self.assertEqual(failed["PRIORITY"], "4")
        self.assertIn("EADDRINUSE", failed["SC_REASON"])

    def test_a_session_that_fails_is_in_the_journal_with_its_documented_fields(self):
        before = self.box.now()
        self.start()
        self.create(9000, "127.0.0.1:7009")
        with self.assertRaises(ConnectionError), peers.connect(9000) as client:
            client.recv(1)
        entry = self.box.wait_for_entry("session ended", "-u", "stream-conductor", "SC_PORT=9000",
                                        "SC_FAULT=backend", after=before)
        self.assertEqual(
            {key: entry[key] for key in ("PRIORITY", "SC_REASON", "SC_PHASE", "SC_ERROR",
                                         "SC_BACKEND", "SC_BYTES_IN", "SC_BYTES_OUT")},
            {"PRIORITY": "4", "SC_REASON": "backend_refused", "SC_PHASE": "connect",
             "SC_ERROR": "ECONNREFUSED", "SC_BACKEND": "127.0.0.1:7009", "SC_BYTES_IN": "0",
             "SC_BYTES_OUT": "0"})
        self.assertRegex(entry["SC_MESSAGE"], r"^backend 127\.0\.0\.1:7009 refused the connection")
        self.assertRegex(entry["SC_DURATION_MS"], r"^\d+\.\d{3}$")
        self.assertRegex(entry["SC_CLIENT"], r"^[\d.]+:\d+$")
        self.assertRegex(entry["SC_SESSION"], r"^\d+$")
        self.assertFalse({"SC_ADDRESS", "SC_CONNECT_MS", "SC_FIRST_BYTE_MS"} & entry.keys())


if __name__ == "__main__":
    box.main()
