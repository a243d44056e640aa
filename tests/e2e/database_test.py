#!/usr/bin/env python3
"""The database's files: backed up, restored, replaced, removed and overwritten while the service runs."""

import json
import os
import shutil
import signal
import sqlite3
import unittest

import harness
import peers
from waiting import wait_until

REPLACED = "urn:stream-conductor:problem:database-replaced"


class DatabaseCase(harness.EndToEnd):
    def command(self, *words, state=None, seconds=60):
        return harness.run(harness.BINARY, "--config=" + str(self.dir / "stream-conductor.toml"),
                           f"--state-directory={state or self.service.state}", "database", *words,
                           seconds=seconds)

    def done(self, *words, **options):
        done = self.command(*words, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, *words, **options):
        done = self.command(*words, **options)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def start(self, streams=3, name="state"):
        """A service with streams, and a backup of it: `backup`, which holds one stream fewer."""
        self.service = self.start_service(10, state=self.dir / name)
        self.hello = self.backend(peers.says(b"hello"))
        self.backup = self.dir / f"backup-{name}.db"
        for port in self.service.ports[:streams - 1]:
            self.service.create(port, self.hello.address)
        self.done("backup", self.backup)
        self.service.create(self.service.ports[streams - 1], self.hello.address)
        self.before = self.service.streams()
        self.in_backup = {port: self.before[port] for port in self.service.ports[:streams - 1]}

    def path(self, suffix=""):
        return self.service.state / ("stream-conductor.db" + suffix)

    def put(self, port):
        body = json.dumps({"backend": self.hello.address})
        return self.service.get(f"/v1/streams/{port}", "PUT", body=body,
                                headers={"Content-Type": "application/json"})

    def assert_refuses_changes(self, *words):
        """At once, with the reason; streams go on, and within two seconds readyz says so."""
        reply = self.put(self.service.ports[8])
        self.assertEqual((reply.status, reply.json["type"]), (503, REPLACED))
        for word in words:
            self.assertIn(word, reply.json["detail"])
        wait_until(lambda: self.service.get("/readyz").status == 503, 2, "readyz")
        self.assertEqual(self.service.streams(), self.before)
        self.assert_says(self.service.ports[0], b"hello")
        conditions = self.service.get("/v1/status").json["degraded"]
        self.assertIn("database", [each["component"] for each in conditions])

    def reload(self):
        after = len(self.service.lines)
        self.service.kill(signal.SIGHUP)
        self.service.wait_for_line("reloaded", after=after)

    def reload_is_refused(self, word):
        after = len(self.service.lines)
        self.service.kill(signal.SIGHUP)
        line = self.service.wait_for_line("reload refused, everything stays as it is", after=after)
        self.assertIn(word, line.text)
        self.assertEqual(self.service.streams(), self.before)
        self.assertEqual(self.service.get("/readyz").status, 503)

    def assert_serves(self, streams):
        """These streams, for clients, in the API and in the database that is on disk; changes too."""
        wait_until(lambda: self.service.streams() == streams, 5, f"{streams}")
        wait_until(lambda: self.service.get("/readyz").status == 200, 5, "readyz")
        for port in self.service.ports[:3]:
            wait_until(lambda: peers.accepts(port) == (port in streams), 5, f"{port}")
        self.assertEqual(self.put(self.service.ports[9]).status, 201)
        self.service.kill9()
        self.assert_is_whole({*streams, self.service.ports[9]})
        self.service.start()
        self.assertEqual(set(self.service.streams()), {*streams, self.service.ports[9]})
        self.service.remove(self.service.ports[9])

    def assert_is_whole(self, ports):
        """What a plain copy of the folder, with its log, holds."""
        copy = self.dir / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.service.state, copy)
        connection = sqlite3.connect(copy / "stream-conductor.db")
        try:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            rows = connection.execute("SELECT port FROM streams").fetchall()
            self.assertEqual({row[0] for row in rows}, set(ports))
        finally:
            connection.close()

    def killed_is_whole(self, ports):
        """As it is after a kill in the present state; the service is started again."""
        self.service.kill9()
        self.assert_is_whole(ports)
        self.service.start()
        self.assertEqual(set(self.service.streams()), set(ports))

    def reader(self):
        reader = sqlite3.connect(self.path(), isolation_level=None)
        self.addCleanup(reader.close)
        return reader

    @staticmethod
    def rows(reader):
        return reader.execute("SELECT count(*) FROM streams").fetchone()[0]


