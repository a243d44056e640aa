#!/usr/bin/env python3
"""The database's disk is full, read-only, hangs, or is locked by another program; streams go on."""

import concurrent.futures
import errno
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time
import unittest

import harness
import peers
import processes
import v1_client
from waiting import SLOWNESS, wait_until

SHIM = os.environ.get("SC_HANGING_DISK")
NEEDS_ROOT = "mounting needs root"
PATIENCE = 6  # seconds; a change is answered by then, src/core/waits.h
PROMPT = 2  # seconds that an answer may take which waits for nothing


def timed(function, *arguments, **options):
    began = time.monotonic()
    return function(*arguments, **options), time.monotonic() - began


class DiskTest(harness.EndToEnd):
    def ask(self, service, method, path, value=None):
        headers, body = {}, None
        if value is not None:
            headers, body = {"Content-Type": "application/json"}, json.dumps(value).encode()
        return service.get(path, method, headers, body)

    def put(self, service, port, backend="127.0.0.1:7000"):
        return self.ask(service, "PUT", f"/v1/streams/{port}", {"backend": str(backend)})

    def conditions(self, service):
        """What is wrong with the service, by component."""
        degraded = self.ask(service, "GET", "/v1/status").json["degraded"]
        return {each["component"]: each["reason"] for each in degraded}

    def wait_condition(self, service, *parts):
        def is_so():
            reason = self.conditions(service).get("database", "")
            return reason if all(part in reason for part in parts) else None

        return wait_until(is_so, 15, f"a condition of the database with {parts}")

    def wait_healthy(self, service):
        wait_until(lambda: not self.conditions(service), 30, "no condition")

    def assert_refused(self, reply, *parts):
        self.assertEqual(reply.status, 503, reply.body)
        self.assertEqual(reply.json["type"], v1_client.PROBLEM + "unavailable")
        for part in parts:
            self.assertIn(part, reply.json["detail"])

    def answered_promptly(self, service, *paths):
        for path in paths:
            reply, took = timed(self.ask, service, "GET", path)
            self.assertEqual(reply.status, 200, f"{path}: {reply.body}")
            self.assertLess(took, PROMPT * SLOWNESS, path)


