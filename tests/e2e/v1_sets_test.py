#!/usr/bin/env python3
"""Many streams at once and over time: apply, restore, history, expiry, and how the service fares."""

import contextlib
import datetime
import json
import os
import re
import shlex
import sqlite3
import threading
import time

import harness
import peers
from v1_client import V1Test
from waiting import SLOWNESS, wait_until

APPLY = "/v1/streams:apply"


def rows(ports, backend="127.0.0.1:7000"):
    return {"streams": [{"port": port, "backend": backend} for port in ports]}


def brief(milliseconds):
    return f"{int(milliseconds * SLOWNESS)}ms"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Apply(V1Test):
    def apply(self, body, query="", headers=None):
        return self.ask("POST", APPLY + query, body, headers)

    def actions(self, reply):
        self.assertEqual(reply.status, 200, reply.json)
        return {change["port"]: change["action"] for change in reply.json["changes"]}

    def test_a_list_is_taken_whole_and_told_as_a_diff(self):
        self.put_ok(self.ports[0], "127.0.0.1:7000")
        self.put_ok(self.ports[1], "127.0.0.1:7001")
        self.put_ok(self.ports[9], "127.0.0.1:7009")
        reply = self.apply(rows(self.ports[:3]))
        self.assertEqual(self.actions(reply), {self.ports[1]: "changed", self.ports[2]: "created"})
        self.assertEqual((reply.json["dry_run"], reply.json["unchanged"]), (False, 1))
        changed = reply.json["changes"][0]
        self.assertEqual((changed["before"]["backend"], changed["after"]["backend"]),
                         ("127.0.0.1:7001", "127.0.0.1:7000"))
        self.assertEqual(list(self.listed()), [*self.ports[:3], self.ports[9]])
        for port in self.ports[:3]:
            self.assertTrue(peers.accepts(port))

    def test_rows_of_a_former_version_can_be_changed_and_applied(self):
        odd, group = self.ports[:2]
        self.put_ok(odd)
        self.put_ok(group)
        self.service.stop()
        with contextlib.closing(sqlite3.connect(self.service.database)) as database, database:
            database.execute("UPDATE streams SET label = ? WHERE port = ?", ("w\u200deb", odd))
            database.execute("UPDATE streams SET listen_address = '224.0.0.1' WHERE port = ?", (group,))
        self.service.start()
        told = self.ask("GET", "/v1/streams").json
        self.assertEqual([stream["state"] for stream in told["streams"]], ["listening", "failed"])
        self.assertIn("multicast", told["streams"][1]["reason"])
        self.assertEqual(self.actions(self.apply(told)), {})
        for stream in told["streams"]:
            self.assertEqual(self.ask("PUT", self.stream(stream["port"]), stream).status, 200)
            for change in ({"owner": "me"}, {"enabled": False}):
                self.assertEqual(self.ask("PATCH", self.stream(stream["port"]), change).status, 200)
        reply = self.ask("PATCH", self.stream(odd), {"label": "x\u200dy"})
        self.assert_problem(reply, 422, "invalid-field", "U+200D", pointer="/label")

    def test_replace_removes_what_is_not_in_the_list(self):
        self.put_ok(self.ports[0])
        self.put_ok(self.ports[9])
        reply = self.apply(rows(self.ports[:2]), "?mode=replace")
        self.assertEqual(self.actions(reply), {self.ports[1]: "created", self.ports[9]: "removed"})
        self.assertEqual(list(self.listed()), list(self.ports[:2]))
        self.assertFalse(peers.accepts(self.ports[9]))

    def test_one_port_that_cannot_be_had_leaves_all_as_it_was(self):
        self.put_ok(self.ports[0], "127.0.0.1:7001")
        self.listener(self.ports[5], "0.0.0.0")
        tag = self.ask("GET", "/v1/streams").headers["ETag"]
        for query in ("", "?dry_run=true", "?mode=replace"):
            reply = self.apply(rows(self.ports[:9]), query)
            self.assert_problem(reply, 409, "port-in-use", self.ports[5], f"pid {os.getpid()}",
                                pointer="/streams/5/port")
        self.assertEqual(self.listed(), {self.ports[0]: "127.0.0.1:7001"})
        self.assertEqual(self.ask("GET", "/v1/streams").headers["ETag"], tag)
        self.assertFalse(peers.accepts(self.ports[1]))
        self.assertEqual(len(self.events()), 1)

    def test_a_dry_run_tries_the_ports_and_changes_nothing(self):
        self.put_ok(self.ports[0], "127.0.0.1:7001")
        reply = self.apply(rows(self.ports[:2]), "?dry_run=true&mode=replace")
        self.assertEqual(self.actions(reply), {self.ports[0]: "changed", self.ports[1]: "created"})
        self.assertTrue(reply.json["dry_run"])
        self.assertEqual(self.listed(), {self.ports[0]: "127.0.0.1:7001"})
        self.listener(self.ports[1], "0.0.0.0")  # nobody has it

    def test_a_wrong_stream_of_a_list_is_named_by_its_pointer(self):
        first, second = self.ports[:2]
        for streams, pointer in (
            ([{"port": first, "backend": "a:1"}, {"port": second, "backend": "a"}],
             "/streams/1/backend"),
            ([{"port": first, "backend": "a:1"}, {"backend": "a:1"}], "/streams/1/port"),
            ([{"port": first, "backend": "a:1"}, {"port": first, "backend": "a:2"}],
             "/streams/1/port"),
            ([{"port": first, "backend": "a:1", "label": "x" * 65}], "/streams/0/label"),
            ([{"port": first, "backend": "a:1"}, {"port": self.ports[-1] + 1, "backend": "a:1"}],
             "/streams/1/port"),
            ([5], "/streams/0"),
        ):
            with self.subTest(streams=streams):
                self.assert_problem(self.apply({"streams": streams}), 422, "invalid-field",
                                    pointer=pointer)
        for body, pointer in ((streams, "/streams"), ({}, "/streams"), ({"streams": {}}, "/streams"),
                              ({"streams": [], "mode": "merge"}, "/mode"),
                              ({"streams": [], "next_cursor": "9000"}, "/next_cursor")):
            with self.subTest(body=body):
                self.assert_problem(self.apply(body), 422, "invalid-field", pointer=pointer)
        self.assertEqual(self.listed(), {})

    def test_what_a_list_answered_can_be_applied_again(self):
        for port in self.ports:
            self.put_ok(port, label="web")
        answered = self.ask("GET", "/v1/streams").json
        reply = self.apply(answered, "?mode=replace")
        self.assertEqual((self.actions(reply), reply.json["unchanged"]), ({}, 10))

    def test_an_apply_goes_by_the_tag_of_the_collection(self):
        self.put_ok(self.ports[0])
        tag = self.ask("GET", "/v1/streams?limit=1").headers["ETag"]
        self.put_ok(self.ports[1])
        reply = self.apply(rows([]), "?mode=replace", {"If-Match": tag})
        self.assert_problem(reply, 412, "precondition-failed")
        self.assertEqual(len(self.listed()), 2)
        reply = self.apply(rows([]), "?mode=replace", {"If-Match": reply.headers["ETag"]})
        self.assertEqual(len(self.actions(reply)), 2)
        self.assertEqual(self.listed(), {})

    def test_sessions_of_streams_that_stay_run_on(self):
        echo = self.backend(peers.echo)
        self.put_ok(self.ports[0], echo.address)
        session = self.client(self.ports[0])
        session.sendall(b"one")
        peers.read_exactly(session, 3)
        self.apply(rows(self.ports), "?mode=replace")
        session.sendall(b"two")
        self.assertEqual(peers.read_exactly(session, 3), b"two")


