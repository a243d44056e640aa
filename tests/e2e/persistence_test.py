#!/usr/bin/env python3
"""What was answered with `ok` is on disk, is open again after any end, and can be read by people."""

import http.client
import os
import random
import signal
import stat
import threading
import time
import unittest

import harness
import peers
from waiting import SLOWNESS, wait_until

ROOT_ONLY = "needs root"
NOBODY = 65534
READERS = 64055  # a group that no service of the host has


def is_root():
    return os.geteuid() == 0


class Restart(harness.EndToEnd):
    def test_streams_are_back_after_a_stop_and_after_kill_9(self):
        service = self.start_service(10)
        hello = self.backend(peers.says(b"hello"))
        wanted = {port: hello.address for port in service.ports[:4]}
        for port, address in wanted.items():
            service.create(port, address)
        service.stop()
        self.assertFalse(peers.accepts(service.ports[0]))
        service.start()
        service.remove(service.ports[3])
        del wanted[service.ports[3]]
        for _ in range(2):
            service.kill9()
            service.start()
            self.assertEqual(service.streams(), wanted)
            for port in wanted:
                self.assert_says(port, b"hello")
            self.assertFalse(peers.accepts(service.ports[3]))
        self.assertEqual(service.history(service.ports[0]), ["created"])
        self.assertEqual(service.history(service.ports[3]), ["created", "removed"])

    def test_kill_9_in_the_middle_of_200_creates_loses_none_that_was_acknowledged(self):
        chance = random.Random(20_261_123)
        counts = []
        first = peers.free_ports(200)
        for number in range(20):
            service = self.make_service(
                200, first_port=first, state=self.dir / f"state-{number}")
            with self.subTest(round=number):
                counts.append(self.one_round(service, chance.uniform(0.0, 0.3)))
            service.kill9()
        self.assertTrue(any(0 < count < 200 for count in counts), f"never in the middle: {counts}")

    def one_round(self, service, kill_after):
        service.start()
        acknowledged = []
        gate = threading.Barrier(5)
        clients = [
            threading.Thread(target=self.create_some, args=(service, turn, gate, acknowledged))
            for turn in range(4)
        ]
        for client in clients:
            client.start()
        gate.wait()
        time.sleep(kill_after)  # the moment is what is random here
        service.kill9()
        for client in clients:
            client.join()
        service.start()
        streams = service.streams()
        for port in acknowledged:
            self.assertEqual(streams.get(port), "127.0.0.1:7000", f"{port} was acknowledged")
        for port in streams:  # more may be there: the answer was on its way
            self.assertTrue(peers.accepts(port), f"{port} is listed and not open")
            self.assertEqual(service.history(port), ["created"])
        return len(acknowledged)

    @staticmethod
    def create_some(service, turn, gate, acknowledged):
        """A quarter of the ports, until the service is gone."""
        gate.wait()
        for port in service.ports[turn::4]:
            try:
                service.create(port, "127.0.0.1:7000")
            except (OSError, http.client.HTTPException):
                return
            acknowledged.append(port)

    def test_a_thousand_creates_one_after_the_other_take_less_than_five_seconds(self):
        figures = []
        first = peers.free_ports(1000)
        for turn in range(3):  # the best counts: each create is an fsync, and the disk is shared
            service = self.start_service(
                1000, first_port=first, state=self.dir / f"state-{turn}")
            created = self.create_all(service)
            service.stop()
            service.start()
            booted = int(service.wait_for_line("ready").fields["ms"]) / 1000
            self.assertEqual(len(service.streams()), 1000)
            service.stop()
            figures.append((created, booted))
            if created < 5 * SLOWNESS and booted < 1 * SLOWNESS:
                return
        self.fail(f"seconds for 1,000 creates, and for a boot with them: {figures}")

    @staticmethod
    def create_all(service):
        client = http.client.HTTPConnection("127.0.0.1", service.api_port, timeout=60)
        before = time.monotonic()
        for port in service.ports:
            client.request("GET", f"/createstream/{port}/127.0.0.1:7000")
            assert b'"ok"' in client.getresponse().read()
        client.close()
        return time.monotonic() - before


