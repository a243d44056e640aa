#!/usr/bin/env python3
"""The history has changes only, is bounded, and says where it begins."""

import datetime
import json
import unittest
import urllib.parse

import harness
import old_history
import peers


def time_text(days_ago):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now - datetime.timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Starts(harness.EndToEnd):
    def test_starts_with_unchanged_streams_write_nothing_to_the_history(self):
        service = self.start_service(10)
        for port in service.ports:
            service.create(port, "127.0.0.1:7000")
        service.get(f"/v1/streams/{service.ports[0]}", "PATCH", body=json.dumps({"enabled": False}),
                    headers={"Content-Type": "application/merge-patch+json"})
        rows = lambda: (service.sql("SELECT * FROM stream_events"),
                        service.sql("SELECT * FROM streams"))
        before = rows()
        self.assertEqual(len(before[0]), len(service.ports) + 1)
        service.kill9()
        service.start()
        self.assertEqual(rows(), before)
        service.stop()
        service.start()
        self.assertEqual(rows(), before)


    def test_a_start_reports_an_event_id_that_is_too_large(self):
        service = self.start_service(10)
        service.create(service.ports[0], "127.0.0.1:7000")
        self.assertNotIn("history has an id that is too large", service.log())
        service.stop()
        done = harness.run("sqlite3", service.database,
                           "INSERT INTO stream_events (id, at, action, port) SELECT 9223372036854775806, at,"
                           " 'opened', port FROM stream_events")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        service.start()
        self.assertIn("history has an id that is too large", service.log())
        self.assertIn("id=9223372036854775806", service.log())
        self.assertEqual(service.streams(), {service.ports[0]: "127.0.0.1:7000"})

    def test_only_a_start_after_an_end_that_was_not_clean_reads_the_whole_database(self):
        service = self.start_service(10)
        service.create(service.ports[0], "127.0.0.1:7000")
        is_checked = lambda: "database was not closed cleanly" in service.log()
        self.assertFalse(is_checked())  # it was new
        for end, expected in ((service.stop, False), (service.kill9, True), (service.stop, False)):
            end()
            service.start()
            self.assertEqual(is_checked(), expected, end.__name__)
        service.stop()
        done = harness.run("sqlite3", service.database, "UPDATE streams SET note = 'by hand'")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        service.start()
        self.assertTrue(is_checked())


class Pruning(harness.EndToEnd):
    EVENTS = 20_000
    PORTS = 5

    def setUp(self):
        super().setUp()
        self.service = self.start_service(self.PORTS + 2)
        self.service.stop()
        old_history.fill(self.service.database, self.EVENTS, self.service.ports[0], self.PORTS, 800)

    def as_of(self, time):
        return self.service.get("/v1/streams?as_of=" + urllib.parse.quote(time))

    def page(self, query=""):
        return self.service.get("/v1/history" + query).json

    def count(self):
        return self.service.sql("SELECT count(*) FROM stream_events")[0][0]

    def test_old_events_are_deleted_while_changes_go_on_and_the_rest_answers_as_before(self):
        service = self.service
        service.flags["history-keep"] = "400d"
        service.start()
        before = self.page()
        self.assertIsNone(before["begins_at"])
        known, lost = time_text(399), time_text(700)
        streams = self.as_of(known).json
        self.assertEqual(len(streams["streams"]), self.PORTS)
        self.assertEqual(self.as_of(lost).status, 200)
        created = service.create(service.ports[-1], "127.0.0.1:7000")
        done = service.wait_for_line("old history deleted", seconds=30)
        deleted = int(done.fields["events"])
        self.assertAlmostEqual(deleted, self.EVENTS // 2, delta=self.EVENTS // 100)
        self.assertEqual(self.count(), self.EVENTS + 1 - deleted)
        begins_at = self.page()["begins_at"]
        self.assertEqual(begins_at, done.fields["before"])
        self.assertEqual(self.as_of(known).json, streams)
        gone = self.as_of(lost)
        self.assertEqual((gone.status, gone.json["type"]),
                         (404, "urn:stream-conductor:problem:not-found"))
        self.assertIn(f"the history begins at {begins_at}", gone.json["detail"])
        restore = "/v1/streams:restore?dry_run=true&as_of=" + lost
        self.assertEqual(service.get(restore, "POST").status, 404)
        self.assertEqual(self.page()["events"][1:], before["events"][: 99])
        # Since when a stream has its backend is still known.
        self.assertLess(service.sql("SELECT min(since) FROM mappings")[0][0], begins_at)
        service.remove(created)

    def test_a_history_that_is_kept_for_ever_loses_nothing(self):
        self.service.flags["history-keep"] = "forever"
        self.service.start()
        self.assertEqual(self.as_of(time_text(700)).status, 200)
        self.service.stop()
        self.assertEqual(self.count(), self.EVENTS)
        self.assertNotIn("old history deleted", self.service.log())

    def test_a_watcher_that_comes_back_behind_deleted_events_learns_that_it_missed_some(self):
        self.service.flags["history-keep"] = "400d"
        self.service.start()
        self.service.wait_for_line("old history deleted", seconds=30)
        with peers.connect(self.service.api_port) as sock:
            sock.sendall(b"GET /v1/events?types=stream HTTP/1.1\r\nHost: localhost\r\n"
                         b"Last-Event-ID: 100\r\n\r\n")
            seen = b""
            while seen.count(b"event: stream") < 250:  # more than two pages of the database
                seen += sock.recv(65536)
        self.assertEqual(seen.count(b'event: missed\ndata: {"of":"streams","count":null}\n'), 1)
        self.assertLess(seen.index(b"event: missed"), seen.index(b"event: stream"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