class Time(V1Test):
    def wait_for_the_next_millisecond(self):
        """So that a time lies between what was and what will be."""
        seen = now()
        wait_until(lambda: now() - seen > datetime.timedelta(milliseconds=2))
        return seen.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def story(self):
        """Streams, a time at which they were so, and their removal or change afterwards."""
        self.put_ok(self.ports[0], "127.0.0.1:7000", label="web", note="a", max_sessions=5)
        self.put_ok(self.ports[1], "127.0.0.1:7001")
        self.put_ok(self.ports[2], "127.0.0.1:7002", enabled=False)
        wait_until(lambda: len(self.events()) == 3)
        self.wait_for_the_next_millisecond()
        time_between = self.wait_for_the_next_millisecond()
        self.ask("DELETE", self.stream(self.ports[0]))
        self.put_ok(self.ports[1], "127.0.0.1:8001")
        self.put_ok(self.ports[3], "127.0.0.1:7003")
        return time_between

    def test_the_streams_of_another_time_are_as_they_were(self):
        when = self.story()
        reply = self.ask("GET", f"/v1/streams?as_of={when}")
        self.assertEqual(reply.status, 200, reply.json)
        then = {stream["port"]: stream for stream in reply.json["streams"]}
        self.assertEqual({port: s["backend"] for port, s in then.items()},
                         {self.ports[n]: f"127.0.0.1:{7000 + n}" for n in range(3)})
        shown = then[self.ports[0]]
        self.assertEqual((shown["label"], shown["note"], shown["max_sessions"]), ("web", "a", 5))
        self.assertEqual([then[port]["state"] for port in self.ports[:3]],
                         ["listening", "listening", "disabled"])
        self.assertIsNone(shown["bytes_in"])
        reply = self.ask("GET", f"/v1/streams?as_of={when}&label=web&limit=1")
        self.assertEqual([s["port"] for s in reply.json["streams"]], [self.ports[0]])
        self.assertEqual(self.listed("?as_of=2001-01-01T00:00:00%2B01:00"), {})

    def test_restore_brings_the_streams_of_a_time_back(self):
        when = self.story()
        present = self.listed()
        reply = self.ask("POST", f"/v1/streams:restore?as_of={when}&dry_run=true")
        self.assertEqual(reply.status, 200, reply.json)
        actions = {change["port"]: change["action"] for change in reply.json["changes"]}
        self.assertEqual(actions, {self.ports[0]: "created", self.ports[1]: "changed",
                                   self.ports[3]: "removed"})
        self.assertEqual(self.listed(), present)
        reply = self.ask("POST", f"/v1/streams:restore?as_of={when}")
        self.assertEqual((len(reply.json["changes"]), reply.json["skipped"]), (3, []))
        self.assertEqual(self.listed(), {self.ports[n]: f"127.0.0.1:{7000 + n}" for n in range(3)})
        self.assertEqual(self.ask("GET", self.stream(self.ports[0])).json["note"], "a")
        self.assertTrue(peers.accepts(self.ports[0]))
        self.assertFalse(peers.accepts(self.ports[3]))

    def test_restore_leaves_out_what_would_have_ended_by_now(self):
        self.put_ok(self.ports[0], ttl=brief(300))
        self.put_ok(self.ports[1])
        self.wait_for_the_next_millisecond()
        when = self.wait_for_the_next_millisecond()
        wait_until(lambda: list(self.listed()) == [self.ports[1]])
        reply = self.ask("POST", f"/v1/streams:restore?as_of={when}")
        self.assertEqual(reply.status, 200, reply.json)
        self.assertEqual([spec["port"] for spec in reply.json["skipped"]], [self.ports[0]])
        self.assertEqual(list(self.listed()), [self.ports[1]])
        for query, part in (("", "as_of is missing"), ("?as_of=2099-01-01T00:00:00Z", "has been")):
            reply = self.ask("POST", "/v1/streams:restore" + query)
            self.assert_problem(reply, 400, "malformed-request", part)

    def test_history_says_who_did_what_and_by_which_request(self):
        self.put(self.port, headers={"X-Request-Id": "deploy-17"}, note="a")
        self.put(self.port, headers={"X-Request-Id": "deploy-18"}, backend="127.0.0.1:7001")
        reply = self.ask("DELETE", self.stream(self.port))
        removed, changed, created = self.events(f"?port={self.port}")
        self.assertEqual([e["action"] for e in (created, changed, removed)],
                         ["created", "changed", "removed"])
        self.assertEqual([e["request_id"] for e in (created, changed, removed)],
                         ["deploy-17", "deploy-18", reply.headers["X-Request-Id"]])
        self.assertEqual({e["actor"] for e in (created, changed, removed)}, {"127.0.0.1"})
        self.assertEqual((changed["backend_before"], changed["backend_after"], changed["detail"]),
                         ("127.0.0.1:7000", "127.0.0.1:7001", "backend, note"))
        self.assertEqual((created["stream"]["note"], removed["stream"]), ("a", None))
        line = self.service.wait_for_line("stream changed", port=str(self.port))
        self.assertEqual(line.fields["request_id"], "deploy-18")

    def test_history_comes_in_pages_and_is_filtered(self):
        for port in self.ports:
            self.put_ok(port)
            self.ask("DELETE", self.stream(port))
        seen, target = [], "/v1/history?action=created&limit=3"
        while target:
            reply = self.ask("GET", target)
            self.assertLessEqual(len(reply.json["events"]), 3)
            seen += [event["port"] for event in reply.json["events"]]
            link = reply.headers["Link"]
            target = link and link[1:link.index(">")]
        self.assertEqual(seen, list(reversed(self.ports)))
        self.assertEqual(len(self.events(f"?port={self.ports[4]}")), 2)
        self.assertEqual(len(self.events("?actor=127.0.0.1")), 20)
        self.assertEqual(self.events("?actor=nobody"), [])
        fourth = self.events(f"?port={self.ports[4]}&action=created")[0]["at"]
        later = self.events(f"?since={fourth}")
        earlier = self.events(f"?until={fourth}")
        self.assertEqual(len(later) + len(earlier), 20)
        self.assertTrue(all(event["at"] < fourth for event in earlier))
        for query, part in (("?action=made", "created, changed, removed"), ("?port=0", "65535"),
                            ("?limit=1001", "1000"), ("?since=x", "RFC 3339"), ("?prt=1", "port")):
            self.assert_problem(self.ask("GET", "/v1/history" + query), 400, "malformed-request",
                                part)

    def test_a_stream_ends_by_itself_and_says_so(self):
        reply = self.put_ok(self.port, ttl=brief(500))
        self.assertIsNotNone(reply.json["expires_at"])
        wait_until(lambda: self.listed() == {})
        self.assertFalse(peers.accepts(self.port))
        event = self.events(f"?port={self.port}")[0]
        self.assertEqual((event["action"], event["actor"]), ("expired", "service"))
        self.assertGreaterEqual(event["at"], reply.json["expires_at"])

    def test_a_session_of_an_expired_stream_may_end_by_itself(self):
        echo = self.backend(peers.echo)
        self.put_ok(self.port, echo.address, ttl=brief(500))
        session = self.client(self.port)
        session.sendall(b"one")
        peers.read_exactly(session, 3)
        wait_until(lambda: self.listed().get(self.port) is None or
                   self.ask("GET", self.stream(self.port)).json["state"] == "draining")
        session.sendall(b"two")
        self.assertEqual(peers.read_exactly(session, 3), b"two")

    def test_an_expiry_is_put_off_by_patch(self):
        self.put_ok(self.port, ttl=brief(700))
        before = time.monotonic()
        reply = self.ask("PATCH", self.stream(self.port), {"ttl": "1h"})
        self.assertEqual(reply.status, 200, reply.json)
        other = self.ports[1]
        self.put_ok(other, ttl=brief(700))  # ends when the first one would have, or later
        wait_until(lambda: other not in self.listed())
        self.assertGreaterEqual(time.monotonic() - before, 0.7)
        self.assertTrue(peers.accepts(self.port))
        reply = self.ask("PATCH", self.stream(self.port), {"expires_at": None})
        self.assertIsNone(reply.json["expires_at"])

    def test_an_expiry_counts_while_the_service_does_not_run(self):
        self.put_ok(self.ports[0], ttl=brief(1000))
        self.put_ok(self.ports[1], ttl="1h")
        end = self.ask("GET", self.stream(self.ports[1])).json["expires_at"]
        self.service.kill9()
        wait_until(lambda: self.service.sql(
            "SELECT 1 WHERE (SELECT expires_at FROM streams WHERE port = ?) < "
            "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", self.ports[0]))
        self.service.start()
        wait_until(lambda: list(self.listed()) == [self.ports[1]])
        self.assertEqual(self.events(f"?port={self.ports[0]}")[0]["action"], "expired")
        self.assertEqual(self.ask("GET", self.stream(self.ports[1])).json["expires_at"], end)

    def test_a_time_with_an_offset_is_the_same_instant(self):
        reply = self.put_ok(self.port, expires_at="2099-01-01T01:30:00+01:30")
        self.assertEqual(reply.json["expires_at"], "2099-01-01T00:00:00.000Z")


