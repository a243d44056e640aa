#!/usr/bin/env python3
"""Sessions outlive the process under a real systemd, with the units as they are installed."""

import os
import pathlib
import re
import signal
import struct
import tempfile
import time

import box
import box_host
import handoff
import handoff_servers
import peers
import processes
import traffic
from waiting import wait_until

MB = 1_000_000
BINARY = "/usr/bin/stream-conductor"
VERSION_AT, PAID_UNTIL_AT = 8, 64  # in the table's header, src/handoff/layout.h
BAD_RANGE = "[Service]\nEnvironment=PORT_RANGE=9000-x\n"
FAR_VERSION = 4_000_000_000
CRASHES = 6
CRASH_WHEN_READY = "[Service]\nExecStartPost=/bin/kill -KILL $MAINPID\n"
STARTS_AT_ONCE, START_EVERY = 100, 0.25  # src/handoff/start_rate.h
PAUSE = re.compile(r"\*\) exec sleep ([0-9.]+)")  # after a crash, in ExecStopPost=
LONGEST_NAME = "kept-c255-9999999999:"
MOST_IN_A_VARIABLE = 128 << 10  # execve(2), with its name and the byte at its end


class SurvivalTest(box.BoxTest):
    """`self.host` and `self.traffic`; streams whose sessions are kept from the start."""

    right = handoff.HandoffTest.right

    def setUp(self):
        super().setUp()
        self.host = box_host.BoxHost(self.box, {})
        self.addCleanup(self.host.close)
        self.traffic = traffic.Traffic()
        self.addCleanup(self.traffic.stop)

    def early(self, backend_port=None):
        return self.host.stream(backend_port or self.traffic.port, durable="early")

    def talking(self, port, sessions=6, megabytes=0.6, **options):
        """Sessions that move bytes for one second or two, a part of them half-closed meanwhile."""
        options.setdefault("modes", "both,down-last")
        size = int(megabytes * MB)
        client = self.traffic.client(port, sessions=sessions, up=size, down=size,
                                     rate=options.pop("rate", MB // 2), **options)
        self.host.wait_durable(sessions)
        return client

    def assert_all_reset(self, client, sessions):
        """None looked whole to either end, no byte was wrong, and both were told by a reset."""
        for outcome in (client.outcome(), self.traffic.finish()):
            self.assertEqual((outcome["good"], outcome["bad"], outcome["wrong"]),
                             (0, sessions, 0), outcome)
            self.assertTrue(all("ECONNRESET" in error for error in outcome["errors"]), outcome)

    def assert_serves(self):
        """New sessions, to a backend that saw none of the old ones."""
        after = traffic.Traffic()
        self.addCleanup(after.stop)
        served = after.client(self.early(after.port), sessions=5, up=MB, down=MB).outcome()
        self.assertEqual(served["good"], 5, served)

    def property(self, name):
        return self.box.show(box.UNIT, name)[name]

    def starts(self):
        return int(self.property("NRestarts"))

    def write_to_table(self, at, form, number):
        descriptors = pathlib.Path(f"/proc/{self.box.pid}/fd")
        table = next(each for each in descriptors.iterdir() if "table" in os.readlink(each))
        with table.open("r+b", buffering=0) as file:
            file.seek(at)
            file.write(struct.pack(form, number))

    def wait_for_sub_state(self, name):
        self.box.wait_for_state(box.UNIT, lambda found: found["SubState"] == name)

    def survives(self, *ways):
        """One after the other, under traffic both ways; a way ends the process given."""
        port = self.early()
        clients = [self.talking(port)]
        for way in ways:
            if clients[-1].ends_within(0):
                clients.append(self.talking(port))
            self.host.again(way)
        self.right(*clients, sessions=6 * len(clients))
        self.host.check_store()


class Kills(handoff.Traffics, SurvivalTest):
    def test_bulk_both_ways_outlives_20_kills_of_the_main_process(self):
        port = self.early()
        clients = self.host.kill_under(
            lambda: self.traffic.client(port, up=24 * MB, down=24 * MB, rate=8 * MB), 20, 0.1)
        self.right(*clients, sessions=len(clients))
        self.host.check_store()

    def test_half_closed_sessions_outlive_kills_also_before_it_is_ready(self):
        port = self.early()
        clients = self.host.kill_under(
            lambda: self.talking(port, sessions=20, rate=MB // 4), 16, 0.1, early=True)
        self.assertGreater(self.host.early_kills, 0)
        self.right(*clients, sessions=20 * len(clients))
        self.host.check_store()

    def test_a_crash(self):
        self.survives(signal.SIGSEGV, signal.SIGABRT)

    def test_a_kill_of_all_that_is_in_its_cgroup(self):
        def as_without_memory(_):
            self.box.systemctl("kill", "--kill-who=all", "--signal=SIGKILL", box.UNIT)

        self.survives(as_without_memory, as_without_memory)

    def test_a_process_that_hangs_and_is_ended_by_the_watchdog(self):
        self.box.drop_in(box.UNIT, "watchdog", "[Service]\nWatchdogSec=500ms\n")
        self.host.again(signal.SIGTERM)  # with that setting
        self.survives(lambda pid: os.kill(pid, signal.SIGSTOP))
        self.box.wait_for_entry(f"{box.UNIT}: Watchdog timeout", "UNIT=" + box.UNIT)

    def test_a_kill_after_systemd_has_executed_itself_again_or_read_its_units_again(self):
        def killed_after(command):
            def way(pid):
                self.box.systemctl(command)
                os.kill(pid, signal.SIGKILL)
            return way

        self.survives(killed_after("daemon-reexec"), signal.SIGKILL, killed_after("daemon-reload"))

    def test_a_thousand_silent_sessions(self):
        held = self.traffic.hold(self.early(), 1000)
        self.host.wait_durable(1000)
        self.host.again()
        # It had room for all of them before the first thread was there.
        self.assertGreaterEqual(processes.fd_room(self.box.main_pid()), 4096 + 2 * 1000)
        self.host.again(signal.SIGTERM)
        self.assertEqual(self.host.durability()["sessions"], 1000)
        self.right(held, sessions=1000)
        self.host.check_store()


class Programs(SurvivalTest):
    """Servers and clients that know nothing of any of this."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="sc-e2e-")))
        self.folder.chmod(0o755)

    def outcome(self, program, sessions):
        """What it said after four kills and restarts, during which it ran."""
        self.addCleanup(program.stop)
        self.host.wait_durable(sessions)
        self.host.again_during(program, 4, 0.1)
        self.assertEqual(self.host.kills, 4)
        self.assertFalse(program.ends_within(0))
        return program.outcome()

    def test_ssh_and_scp_hardly_notice(self):
        server = self.enterContext(handoff_servers.Ssh(self.folder))
        port = self.early(server.port)
        sent = server.random_file("sent", 12 * MB)
        session = server.session(port, "for i in $(seq 40); do echo $i; sleep 0.05; done")
        self.addCleanup(session.stop)
        copy = server.copy(port, sent, self.folder / "came", 3 * MB)
        self.outcome(copy, 2)
        self.assertEqual(session.outcome().split(), [str(at) for at in range(1, 41)])
        self.assertEqual(handoff_servers.digest(self.folder / "came"), handoff_servers.digest(sent))

    def test_redis_benchmark_sees_no_error(self):
        server = self.enterContext(handoff_servers.Redis(self.folder))
        said = self.outcome(server.benchmark(self.early(server.port), 600_000), 50)
        self.assertNotIn("rror", said)

    def test_pgbench_sees_no_error_and_the_books_balance(self):
        server = self.enterContext(handoff_servers.Postgres(self.folder))
        said = self.outcome(server.benchmark(self.early(server.port), 5), 8)
        self.assertIn("number of failed transactions: 0 ", said)
        self.assertNotIn("rror", said)
        self.assertEqual(len(server.balances()), 1)


class Restarts(SurvivalTest):
    def test_restarts(self):
        self.survives(*[signal.SIGTERM] * 6)

    def test_reloads_and_a_kill_after_them(self):
        def reloaded_and_killed(pid):
            self.box.systemctl("reload", box.UNIT)
            self.assertEqual(self.box.main_pid(), pid)
            os.kill(pid, signal.SIGKILL)

        self.survives(reloaded_and_killed, reloaded_and_killed)

    def test_clients_that_come_while_it_is_down_wait_and_are_served(self):
        # In systemd 252 neither a socket nor systemctl starts it before RestartSec is over.
        self.box.drop_in(box.UNIT, "slow", "[Service]\nRestartSec=1s\n")
        self.host.again(signal.SIGTERM)
        port = self.early()
        before = self.traffic.hold(port, 20)
        os.kill(self.box.main_pid(), signal.SIGKILL)
        self.wait_for_sub_state("auto-restart")
        during = self.traffic.client(port, sessions=20, up=MB, down=MB, rate=MB)
        self.assertEqual(self.property("SubState"), "auto-restart")
        self.assertGreaterEqual(self.host.durability()["sessions"], 20)
        self.right(before, during, sessions=40)

    def test_a_binary_that_crashes_some_times_while_a_client_of_the_api_waits(self):
        held = self.traffic.hold(self.early(), 20)
        binary = self.box.file(BINARY)
        right = binary.rename(binary.with_suffix(".right"))
        self.addCleanup(lambda: right.exists() and right.replace(binary))
        binary.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
        binary.chmod(0o755)
        os.kill(self.box.main_pid(), signal.SIGKILL)
        with peers.connect(box_host.API[1]):
            self.box.wait_for_state(box.UNIT, lambda found: int(found["NRestarts"]) >= CRASHES)
        right.replace(binary)
        self.box.wait_for_state(box.UNIT, "active")
        self.assertEqual(self.box.show(box.SOCKET, "ActiveState")["ActiveState"], "active")
        self.assertEqual(self.host.durability()["sessions"], 20)
        self.right(held, sessions=20)
        self.host.check_store()

    def test_a_service_that_crashes_at_every_start_loses_nothing_and_slows_down(self):
        held = self.traffic.hold(self.early(), 20)
        self.host.wait_durable(20)
        self.write_to_table(PAID_UNTIL_AT, "=q", int(1000 * (
            time.monotonic() + (STARTS_AT_ONCE - CRASHES) * START_EVERY)))
        self.box.drop_in(box.UNIT, "crash", CRASH_WHEN_READY)
        before = self.box.now()
        os.kill(self.box.main_pid(), signal.SIGKILL)
        with peers.connect(box_host.API[1]):
            self.box.wait_for_entry("it was started too often lately", after=before, seconds=60)
            began, starts = time.monotonic(), self.starts()
            wait_until(lambda: self.starts() >= starts + CRASHES, 30, "some more starts")
            self.assertGreater(time.monotonic() - began, (CRASHES - 1) * START_EVERY)
            self.box.file(f"/etc/systemd/system/{box.UNIT}.d/crash.conf").unlink()
            self.box.systemctl("daemon-reload")
            self.box.wait_for_state(box.UNIT, "active")
        self.assertEqual(self.host.durability()["sessions"], 20)
        self.right(held, sessions=20)
        self.host.check_store()

    def test_the_socket_of_the_api_stays_open_however_long_the_service_fails(self):
        limit = self.box.show(box.SOCKET, "TriggerLimitIntervalUSec", "TriggerLimitBurst")
        self.assertEqual(limit["TriggerLimitIntervalUSec"], "3min")
        burst = int(limit["TriggerLimitBurst"])
        self.assertGreater(burst, 180 / float(PAUSE.search(self.property("ExecStopPost"))[1]))
        self.assertGreater(burst, STARTS_AT_ONCE + 180 / START_EVERY)

    def test_the_names_of_all_that_the_store_takes_fit_into_a_variable(self):
        most = int(self.property("FileDescriptorStoreMax"))
        self.assertGreater(most, 0)
        self.assertLess(len("LISTEN_FDNAMES=") + most * len(LONGEST_NAME), MOST_IN_A_VARIABLE)


class Ends(SurvivalTest):
    """Where nothing is kept, no peer may take half a transfer for a whole one."""

    def test_a_stop_resets_the_sessions_and_a_later_start_begins_without_them(self):
        port = self.early()
        client = self.talking(port, megabytes=100)
        self.box.systemctl("stop", box.UNIT)
        self.assert_all_reset(client, 6)
        self.assertEqual(self.host.stored(), 0)
        self.assertFalse(peers.accepts(port))
        # This starts it, by the socket of the API.
        self.assertEqual(self.host.durability()["sessions"], 0)
        self.assertEqual(self.host.status()["sessions_active"], 0)
        self.assert_serves()

    def drained(self, start):
        client = self.talking(self.early())
        start()
        wait_until(lambda: self.host.status()["phase"] == "drained", 20, "the end of the drain")
        self.box.systemctl("stop", box.SOCKET, box.UNIT)
        self.right(client, sessions=6)

    def test_a_drain_over_the_api_and_then_a_stop_cut_nothing(self):
        def drain():
            self.assertEqual(self.request("/v1/drain", "POST", {}).status, 202)

        self.drained(drain)

    def test_a_drain_by_signal_and_then_a_stop_cut_nothing(self):
        self.drained(lambda: self.box.systemctl("kill", "--signal=SIGUSR1", box.UNIT))

    def test_a_table_of_a_later_version_is_not_read_and_its_sessions_are_reset(self):
        client = self.talking(self.early(), megabytes=100)
        self.write_to_table(VERSION_AT, "=I", FAR_VERSION)
        before = self.box.now()
        self.host.again()
        self.assert_all_reset(client, 6)
        told = self.box.wait_for_entry("the table of a former process cannot be used", "-u",
                                       box.UNIT, after=before)
        self.assertIn(f"version {FAR_VERSION}", told["SC_REASON"])
        self.assertEqual(self.host.durability()["sessions"], 0)
        self.assertTrue(self.host.durability()["available"])
        self.assert_serves()
        self.host.check_store()

    def test_a_wrong_setting_at_the_next_start_resets_the_sessions(self):
        port = self.early()
        client = self.talking(port, megabytes=100)
        self.box.systemctl("stop", box.SOCKET)  # else our own questions would start it
        self.box.drop_in(box.UNIT, "range", BAD_RANGE)
        os.kill(self.box.main_pid(), signal.SIGKILL)
        self.box.wait_for_state(box.UNIT, "failed")
        self.assert_all_reset(client, 6)
        self.assertEqual(self.host.stored(), 0)
        self.assertFalse(peers.accepts(port))


if __name__ == "__main__":
    box.main()