class TakenPort(harness.EndToEnd):
    def test_a_stream_whose_port_is_taken_at_boot_fails_alone_and_opens_by_itself_later(self):
        service = self.start_service(10)
        hello = self.backend(peers.says(b"hello"))
        taken, other = service.ports[:2]
        for port in (taken, other):
            service.create(port, hello.address)
        service.stop()
        holder = self.listener(taken, "0.0.0.0")
        service.start()
        self.assertEqual(service.streams(), {taken: hello.address, other: hello.address})
        self.assert_says(other, b"hello")
        state, reason = service.mapping(taken)
        self.assertEqual(state, "failed")
        self.assertIn("EADDRINUSE", reason)
        self.assertEqual(service.get(f"/hasstream/{taken}").json, {"result": "true"})
        holder.close()
        wait_until(lambda: service.mapping(taken) == ("listening", ""), 20, "the stream opens")
        self.assert_says(taken, b"hello")
        self.assertEqual(service.history(taken), ["created", "failed", "opened"])

    def test_creating_a_failed_stream_again_tells_why_it_cannot_open(self):
        service = self.start_service(10)
        port = service.create(service.ports[0], "127.0.0.1:7000")
        service.stop()
        holder = self.listener(port, "0.0.0.0")
        service.start()
        reply = service.get(f"/createstream/{port}/127.0.0.1:7000").json
        self.assertEqual(reply["result"], "error")
        self.assertIn("EADDRINUSE", reply["errors"])
        holder.close()
        service.create(port, "127.0.0.1:7000")
        self.assertTrue(peers.accepts(port))

    def test_a_failed_stream_can_be_removed(self):
        service = self.start_service(10)
        port = service.create(service.ports[0], "127.0.0.1:7000")
        service.stop()
        self.listener(port, "0.0.0.0")
        service.start()
        service.remove(port)
        self.assertEqual(service.streams(), {})
        service.stop()
        service.start()
        self.assertEqual(service.streams(), {})


class RefusedDatabase(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.service = self.make_service(10)
        self.state = self.service.state

    def refused(self, *words, **options):
        """Exit 1, the reason on stderr, and every byte of the database as it was."""
        before = self.service.database.read_bytes()
        self.service.launch(**options)
        self.assertEqual(self.service.wait_exit(), 1, self.service.log())
        self.assertEqual(self.service.database.read_bytes(), before)
        for word in words:
            self.assertIn(word, self.service.log())

    def with_streams(self):
        self.service.start()
        for port in self.service.ports:
            self.service.create(port, "127.0.0.1:7000")
        self.service.stop()

    def sqlite3(self, sql):
        done = harness.run("sqlite3", self.service.database, sql)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_file_that_is_no_database_is_refused(self):
        self.state.mkdir()
        self.service.database.write_bytes(b"these are not the bytes you look for\n" * 1000)
        self.refused("stream-conductor.db", "not a SQLite database")

    def test_a_corrupt_database_is_refused(self):
        self.with_streams()
        with self.service.database.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (self.service.database.stat().st_size - 4096))
        self.refused("stream-conductor.db")

    def test_a_truncated_database_is_refused(self):
        self.with_streams()
        os.truncate(self.service.database, 4096)
        self.refused("stream-conductor.db")

    def test_a_newer_database_is_refused(self):
        self.with_streams()
        self.sqlite3("PRAGMA user_version = 99")
        self.refused("newer", "99")

    def test_a_database_of_another_program_is_refused(self):
        self.state.mkdir()
        self.sqlite3("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')")
        self.refused("another program")

    def test_a_database_with_a_changed_migration_is_refused(self):
        self.with_streams()
        self.sqlite3("UPDATE schema_migrations SET sha256 = 'abc'")
        self.refused("migration")

    def test_an_unwritable_database_is_served_and_refuses_changes(self):
        self.with_streams()
        self.service.database.chmod(0o440)
        options = {}
        if is_root():  # root writes everywhere
            self.give_to_nobody()
            options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.service.start(**options)
        self.assertEqual(len(self.service.streams()), len(self.service.ports))
        reply = self.service.get(f"/v1/streams/{self.service.ports[0]}", "DELETE")
        self.assertEqual(reply.status, 503, reply.body)
        self.assertIn("is not writable: Permission denied (EACCES)", reply.json["detail"])
        for path in self.state.iterdir():  # SQLite gives its -wal the mode of the database
            path.chmod(0o640)
        wait_until(lambda: not self.service.get("/v1/status").json["degraded"], what="recovery")
        self.service.remove(self.service.ports[0])
        # The database was opened after the start, so there are more descriptors than at the start.
        self.service.stop()

    def give_to_nobody(self):
        for path in (self.state, *self.state.iterdir()):
            os.chown(path, NOBODY, NOBODY)

    def test_a_state_directory_that_cannot_be_made_is_refused(self):
        blocker = self.dir / "a-file"
        blocker.write_text("", encoding="utf-8")
        self.service.flags["state-directory"] = blocker / "state"
        self.service.launch()
        self.assertEqual(self.service.wait_exit(), 1)
        self.assertIn(str(blocker), self.service.log())

    def test_a_second_instance_on_the_same_state_is_refused(self):
        self.service.start()
        port = self.service.create(self.service.ports[0], "127.0.0.1:7000")
        second = self.make_service(10, state=self.state)
        second.launch()
        self.assertEqual(second.wait_exit(), 1)
        self.assertIn("another stream-conductor", second.log())
        self.assertTrue(peers.accepts(port))
        self.service.create(self.service.ports[1], "127.0.0.1:7000")