class Service(V1Test):
    def test_not_ready_while_an_enabled_stream_does_not_listen(self):
        self.put_ok(self.ports[0])
        self.put_ok(self.ports[1])
        self.assertEqual(self.ask("GET", "/readyz").json, {"status": "ok"})
        self.service.stop()
        other = self.listener(self.ports[1], "0.0.0.0")
        self.service.start()
        reply = self.ask("GET", "/readyz")
        self.assert_problem(reply, 503, "unavailable", "1 of the enabled streams")
        self.assertEqual([(row["port"], row["state"]) for row in reply.json["not_listening"]],
                         [(self.ports[1], "failed")])
        self.assertTrue(reply.headers["Retry-After"].isdigit())
        self.assertEqual(self.ask("GET", "/healthz").json, {"status": "ok"})
        status = self.ask("GET", "/v1/status").json
        self.assertEqual((status["streams"]["failed"], status["streams"]["listening"]), (1, 1))
        self.assertEqual([row["port"] for row in status["degraded"]], [self.ports[1]])
        self.assertIn(str(self.ports[1]), status["degraded"][0]["reason"])
        other.close()
        wait_until(lambda: self.ask("GET", "/readyz").status == 200, 15)

    def test_status_tells_of_a_backend_that_is_not_reached(self):
        with_nobody = self.listener()
        address = f"127.0.0.1:{with_nobody.getsockname()[1]}"
        with_nobody.close()
        self.put_ok(self.port, address)
        self.assert_is_reset(self.port)
        found = wait_until(lambda: self.ask("GET", "/v1/status").json["degraded"])
        self.assertEqual((found[0]["port"], found[0]["state"]), (self.port, "listening"))

    def test_status_tells_version_range_limits_and_uptime(self):
        status = self.ask("GET", "/v1/status").json
        version = harness.run(harness.BINARY, "--version").stdout
        self.assertIn(status["version"], version)
        self.assertEqual(status["port_ranges"],
                         [{"first": self.ports[0], "last": self.ports[-1]}])
        self.assertEqual((status["phase"], status["degraded"]), ("serving", []))
        self.assertGreaterEqual(status["uptime_seconds"], 0)
        self.assertGreater(status["limits"]["max_api_clients"], 0)
        self.assertLessEqual(status["started_at"], now().isoformat())

    def test_a_change_that_comes_while_the_service_drains_is_503(self):
        echo = self.backend(peers.echo)
        self.put_ok(self.port, echo.address)
        session = self.client(self.port)
        session.sendall(b"one")
        peers.read_exactly(session, 3)
        # Its head is there before the stop, and its end comes after it.
        body = b'{"backend": "127.0.0.1:7001"}'
        half = self.client(self.service.api_port)
        half.sendall(b"PUT " + self.stream(self.ports[1]).encode() + b" HTTP/1.1\r\n"
                     b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                     + str(len(body)).encode() + b"\r\n\r\n" + body[:5])
        self.assertEqual(self.ask("GET", "/healthz").status, 200)  # so it was read
        waiter = threading.Thread(target=self.service.stop)
        waiter.start()
        self.service.wait_for_line("stopping")
        half.sendall(body[5:])
        answer = peers.read_all(half)
        session.close()
        waiter.join()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        self.assertIn(b"urn:stream-conductor:problem:unavailable", answer)
        self.assertEqual(self.service.mapping(self.ports[1]), None)


class Readme(V1Test):
    def test_the_commonest_things_go_as_the_readme_says(self):
        text = (harness.ROOT / "README.md").read_text(encoding="utf-8")
        section = text[text.index("### The commonest"):]
        section = section[:section.index("### Resources")]
        commands = re.findall(r"^\$ curl (.*)$", section, re.MULTILINE)
        self.assertEqual(len(commands), 13)
        (self.dir / "streams.json").write_text(json.dumps(rows(self.ports[:3])), encoding="utf-8")
        for command in commands:
            command = re.sub(r"\b900[01]\b", lambda found: str(self.ports[int(found[0][3])]), command)
            command = re.sub(r"as_of=[^'&]*", "as_of=" + now().isoformat().replace("+00:00", "Z"),
                             command)
            command = command.replace("localhost:5000", f"localhost:{self.service.api_port}")
            with self.subTest(command=command):
                # One that goes on for ever is ended by curl, which says so by 28.
                goes_on = "/events" in command
                done = harness.run("curl", "-sS", "-f", *(["--max-time", 1] if goes_on else []),
                                   *shlex.split(command), cwd=self.dir)
                self.assertEqual(done.returncode, 28 if goes_on else 0, done.stdout + done.stderr)


if __name__ == "__main__":
    harness.main()