class LockedByAnotherProgram(DiskTest):
    """sqlite3, the real program, holds a lock."""

    def lock(self, service, *statements):
        shell = self.spawn("sqlite3", "-batch", service.database, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
        for statement in (".timeout 20000", *statements, "SELECT 'locked';"):
            shell.stdin.write(statement + "\n")
        shell.stdin.flush()
        while "locked" not in shell.stdout.readline():
            self.assertIsNone(shell.poll(), "sqlite3 took no lock")
        return shell

    def unlock(self, shell):
        shell.stdin.close()
        shell.wait(timeout=20 * SLOWNESS)
        shell.stdout.close()

    def spawn(self, *command, **options):
        stdin = options.pop("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([str(word) for word in command], stdin=stdin, **options)
        self.addCleanup(self._end, process)
        return process

    def test_reads_are_answered_at_once_and_changes_fail_together(self):
        service = self.start_service(10)
        service.create(service.ports[0], "127.0.0.1:7000")
        done = harness.run(harness.BINARY, "token", "create", "--name", "ci", "--role", "admin",
                           f"--config={service.config}", f"--state-directory={service.state}")
        bearer = {"Authorization": "Bearer " + done.stdout.strip()}
        self.assertEqual(service.get("/v1/streams", headers=bearer).status, 200)
        shell = self.lock(service, "BEGIN EXCLUSIVE;")
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            began = time.monotonic()
            changes = [pool.submit(timed, self.put, service, port) for port in service.ports[1:4]]
            while time.monotonic() - began < 1.5 or not all(each.done() for each in changes):
                self.assertLess(time.monotonic() - began, 2 * PATIENCE * SLOWNESS)
                for path in ("/v1/streams", "/v1/history", "/v1/status", "/healthz", "/getstreams"):
                    reply, took = timed(service.get, path, headers=bearer)
                    self.assertEqual(reply.status, 200, path)
                    self.assertLess(took, PROMPT * SLOWNESS, path)
        for reply, took in (each.result() for each in changes):
            self.assert_refused(reply, "another program holds a lock on the database")
            self.assertLess(took, (PATIENCE + 1) * SLOWNESS)
        self.wait_condition(service, "another program")
        self.unlock(shell)
        self.wait_healthy(service)
        self.assertEqual(self.put(service, service.ports[1]).status, 201)

    def test_a_stop_is_not_delayed(self):
        service = self.start_service(10)
        shell = self.lock(service, "BEGIN EXCLUSIVE;")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: service.raw(
                b"PUT /v1/streams/%d HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 28\r\nConnection: close\r\n\r\n{\"backend\":\"127.0.0.1:7000\"}"
                % service.ports[0]))
            wait_until(lambda: b"stream_conductor_store_queue 1\n" in service.get("/metrics").body,
                       5, "a change that waits")
            _, took = timed(service.stop)
        self.assertLess(took, 7 * SLOWNESS)
        self.unlock(shell)

    def test_the_service_starts_while_another_program_holds_a_lock(self):
        service = self.start_service(10)
        service.create(service.ports[0], "127.0.0.1:7000")
        service.stop()
        shell = self.lock(service, "BEGIN EXCLUSIVE;")
        service.start()
        self.assertEqual(len(service.streams()), 1)
        self.unlock(shell)
        self.wait_healthy(service)
        self.assertEqual(self.put(service, service.ports[1]).status, 201)

    def test_an_exclusive_locking_mode_does_not_keep_requests_waiting(self):
        service = self.start_service(10)
        service.create(service.ports[0], "127.0.0.1:7000")
        shell = self.lock(service, "PRAGMA locking_mode = EXCLUSIVE;", ".timeout 100",
                          "BEGIN IMMEDIATE;")
        self.answered_promptly(service, "/v1/streams", "/v1/history", "/v1/status", "/healthz")
        self.unlock(shell)


@unittest.skipUnless(os.geteuid() == 0, NEEDS_ROOT)
class SmallDisk(DiskTest):
    def setUp(self):
        super().setUp()
        self.disk = self.dir / "disk"
        self.disk.mkdir()
        self.mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", self.disk)
        self.addCleanup(harness.run, "umount", self.disk)

    def mount(self, *words):
        done = harness.run("mount", *words)
        self.assertEqual(done.returncode, 0, done.stderr)

    def remount(self, how):
        self.mount("-o", f"remount,{how}", self.disk)

    def fill(self):
        filler = self.disk / "filler"
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while os.write(descriptor, bytes(4096)):
                pass
        except OSError as full:
            self.assertEqual(full.errno, errno.ENOSPC)
        finally:
            os.close(descriptor)
        return filler

    def with_streams(self):
        """A service on the small disk that was stopped, with two streams in its database."""
        self.hello = self.backend(peers.says(b"hello"))
        service = self.make_service(10, state=self.disk / "state")
        service.start()
        for port in service.ports[:2]:
            service.create(port, self.hello.address)
        service.stop()
        return service

    def look_with_sqlite3(self, service):
        """As an operator does. The last one to close a database removes -wal and -shm."""
        done = harness.run("sqlite3", service.database, "SELECT count(*) FROM streams")
        self.assertEqual(done.stdout, "2\n", done.stderr)
        self.assertFalse(pathlib.Path(f"{service.database}-shm").exists())

    def assert_serves(self, service, *parts):
        """The streams are open, changes are refused and the reason is shown everywhere."""
        for port in service.ports[:2]:
            self.assert_says(port, b"hello")
        self.answered_promptly(service, "/v1/streams", "/v1/history", "/healthz", "/readyz")
        self.assert_refused(self.put(service, service.ports[5]), *parts)
        self.wait_condition(service, *parts)

    def assert_recovers(self, service):
        self.wait_healthy(service)
        service.at_ready = processes.descriptors(service.pid)  # the database's files are open now
        self.assertEqual(self.put(service, service.ports[5], self.hello.address).status, 201)
        self.assert_says(service.ports[5], b"hello")
        self.assertEqual(len(service.sql("SELECT port FROM streams")), 3)

    def test_a_full_disk_at_the_start_does_not_keep_streams_from_being_served(self):
        service = self.with_streams()
        self.look_with_sqlite3(service)
        connection = sqlite3.connect(service.database)
        connection.execute("UPDATE streams SET note = 'by hand' WHERE port = ?",
                           (service.ports[0],))
        connection.commit()
        connection.close()
        filler = self.fill()
        service.start()
        self.assert_serves(service, "ENOSPC")
        filler.unlink()
        self.assert_recovers(service)
        self.assertIn("changed", service.history(service.ports[0]))  # what the start could not write

    def test_a_full_disk_at_the_start_with_a_log_from_a_kill(self):
        service = self.with_streams()
        service.start()
        service.create(service.ports[2], self.hello.address)
        service.kill9()
        filler = self.fill()
        service.start()
        self.assertEqual(len(service.streams()), 3)
        filler.unlink()
        self.wait_healthy(service)

    def test_a_read_only_disk_at_the_start_does_not_keep_streams_from_being_served(self):
        service = self.with_streams()
        self.look_with_sqlite3(service)
        pathlib.Path(service.state / "stream-conductor.lock").unlink()
        self.remount("ro")
        service.start()
        self.assert_serves(service, "EROFS")
        self.remount("rw")
        self.assert_recovers(service)

    def test_a_second_service_is_refused_on_a_read_only_disk_too(self):
        service = self.with_streams()
        pathlib.Path(service.state / "stream-conductor.lock").unlink()
        self.remount("ro")
        service.start()
        second = self.make_service(10, flags={"state-directory": service.state})
        second.launch()
        self.assertEqual(second.wait_exit(), 1)
        self.assertIn("another stream-conductor uses", second.log())
        service.stop()
        self.remount("rw")

    def test_a_read_only_disk_without_a_database_is_refused(self):
        """It may be a disk that is not mounted: kept sessions would end if it counted as empty."""
        self.hello = self.backend(peers.says(b"hello"))
        service = self.make_service(10, state=self.disk / "state")
        self.remount("ro")
        service.launch()
        self.assertEqual(service.wait_exit(), 1)
        self.assertIn("EROFS", service.log())
        self.remount("rw")
        service.start()
        self.assertEqual(self.put(service, service.ports[0], self.hello.address).status, 201)

    def test_a_corrupt_database_is_refused_on_a_read_only_disk_too(self):
        service = self.with_streams()
        self.look_with_sqlite3(service)
        with service.database.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(8192))
        self.remount("ro")
        service.launch()
        self.assertEqual(service.wait_exit(), 1)
        self.remount("rw")

    def test_a_disk_that_fills_up_refuses_changes_until_there_is_space(self):
        service = self.with_streams()
        service.start()
        filler = self.fill()
        refused = None
        for number in range(200):  # what fits into the log that there is goes on
            reply = self.put(service, service.ports[3 + number % 2], f"127.0.0.1:{7000 + number}")
            if reply.status == 503:
                refused = reply
                break
        self.assertIsNotNone(refused)
        self.assert_refused(refused, "the disk is full", "ENOSPC")
        self.assert_serves(service, "ENOSPC")
        filler.unlink()
        self.assert_recovers_running(service)

    def assert_recovers_running(self, service):
        self.wait_healthy(service)
        self.assertEqual(self.put(service, service.ports[5], self.hello.address).status, 201)
        service.kill9()
        service.start()
        self.assert_says(service.ports[5], b"hello")