class FullDisk(harness.EndToEnd):
    def fill_up(self, service, hello):
        """Creates and removes streams until one create is refused; gives the reason."""
        kept = service.create(service.ports[0], hello.address)
        port = service.ports[1]
        for _ in range(3000):
            reply = service.get(f"/createstream/{port}/127.0.0.1:7000").json
            if reply["result"] != "ok":
                break
            if service.get(f"/removestream/{port}").json["result"] != "ok":
                self.assertIn(port, service.streams())  # the removal failed: it goes on
                self.assertTrue(peers.accepts(port))
                port += 1
        self.assertEqual(reply["result"], "error", "the disk does not get full")
        self.assertNotIn(port, service.streams())
        self.assertFalse(peers.accepts(port))
        self.assert_says(kept, b"hello")
        return reply["errors"]

    @unittest.skipUnless(is_root(), ROOT_ONLY)
    def test_a_full_disk_fails_the_create_with_the_reason_and_streams_go_on(self):
        hello = self.backend(peers.says(b"hello"))
        disk = self.dir / "disk"
        disk.mkdir()
        done = harness.run("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk)
        if done.returncode != 0:
            self.skipTest(f"no tmpfs can be mounted here: {done.stderr}")
        self.addCleanup(harness.run, "umount", "-l", disk)
        service = self.start_service(10, state=disk / "state")
        reason = self.fill_up(service, hello)
        self.assertIn("full", reason)
        streams = service.streams()
        self.assertEqual(harness.run("mount", "-o", "remount,size=64m", disk).returncode, 0)
        port = service.ports[-1]
        service.create(port, hello.address)  # there is space again
        service.kill9()
        service.start()
        self.assertEqual(service.streams(), {**streams, port: hello.address})

    def test_a_file_that_may_not_grow_fails_the_create_with_a_reason_and_streams_go_on(self):
        hello = self.backend(peers.says(b"hello"))
        service = self.make_service(10)
        service.prefix = ["prlimit", "--fsize=400000", "--"]
        # SIGXFSZ must not be what ends it; the service has to get by with EFBIG.
        service.start()
        self.assertNotEqual(self.fill_up(service, hello), "")


class Readers(harness.EndToEnd):
    """People with sqlite3, while the service runs."""

    def test_the_file_is_0640_and_the_folder_0750(self):
        for umask in (0o000, 0o077):
            with self.subTest(umask=oct(umask)):
                service = self.make_service(10, state=self.dir / oct(umask))
                service.launch(umask=umask)
                service.wait_ready()
                service.create(service.ports[0], "127.0.0.1:7000")
                self.assertEqual(stat.S_IMODE(service.state.stat().st_mode), 0o750)
                self.assertEqual(stat.S_IMODE(service.database.stat().st_mode), 0o640)
                for path in service.state.iterdir():
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o027, 0, path)

    def sqlite3(self, service, *options, sql, **process):
        done = harness.run("sqlite3", *options, service.database, sql, **process)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_the_questions_of_the_manual_are_answered_by_sqlite3(self):
        service = self.start_service(10)
        port = service.ports[7]
        service.create(port, "first:1")
        first_at = service.sql("SELECT max(at) FROM stream_events")[0][0]
        service.remove(port)
        service.create(port, "second:2")
        ask = lambda sql: self.sqlite3(service, "-readonly", sql=sql)
        self.assertEqual(ask("SELECT port, backend, state FROM mappings"),
                         [f"{port}|second:2|listening"])
        story = ask(f"SELECT what, actor FROM mapping_history WHERE port = {port}")
        self.assertEqual(story, ["created: leads to first:1|127.0.0.1",
                                 "removed: led to first:1|127.0.0.1",
                                 "created: leads to second:2|127.0.0.1"])
        held_at = (f"SELECT backend FROM mapping_periods WHERE port = {port} AND held_from <= '%s'"
                   " AND (held_until IS NULL OR held_until > '%s')")
        self.assertEqual(ask(held_at % (first_at, first_at)), ["first:1"])
        self.assertEqual(ask(held_at % (("2999-01-01T14:03:00",) * 2)), ["second:2"])
        self.assertEqual(ask(held_at % (("2001-01-01T14:03:00",) * 2)), [])

    @unittest.skipUnless(is_root(), ROOT_ONLY)
    def test_another_user_of_the_group_reads_it_while_it_runs(self):
        service = self.make_service(10)
        service.state.mkdir(mode=0o750)
        os.chown(service.state, 0, READERS)
        service.state.chmod(0o2750)  # new files get the folder's group
        service.start()
        service.create(service.ports[0], "127.0.0.1:7000")
        reader = {"user": NOBODY, "group": READERS, "extra_groups": []}
        query = "SELECT port, backend FROM mappings"
        wanted = [f"{service.ports[0]}|127.0.0.1:7000"]
        self.assertEqual(self.sqlite3(service, "-readonly", sql=query, **reader), wanted)
        service.remove(service.ports[0])
        self.assertEqual(self.sqlite3(service, "-readonly", sql=query, **reader), [])
        done = harness.run("sqlite3", service.database, "DELETE FROM streams", **reader)
        self.assertNotEqual(done.returncode, 0, "readers cannot write")
        stranger = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        done = harness.run("sqlite3", "-readonly", service.database, query, **stranger)
        self.assertNotEqual(done.returncode, 0, "strangers cannot read")

    def test_history_cannot_be_rewritten(self):
        service = self.start_service(10)
        service.create(service.ports[0], "127.0.0.1:7000")
        for sql in ("DELETE FROM stream_events", "UPDATE stream_events SET actor = 'x'",
                    "INSERT OR REPLACE INTO stream_events (id, at, action, port) "
                    "SELECT id, at, 'removed', port FROM stream_events"):
            done = harness.run("sqlite3", service.database, sql)
            self.assertIn("append-only", done.stderr)
        self.assertEqual(service.history(service.ports[0]), ["created"])