class Commands(DatabaseCase):
    def test_a_backup_of_a_running_service_is_complete_and_one_file(self):
        self.start()
        backup = self.dir / "full.db"
        self.done("backup", backup)
        self.assertEqual(sorted(path.name for path in self.dir.glob("full*")), ["full.db"])
        backup.chmod(0o440)
        rows = harness.run("sqlite3", "-readonly", backup, "SELECT count(*) FROM mappings").stdout
        self.assertEqual(rows, "3\n")
        self.assertIn("is there already", self.refused("backup", backup))
        self.done("backup", "--force", backup)
        self.assertIn("the database itself", self.refused("backup", "--force", self.path()))
        self.assertIn("ok: 3 streams", self.done("check"))
        self.assertIn("ok: 2 streams", self.done("check", self.backup))

    def test_a_restore_while_the_service_runs_is_refused_or_opened_at_once(self):
        self.start()
        self.assertIn("stop it first, or give --reload", self.refused("restore", self.backup))
        self.assertEqual(self.service.streams(), self.before)
        self.assertIn("taken it up", self.done("restore", "--reload", self.backup))
        self.assert_serves(self.in_backup)

    def test_a_restore_without_the_service_leaves_nothing_of_the_old_database(self):
        self.start()
        self.service.kill9()  # with a log
        self.done("restore", self.backup)
        self.service.start()
        self.assertEqual(self.service.streams(), self.in_backup)

    def test_only_a_whole_database_of_this_or_an_earlier_version_is_restored(self):
        self.start()
        before = self.service.streams()
        for spoil, word in ((self.cut, "malformed"), (self.overwrite, "damaged"),
                            (self.newer, "newer"), (self.foreign, "another program")):
            with self.subTest(word):
                bad = self.dir / "bad.db"
                shutil.copy(self.backup, bad)
                spoil(bad)
                self.assertIn(word, self.refused("restore", "--reload", bad))
                self.assertEqual(self.service.streams(), before)
                self.assertNotEqual(self.command("check", bad).returncode, 0)
        self.assertEqual(self.service.get("/readyz").status, 200)
        self.assertEqual([path for path in self.service.state.iterdir() if "partial" in path.name], [])

    @staticmethod
    def cut(path):
        os.truncate(path, path.stat().st_size // 2)

    @staticmethod
    def overwrite(path):
        with path.open("r+b") as file:
            file.seek(5 * 4096)
            file.write(b"\xa5" * 4096)

    @staticmethod
    def newer(path):
        harness.run("sqlite3", path, "PRAGMA user_version = 99")

    @staticmethod
    def foreign(path):
        harness.run("sqlite3", path, "PRAGMA application_id = 7")

    def test_no_command_makes_a_folder_or_a_database(self):
        self.start()
        for words in (("check",), ("backup", self.dir / "new.db"), ("restore", self.backup)):
            self.assertIn("typo", self.refused(*words, state=self.dir / "typo"))
        self.assertFalse((self.dir / "typo").exists())
        self.assertFalse((self.dir / "new.db").exists())

    def test_a_backup_of_a_database_that_is_written_to_all_the_time_ends_and_is_whole(self):
        self.start()
        writer = self.spawn("sh", "-c", f"while :; do curl -s -o /dev/null "
                                        f"{self.service.url('/createstream')}/"
                                        f"{self.service.ports[7]}/{self.hello.address} "
                                        f"{self.service.url('/removestream')}/"
                                        f"{self.service.ports[7]}; done")
        for number in range(5):
            self.done("backup", self.dir / f"{number}.db")
            self.assertIn(": ok: ", self.done("check", self.dir / f"{number}.db"))
        writer.terminate()
        writer.wait()


class Replaced(DatabaseCase):
    def test_a_backup_that_is_moved_over_the_database_is_taken_up_by_a_reload(self):
        self.start()
        with self.client(self.service.ports[2]) as session:
            self.assertEqual(peers.read_all(session), b"hello")
        os.rename(self.backup, self.path())
        self.assert_refuses_changes("stream-conductor.db was replaced", "reload the service")
        self.reload()
        self.assert_serves(self.in_backup)

    def test_a_database_that_was_replaced_is_whole_after_a_kill_and_after_a_stop(self):
        for end in ("kill9", "stop"):
            with self.subTest(end):
                self.start(name=end)
                os.rename(self.backup, self.path())
                getattr(self.service, end)()  # at once, so that nothing was noticed
                self.service.start()
                self.assertEqual(self.service.streams(), self.in_backup)
                self.service.kill9()
                self.assert_is_whole(self.in_backup)

    def test_a_database_that_was_replaced_while_changes_come_gets_none_of_them(self):
        self.start()
        statuses = []
        for number in range(40):
            if number == 20:
                os.rename(self.backup, self.path())
            statuses.append(self.put(self.service.ports[8 - number % 2]).status)
        self.assertEqual(set(statuses[:20]) - {200, 201}, set())
        self.assertEqual(set(statuses[20:]), {503})
        self.killed_is_whole(self.in_backup)

    def test_tar_over_the_folder_with_its_log_is_taken_up_by_a_reload(self):
        self.start()
        archive = self.dir / "state.tar"
        done = harness.run("tar", "-C", self.service.state, "-cf", archive, ".")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.service.create(self.service.ports[5], self.hello.address)
        in_archive, self.before = self.before, self.service.streams()
        done = harness.run("tar", "-C", self.service.state, "-xf", archive)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_refuses_changes("was replaced")
        self.reload()
        self.assert_serves(in_archive)

    def test_a_folder_that_is_removed_empties_no_stream(self):
        self.start()
        shutil.rmtree(self.service.state)
        self.assert_refuses_changes("stream-conductor.db is gone", "put a copy")
        self.reload_is_refused("is gone")
        self.service.state.mkdir(mode=0o750)
        self.reload_is_refused("is gone")
        self.assertEqual(list(self.service.state.iterdir()), [])
        self.done("restore", self.backup)
        self.reload()
        self.assert_serves(self.in_backup)

    def test_a_database_that_is_moved_away_and_back_is_used_again(self):
        self.start()
        away = self.dir / "away.db"
        os.rename(self.path(), away)
        self.assert_refuses_changes("is gone")
        self.assertEqual(harness.run("sqlite3", "-readonly", f"file:{away}?immutable=1",
                                     "SELECT count(*) FROM streams").stdout, "3\n")
        os.rename(away, self.path())
        self.assert_serves(self.before)

    def test_what_is_no_database_of_ours_is_refused_and_a_later_reload_takes_a_right_one(self):
        self.start()
        for make, word in ((lambda: self.path().mkdir(), "regular file"),
                           (lambda: os.mkfifo(self.path()), "regular file"),
                           (lambda: self.path().write_bytes(b"x" * 8192), "not a database"),
                           (lambda: self.path().touch(), "empty"),
                           (self.make_foreign, "another program")):
            self.path().unlink()
            make()
            with self.subTest(word):
                self.assert_refuses_changes("was replaced")
                self.reload_is_refused(word)
            if self.path().is_dir():
                self.path().rmdir()
                self.path().touch()
        shutil.copy(self.backup, self.dir / "again.db")
        os.rename(self.dir / "again.db", self.path())
        self.reload()
        self.assert_serves(self.in_backup)

    def make_foreign(self):
        harness.run("sqlite3", self.path(), "CREATE TABLE recipes (name TEXT)")

    def test_tokens_history_and_traffic_are_those_of_the_restored_database(self):
        self.start()
        first = self.service.ports[0]
        made = harness.run(harness.BINARY, f"--state-directory={self.service.state}", "token",
                           "create", "--name", "late", "--role", "viewer")
        headers = {"Authorization": "Bearer " + made.stdout.strip()}
        self.assertEqual(self.service.get("/v1/streams", headers=headers).status, 200)
        self.service.remove(first)
        self.done("restore", "--reload", self.backup)
        wait_until(lambda: self.service.streams() == self.in_backup, 5, "the streams")
        wait_until(lambda: self.service.get("/v1/streams", headers=headers).status == 401, 5,
                   "the token's end")
        self.assertNotIn("removed", self.service.history(first))
        created = self.service.sql("SELECT port, created_at FROM streams ORDER BY port")
        shown = [(each["port"], each["created_at"])
                 for each in self.service.get("/v1/streams").json["streams"]]
        self.assertEqual(shown, created)

    def test_a_backup_is_taken_up_although_a_program_still_reads_the_former_database(self):
        for is_reading in (True, False):
            with self.subTest(is_reading=is_reading):
                self.start(name=f"reader-{is_reading}")
                reader = self.reader()
                if is_reading:
                    reader.execute("BEGIN")
                self.assertEqual(self.rows(reader), 3)
                self.service.create(self.service.ports[7], self.hello.address)
                self.done("restore", "--reload", self.backup)
                self.assertEqual(self.put(self.service.ports[5]).status, 201)
                if is_reading:  # its snapshot holds the last change in the log
                    self.assertGreater(self.path("-wal.former").stat().st_size, 0)
                    self.assertEqual(self.rows(reader), 3)
                    reader.execute("COMMIT")
                self.assertEqual(self.rows(reader), 4)
                reader.close()
                self.service.remove(self.service.ports[5])
                self.assert_serves(self.in_backup)

    def test_a_start_after_a_replacement_leaves_an_idle_program_its_log(self):
        self.start()
        reader = self.reader()
        self.assertEqual(self.rows(reader), 3)
        os.rename(self.backup, self.path())
        self.service.stop()
        self.service.start()
        self.assertEqual(self.service.streams(), self.in_backup)
        self.service.create(self.service.ports[5], self.hello.address)
        self.assertEqual(self.rows(reader), 3)
        reader.close()
        self.service.kill9()
        self.assert_is_whole({*self.in_backup, self.service.ports[5]})


class Damaged(DatabaseCase):
    def test_a_copy_over_the_open_database_is_noticed_and_taken_up_by_a_reload(self):
        self.start()
        self.quiet()
        shutil.copyfile(self.backup, self.path())  # the same inode
        self.assert_refuses_changes("was overwritten")
        self.reload()
        self.assert_serves(self.in_backup)

    def test_a_copy_over_the_open_database_is_whole_after_a_kill(self):
        self.start()
        self.quiet()
        shutil.copyfile(self.backup, self.path())
        self.killed_is_whole(self.in_backup)

    def test_a_database_that_is_cut_is_refused_and_a_restore_mends_it(self):
        self.start()
        self.quiet()
        os.truncate(self.path(), 8192)
        self.assert_refuses_changes("was overwritten")
        self.reload_is_refused("malformed")
        self.done("restore", "--reload", self.backup)
        self.assert_serves(self.in_backup)

    def test_a_removed_log_loses_nothing(self):
        self.start()
        self.path("-wal").unlink()
        self.assert_refuses_changes("-wal was removed")
        self.reload()
        self.assert_serves(self.before)

    def test_a_removed_log_that_a_reader_holds_is_kept_until_the_reader_ends(self):
        self.start()
        reader = self.reader()
        reader.execute("BEGIN")
        self.rows(reader)
        self.service.create(self.service.ports[5], self.hello.address)
        self.before = self.service.streams()
        self.path("-wal").unlink()
        self.assert_refuses_changes("-wal was removed")
        self.reload_is_refused("a program that reads the former database")
        reader.execute("COMMIT")
        self.reload()
        self.assert_serves(self.before)

    def test_a_removed_log_index_loses_nothing(self):
        self.start()
        self.path("-shm").unlink()
        self.assert_refuses_changes("-shm was removed")
        self.killed_is_whole(self.before)
        self.path("-shm").unlink()
        self.assert_refuses_changes("-shm was removed")
        self.reload()
        self.assert_serves(self.before)

    def test_checkpoints_of_other_programs_and_changes_by_hand_are_no_damage(self):
        self.start()
        for sql in ("PRAGMA wal_checkpoint(TRUNCATE)",
                    f"INSERT INTO streams (port, backend) VALUES ({self.service.ports[4]}, 'a:1');"
                    "PRAGMA wal_checkpoint(FULL)", "VACUUM",
                    f"DELETE FROM streams WHERE port = {self.service.ports[4]}"):
            done = harness.run("sqlite3", self.path(), "PRAGMA busy_timeout = 9000; " + sql)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(self.put(self.service.ports[8]).status, (200, 201))
            self.assertEqual(self.service.get(f"/v1/streams/{self.service.ports[8]}",
                                              "DELETE").status, 204)
        self.assertEqual(self.service.get("/readyz").status, 200)

    def test_two_services_cannot_have_one_folder_after_the_lock_file_was_removed(self):
        self.start()
        lock = self.service.state / "stream-conductor.lock"
        for _ in range(2):
            lock.unlink(missing_ok=True)
            second = self.make_service(10, state=self.service.state)
            second.launch()
            self.assertEqual(second.wait_exit(), 1)
            self.assertIn("another stream-conductor", second.log())
        wait_until(lock.exists, 5, "the lock file is made again")
        self.assertIn(self.put(self.service.ports[8]).status, (200, 201))

    def quiet(self):
        """The log is empty once nothing has been written for a moment."""
        wait_until(lambda: self.path("-wal").stat().st_size == 0, 10, "the log is empty")


class Log(DatabaseCase):
    def test_a_copy_of_the_database_file_alone_is_complete_after_a_moment(self):
        self.start()
        wait_until(lambda: self.in_file_alone() == set(self.before), 10, "the file is complete")

    def in_file_alone(self):
        copy = self.dir / "alone.db"
        shutil.copyfile(self.path(), copy)
        connection = sqlite3.connect(f"file:{copy}?immutable=1", uri=True)
        try:
            return {row[0] for row in connection.execute("SELECT port FROM streams")}
        except sqlite3.DatabaseError:
            return set()
        finally:
            connection.close()

    def test_a_reader_that_holds_the_log_is_reported_and_the_log_shrinks_after_its_end(self):
        self.start()
        reader = self.reader()
        reader.execute("BEGIN")
        self.rows(reader)
        self.grow_log(66)
        wait_until(self.is_log_reported, 10, "the condition")
        self.assertEqual(self.service.get("/readyz").status, 200)
        self.assertGreater(self.metric("store_log_bytes"), 64 << 20)
        self.assertIn(self.put(self.service.ports[8]).status, (200, 201))
        reader.execute("COMMIT")
        wait_until(lambda: not self.is_log_reported(), 20, "the condition's end")
        wait_until(lambda: self.path("-wal").stat().st_size == 0, 20, "the log is empty")
        wait_until(lambda: self.metric("store_log_bytes") == 0, 10, "the metric")
        self.assertGreater(self.metric("store_checkpoints_total"), 0)
        self.assertEqual(self.metric("store_checkpoint_failures_total"), 0)
        # SQLite keeps the descriptor of the connection that copied a long log for the next one.
        self.service.stop()

    def grow_log(self, mebibytes):
        """By another program, which leaves the table as it was."""
        writer = sqlite3.connect(self.path(), isolation_level=None, timeout=20)
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("PRAGMA synchronous = OFF")
        writer.execute("CREATE TABLE bulk (bytes BLOB)")
        for _ in range(mebibytes):
            writer.execute("INSERT INTO bulk VALUES (zeroblob(1048576))")
        writer.execute("DROP TABLE bulk")
        writer.close()

    def is_log_reported(self):
        conditions = self.service.get("/v1/status").json["degraded"]
        return "database-log" in [each["component"] for each in conditions]

    def metric(self, name):
        for line in self.service.get("/metrics").body.decode().splitlines():
            if line.startswith(f"stream_conductor_{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