@unittest.skipUnless(SHIM, "a sanitizer wants to be loaded first itself")
class HungDisk(DiskTest):
    def setUp(self):
        super().setUp()
        self.hangs = self.dir / "hangs"
        self.service = self.start_service(10, environment={
            "LD_PRELOAD": SHIM, "SC_TEST_DISK_FILE": "stream-conductor.db",
            "SC_TEST_DISK_SWITCH": str(self.hangs)})
        self.hello = self.backend(peers.says(b"hello"))
        self.service.create(self.service.ports[0], self.hello.address)
        self.addCleanup(self.recover)

    def recover(self):
        self.hangs.unlink(missing_ok=True)

    def wait_unready(self):
        reply = wait_until(lambda: (r := self.ask(self.service, "GET", "/readyz")).status == 503 and r,
                           10, "not ready")
        self.assertIn("has not answered", reply.json["detail"])

    def test_a_change_is_answered_in_time_and_settled_when_the_disk_works_again(self):
        self.hangs.touch()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(timed, self.put, self.service, self.service.ports[1],
                                self.hello.address)
            self.wait_unready()
            behind = pool.submit(timed, self.put, self.service, self.service.ports[2],
                                 self.hello.address)
            self.answered_promptly(self.service, "/healthz", "/v1/streams", "/v1/history",
                                   "/v1/status", "/metrics")
            self.assert_says(self.service.ports[0], b"hello")
            for change, part in ((first, "not known yet"), (behind, "nothing was written")):
                reply, took = change.result()
                self.assert_refused(reply, part)
                self.assertLess(took, (PATIENCE + 1) * SLOWNESS)
        self.recover()
        wait_until(lambda: peers.accepts(self.service.ports[1]), 10, "the stream appears")
        self.wait_healthy(self.service)
        self.assertEqual(sorted(self.service.streams()), list(self.service.ports[:2]))
        self.assertEqual(self.service.sql("SELECT port FROM streams ORDER BY port"),
                         [(port,) for port in self.service.ports[:2]])
        self.assertEqual(self.ask(self.service, "GET", "/readyz").status, 200)

    def test_clients_that_ask_for_changes_and_leave_take_no_place_from_others(self):
        self.hangs.touch()
        for number in range(520):
            request = (f"PUT /v1/streams/{self.service.ports[number % 9 + 1]} HTTP/1.1\r\n"
                       "Host: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: 28\r\n\r\n"
                       f'{{"backend":"127.0.0.1:7{number:03}"}}').encode()
            with socket.create_connection(("127.0.0.1", self.service.api_port)) as sock:
                sock.sendall(request)
            if number % 52 == 0:
                self.answered_promptly(self.service, "/healthz")
        self.answered_promptly(self.service, "/healthz", "/v1/streams")
        self.wait_unready()
        self.recover()
        self.wait_healthy(self.service)

    def test_a_stop_ends_in_time(self):
        self.hangs.touch()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(self.put_and_ignore)
            self.wait_unready()
            self.service.kill(signal.SIGTERM)
            code, took = timed(self.service.wait_exit)
        self.assertEqual(code, 0, self.service.log())
        self.assertLess(took, 8 * SLOWNESS)
        self.assertIn("its disk hangs, the database is not closed", self.service.log())
        self.recover()
        self.service.start()
        self.assert_says(self.service.ports[0], b"hello")

    def put_and_ignore(self):
        try:
            self.put(self.service, self.service.ports[1])
        except OSError:
            pass  # the service has ended


if __name__ == "__main__":
    harness.main()