class ByHand(harness.EndToEnd):
    def reload(self, service):
        after = len(service.lines)
        service.kill(signal.SIGHUP)
        service.wait_for_line("reloaded", after=after)

    def sqlite3(self, service, sql):
        done = harness.run("sqlite3", service.database, f"PRAGMA busy_timeout = 10000; {sql}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_sighup_takes_up_rows_that_were_added_changed_and_deleted_by_hand(self):
        service = self.start_service(10)
        one, two = self.backend(peers.says(b"one")), self.backend(peers.says(b"two"))
        echo = self.backend(peers.echo)
        added, changed, deleted, left = service.ports[:4]
        service.create(changed, one.address)
        service.create(deleted, one.address)
        service.create(left, echo.address)
        session = self.client(left)
        session.sendall(b"before")
        self.assertEqual(peers.read_exactly(session, 6), b"before")
        self.sqlite3(service, f"""
            INSERT INTO streams (port, backend) VALUES ({added}, '{one.address}');
            UPDATE streams SET backend = '{two.address}', durable = 'off' WHERE port = {changed};
            DELETE FROM streams WHERE port = {deleted};""")
        self.reload(service)
        wait_until(lambda: peers.accepts(added), what="the added stream")
        self.assert_says(added, b"one")
        wait_until(lambda: self.says(changed, b"two"), what="the changed stream")
        wait_until(lambda: not peers.accepts(deleted), what="the deleted stream's end")
        wanted = {added: one.address, changed: two.address, left: echo.address}
        self.assertEqual(service.streams(), wanted)
        session.sendall(b"after")
        self.assertEqual(peers.read_exactly(session, 5), b"after")
        wait_until(lambda: service.history(deleted) == ["created", "removed"], what="history")
        wait_until(lambda: service.history(changed) == ["created", "changed"], what="history")
        self.assertEqual(service.get(f"/v1/streams/{changed}").json["durable"], "off")
        wait_until(lambda: service.history(added) == ["created"], what="history")
        self.assertEqual(service.sql("SELECT DISTINCT actor FROM stream_events WHERE port = ?",
                                     added), [("SIGHUP",)])

    @staticmethod
    def says(port, text):
        with peers.connect(port) as client:
            return peers.read_all(client) == text

    def test_what_the_service_notes_by_itself_does_not_undo_a_change_by_hand(self):
        service = self.start_service(10)
        hello = self.backend(peers.says(b"hello"))
        deleted, changed, other = service.ports[:3]
        for port in (deleted, changed, other):
            service.create(port, f"127.0.0.1:{peers.free_port()}")
        self.sqlite3(service, f"""
            DELETE FROM streams WHERE port = {deleted};
            UPDATE streams SET backend = '{hello.address}' WHERE port = {changed};""")
        for port in (deleted, changed, other):
            self.assertTrue(peers.accepts(port))  # no backend answers, which is noted
        wait_until(lambda: "refused" in service.mapping(other)[1], what="the note")
        self.reload(service)
        wait_until(lambda: not peers.accepts(deleted), 5, "the deleted stream's end")
        wait_until(lambda: service.streams().get(changed) == hello.address, 5, "the change")

    def test_a_row_that_is_no_stream_ends_nothing(self):
        service = self.start_service(10)
        hello = self.backend(peers.says(b"hello"))
        good, spoilt, bad = service.ports[:3]
        service.create(good, hello.address)
        service.create(spoilt, hello.address)
        self.sqlite3(service, f"""
            INSERT INTO streams (port, backend) VALUES ({bad}, 'no;backend');
            UPDATE streams SET backend = 'not one either' WHERE port = {spoilt};""")
        self.reload(service)
        service.wait_for_line("row of the database is no stream")
        self.assert_says(good, b"hello")
        self.assert_says(spoilt, b"hello")
        self.assertFalse(peers.accepts(bad))
        service.stop()
        service.start()
        self.assert_says(good, b"hello")

    def test_a_row_added_while_it_was_down_is_open_after_the_start(self):
        service = self.start_service(10)
        hello = self.backend(peers.says(b"hello"))
        service.stop()
        self.sqlite3(service, f"INSERT INTO streams (port, backend) "
                              f"VALUES ({service.ports[0]}, '{hello.address}')")
        service.start()
        self.assert_says(service.ports[0], b"hello")


if __name__ == "__main__":
    unittest.main(verbosity=2)
