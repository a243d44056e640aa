#!/usr/bin/env python3
"""One stream at a time over /v1: what the README says of each verb, asked of the real binary."""

import concurrent.futures
import os

import harness
import peers
from v1_client import V1Test
from waiting import wait_until


class Streams(V1Test):
    def test_put_creates_once_and_is_the_same_ever_after(self):
        first = self.put(self.port, label="web")
        self.assertEqual(first.status, 201)
        self.assertEqual(first.headers["Location"], self.stream(self.port))
        again = self.put(self.port, label="web")
        self.assertEqual(again.status, 200)
        self.assertIsNone(again.headers["Location"])
        self.assertEqual(again.headers["ETag"], first.headers["ETag"])
        self.assertEqual(again.json, first.json)
        self.assertEqual(first.json["revision"], 1)
        # Last: whoever connects is counted, and finds no backend, which the stream tells.
        self.assertTrue(peers.accepts(self.port))
        self.assertEqual(self.service.history(self.port), ["created"])

    def test_what_get_answers_can_be_edited_and_put_back(self):
        self.put_ok(self.port, label="web", note="a", idle_timeout="1m")
        stream = self.ask("GET", self.stream(self.port)).json
        stream["note"] = "b"
        reply = self.ask("PUT", self.stream(self.port), stream)
        self.assertEqual(reply.status, 200, reply.json)
        self.assertEqual(reply.json["note"], "b")
        self.assertEqual((reply.json["label"], reply.json["idle_timeout"]), ("web", "1m"))

    def test_put_gives_what_it_leaves_out_its_default(self):
        self.put_ok(self.port, label="web", enabled=False, max_sessions=5, durable="off")
        reply = self.put_ok(self.port)
        self.assertEqual((reply.json["label"], reply.json["enabled"]), (None, True))
        self.assertIsNone(reply.json["max_sessions"])
        self.assertEqual(reply.json["durable"], "established")
        self.assertTrue(peers.accepts(self.port))

    def test_a_stream_has_every_field_and_shows_null_where_nothing_is_set(self):
        stream = self.put_ok(self.port).json
        self.assertEqual(list(stream), [
            "port", "listen_address", "backend", "label", "note", "owner", "enabled", "expires_at",
            "max_sessions", "connect_timeout", "idle_timeout", "lifetime", "durable", "state",
            "reason", "created_at", "updated_at", "created_by", "revision", "sessions_active",
            "sessions_total", "bytes_in", "bytes_out", "ended"])
        self.assertEqual(stream["ended"], {})
        for name in ("listen_address", "label", "note", "owner", "expires_at", "max_sessions",
                     "connect_timeout", "idle_timeout", "lifetime", "reason"):
            self.assertIsNone(stream[name], name)
        self.assertEqual((stream["state"], stream["created_by"]), ("listening", "127.0.0.1"))
        self.assertEqual(stream["durable"], "established")

    def test_patch_merges_and_null_is_the_default(self):
        self.put_ok(self.port, label="web", note="a", max_sessions=7)
        reply = self.ask("PATCH", self.stream(self.port), {"note": None, "owner": "ops"},
                         {"Content-Type": "application/merge-patch+json"})
        self.assertEqual(reply.status, 200, reply.json)
        shown = {name: reply.json[name] for name in ("label", "note", "owner", "max_sessions")}
        self.assertEqual(shown, {"label": "web", "note": None, "owner": "ops", "max_sessions": 7})
        self.assertEqual(reply.json["revision"], 2)
        self.assertEqual(self.events(f"?port={self.port}")[0]["detail"], "note, owner")

    def test_whoever_comes_after_the_answer_to_a_change_is_led_by_it(self):
        """With a worker that is held up: tests/relay/busy_worker_test.cc."""
        backends = [self.backend(peers.says(text)) for text in (b"one", b"two")]
        for turn in range(100):
            self.put_ok(self.port, backends[turn % 2].address)
            self.assert_says(self.port, (b"one", b"two")[turn % 2])

    def test_changing_the_backend_keeps_running_sessions(self):
        echo = self.backend(peers.echo)
        hello = self.backend(peers.says(b"hello"))
        self.put_ok(self.port, echo.address)
        session = self.client(self.port)
        session.sendall(b"one")
        self.assertEqual(peers.read_exactly(session, 3), b"one")
        for verb in ("PUT", "PATCH"):
            reply = self.ask(verb, self.stream(self.port), {"backend": hello.address})
            self.assertEqual(reply.status, 200, reply.json)
            self.assert_says(self.port, b"hello")
            session.sendall(b"two")
            self.assertEqual(peers.read_exactly(session, 3), b"two")

    def test_a_disabled_stream_keeps_its_row_and_gives_up_its_port(self):
        self.put_ok(self.port)
        reply = self.ask("PATCH", self.stream(self.port), {"enabled": False})
        self.assertEqual(reply.json["state"], "disabled")
        self.assertFalse(peers.accepts(self.port))
        self.listener(self.port).close()  # anybody may have it
        self.service.stop()
        self.service.start()
        self.assertEqual(self.ask("GET", self.stream(self.port)).json["state"], "disabled")
        self.assertEqual(self.ask("GET", "/readyz").status, 200)
        reply = self.ask("PATCH", self.stream(self.port), {"enabled": True})
        self.assertEqual(reply.json["state"], "listening")
        self.assertTrue(peers.accepts(self.port))

    def test_counters_tell_what_was_carried(self):
        hello = self.backend(peers.says(b"hello"))
        self.put_ok(self.port, hello.address)
        tag = self.ask("GET", self.stream(self.port)).headers["ETag"]
        self.assert_says(self.port, b"hello")
        wait_until(lambda: self.ask("GET", self.stream(self.port)).json["sessions_active"] == 0)
        reply = self.ask("GET", self.stream(self.port))
        self.assertEqual((reply.json["sessions_total"], reply.json["bytes_out"]), (1, 5))
        self.assertEqual(reply.json["ended"], {"finished": 1})
        self.assertEqual(reply.headers["ETag"], tag)  # counters do not count

    def test_post_takes_a_free_port_and_keeps_it(self):
        self.listener(self.ports[0], "0.0.0.0")
        self.put_ok(self.ports[1])
        reply = self.ask("POST", "/v1/streams", {"backend": "127.0.0.1:7000"})
        self.assertEqual(reply.status, 201, reply.json)
        self.assertEqual(reply.json["port"], self.ports[2])
        self.assertEqual(reply.headers["Location"], self.stream(self.ports[2]))
        self.assertTrue(peers.accepts(self.ports[2]))

    def test_posts_at_once_get_ports_of_their_own_until_there_is_none(self):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(
                lambda number: self.ask("POST", "/v1/streams", {"backend": f"127.0.0.1:{number}"}),
                range(7000, 7020)))
        made = [reply for reply in replies if reply.status == 201]
        self.assertEqual(sorted(reply.json["port"] for reply in made), list(self.ports))
        for reply in replies:
            if reply not in made:
                self.assert_problem(reply, 503, "unavailable")
                self.assertTrue(reply.headers["Retry-After"].isdigit())
        self.assertEqual(self.listed(), {r.json["port"]: r.json["backend"] for r in made})

    def test_delete_answers_when_the_port_is_free(self):
        self.put_ok(self.port)
        reply = self.ask("DELETE", self.stream(self.port))
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.listener(self.port, "0.0.0.0")
        self.assert_problem(self.ask("GET", self.stream(self.port)), 404, "not-found", self.port)
        self.assert_problem(self.ask("DELETE", self.stream(self.port)), 404, "not-found")

    def test_delete_with_a_drain_lets_a_session_run_on_and_the_stream_is_seen_draining(self):
        echo = self.backend(peers.echo)
        self.put_ok(self.port, echo.address)
        session = self.client(self.port)
        session.sendall(b"one")
        peers.read_exactly(session, 3)
        reply = self.ask("DELETE", self.stream(self.port) + "?drain=30s")
        self.assertEqual(reply.status, 204)
        self.assertFalse(peers.accepts(self.port))
        self.assertEqual(self.ask("GET", self.stream(self.port)).json["state"], "draining")
        self.assertEqual(list(self.listed("?state=draining")), [self.port])
        session.sendall(b"two")
        self.assertEqual(peers.read_exactly(session, 3), b"two")
        session.close()
        wait_until(lambda: self.ask("GET", self.stream(self.port)).status == 404)

    def test_delete_with_no_drain_cuts_a_session(self):
        echo = self.backend(peers.echo)
        self.put_ok(self.port, echo.address)
        session = self.client(self.port)
        session.sendall(b"one")
        peers.read_exactly(session, 3)
        self.assertEqual(self.ask("DELETE", self.stream(self.port) + "?drain=0").status, 204)
        with self.assertRaises(ConnectionResetError):
            session.recv(1)

    def test_lists_are_filtered_and_come_in_pages_by_port(self):
        for number, port in enumerate(self.ports):
            self.put_ok(port, f"127.0.0.1:{7000 + number % 2}", label="odd" if number % 2 else "even",
                        enabled=number != 9)
        self.assertEqual(list(self.listed()), list(self.ports))
        self.assertEqual(list(self.listed("?label=odd")), list(self.ports[1::2]))
        self.assertEqual(list(self.listed("?backend=127.0.0.1:7000")), list(self.ports[0::2]))
        self.assertEqual(list(self.listed("?state=disabled")), [self.ports[9]])
        self.assertEqual(self.listed("?label=odd&state=failed"), {})
        seen, target = [], "/v1/streams?label=odd&limit=2"
        while target:
            reply = self.ask("GET", target)
            seen += [stream["port"] for stream in reply.json["streams"]]
            link = reply.headers["Link"]
            self.assertEqual(link is None, reply.json["next_cursor"] is None)
            target = link and link[1:link.index(">")]
        self.assertEqual(seen, list(self.ports[1::2]))

    def test_the_old_endpoints_and_the_new_ones_speak_of_the_same_streams(self):
        self.service.create(self.port, "127.0.0.1:7000")
        self.assertEqual(self.ask("GET", self.stream(self.port)).json["backend"], "127.0.0.1:7000")
        self.put_ok(self.ports[1], "127.0.0.1:7001")
        self.assertEqual(self.service.streams()[self.ports[1]], "127.0.0.1:7001")
        self.service.remove(self.ports[1])
        self.assertEqual(self.ask("GET", self.stream(self.ports[1])).status, 404)


class Refusals(V1Test):
    def test_a_port_of_another_stream_and_one_of_another_process_are_told_apart(self):
        self.put_ok(self.port, "127.0.0.1:7000")
        reply = self.ask("POST", "/v1/streams", {"port": self.port, "backend": "127.0.0.1:7001"})
        self.assert_problem(reply, 409, "port-has-stream", self.port, "127.0.0.1:7000")
        other = self.ports[1]
        self.listener(other, "0.0.0.0")
        for reply in (self.put(other),
                      self.ask("POST", "/v1/streams", {"port": other, "backend": "a:1"})):
            self.assert_problem(reply, 409, "port-in-use", other, f"pid {os.getpid()}", "python")
        self.assertEqual(self.listed(), {self.port: "127.0.0.1:7000"})
        self.assertEqual(self.service.history(other), [])

    def test_a_wrong_field_is_named_by_its_pointer_and_what_it_may_be(self):
        outside = self.ports[-1] + 1
        for body, pointer, part in (
            ({}, "/backend", "host:port"),
            ({"backend": 5}, "/backend", "host:port"),
            ({"backend": "nohost"}, "/backend", "the port is missing"),
            ({"backend": None}, "/backend", "host:port"),
            ({"backend": "a:1", "prot": 1}, "/prot", "there are port, listen_address, backend"),
            ({"backend": "a:1", "a/b~": 1}, "/a~1b~0", "there are"),
            ({"backend": "a:1", "port": self.ports[1]}, "/port", self.port),
            ({"backend": "a:1", "port": "9000"}, "/port", "from 1 to 65535"),
            ({"backend": "a:1", "label": "x" * 65}, "/label", "64"),
            ({"backend": "a:1", "label": 5}, "/label", "text"),
            ({"backend": "a:1", "label": "a\nb"}, "/label", "control"),
            ({"backend": "a:1", "label": "a\u202eb"}, "/label", "U+202E"),
            ({"backend": "a:1", "owner": "a\u200bb"}, "/owner", "U+200B"),
            ({"backend": "a:1", "note": "a\n\u0085"}, "/note", "U+0085"),
            ({"backend": "a:1", "label": "web\ufe0f"}, "/label", "U+FE0F"),
            ({"backend": "a:1", "label": "web\u3164"}, "/label", "U+3164"),
            ({"backend": "a:1", "note": "x" * 1025}, "/note", "1024"),
            ({"backend": "a:1", "enabled": "yes"}, "/enabled", "true or false"),
            ({"backend": "a:1", "listen_address": "localhost"}, "/listen_address", "127.0.0.1"),
            ({"backend": "a:1", "max_sessions": 0}, "/max_sessions", "from 1 to 10000000"),
            ({"backend": "a:1", "max_sessions": 1.5}, "/max_sessions", "from 1 to 10000000"),
            ({"backend": "a:1", "connect_timeout": 5}, "/connect_timeout", "30s"),
            ({"backend": "a:1", "connect_timeout": "1h"}, "/connect_timeout", "100ms to 5m"),
            ({"backend": "a:1", "idle_timeout": "5 s"}, "/idle_timeout", "30s"),
            ({"backend": "a:1", "lifetime": 60}, "/lifetime", "30s"),
            ({"backend": "a:1", "lifetime": "999ms"}, "/lifetime", "365d"),
            ({"backend": "a:1", "durable": "always"}, "/durable", '"established" or "early"'),
            ({"backend": "a:1", "durable": True}, "/durable", '"established" or "early"'),
            ({"backend": "a:1", "expires_at": "tomorrow"}, "/expires_at", "RFC 3339"),
            ({"backend": "a:1", "expires_at": "2001-01-01T00:00:00Z"}, "/expires_at", "over"),
            ({"backend": "a:1", "ttl": "0"}, "/ttl", "more than 0"),
            ({"backend": "a:1", "ttl": "1h", "expires_at": "2099-01-01T00:00:00Z"}, "/ttl", "one of"),
            ([], "", "object"),
            ("text", "", "object"),
        ):
            with self.subTest(body=body):
                reply = self.ask("PUT", self.stream(self.port), body)
                self.assert_problem(reply, 422, "invalid-field", part, pointer=pointer)
        text = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u2764\ufe0f\u200d\U0001f525"
        self.put_ok(self.port, label=text)
        self.assertEqual(self.ask("DELETE", self.stream(self.port)).status, 204)
        reply = self.put(outside)
        self.assert_problem(reply, 422, "invalid-field", self.port, pointer="/port")
        self.assertEqual(self.listed(), {})

    def test_all_wrong_fields_are_told_at_once(self):
        reply = self.ask("PUT", self.stream(self.port), {"backend": "x", "enabled": 1, "no": 2})
        self.assertEqual([error["pointer"] for error in reply.json["errors"]],
                         ["/backend", "/enabled", "/no"])

    def test_types_values_and_addresses_that_are_wrong_are_told_at_once(self):
        body = {"backend": "127.0.0.1:7000", "max_sessions": -1, "label": "a\nb", "listen_address": "192.0.2.77"}
        for method, target in (("PUT", self.stream(self.port)), ("POST", "/v1/streams")):
            reply = self.ask(method, target, body)
            self.assert_problem(reply, 422, "invalid-field", "10000000", pointer="/max_sessions")
            self.assertEqual([error["pointer"] for error in reply.json["errors"]],
                             ["/max_sessions", "/label", "/listen_address"])
        for address, part in (("192.0.2.77", "not an address of this host"), ("224.0.0.1", "multicast"),
                              ("ff02::1", "multicast"), ("127.255.255.255", "broadcast"),
                              ("::ffff:127.255.255.255", "broadcast"),
                              ("fe80::1%nosuch0", "nosuch0")):
            with self.subTest(address=address):
                reply = self.put(self.port, listen_address=address)
                self.assert_problem(reply, 422, "invalid-field", part, pointer="/listen_address")
        self.assertEqual(self.listed(), {})

    def test_a_disabled_stream_at_a_broadcast_address_cannot_be_enabled(self):
        self.put_ok(self.port, listen_address="127.255.255.255", enabled=False)
        reply = self.ask("PATCH", self.stream(self.port), {"enabled": True, "label": "a\nb"})
        self.assert_problem(reply, 422, "invalid-field", pointer="/label")
        self.assertEqual([error["pointer"] for error in reply.json["errors"]], ["/label", "/listen_address"])
        self.assertEqual(self.ask("GET", self.stream(self.port)).json["state"], "disabled")

    def test_patch_sets_nothing_that_the_service_tells(self):
        self.put_ok(self.port)
        for body, pointer in (({"state": "failed"}, "/state"), ({"revision": 7}, "/revision"),
                              ({"sessions_active": 0}, "/sessions_active"),
                              ({"backend": None}, "/backend"), ({"port": None}, "/port"),
                              ({"port": self.ports[1]}, "/port")):
            with self.subTest(body=body):
                reply = self.ask("PATCH", self.stream(self.port), body)
                self.assert_problem(reply, 422, "invalid-field", pointer=pointer)
        self.assertEqual(self.ask("GET", self.stream(self.port)).json["revision"], 1)
        self.assert_problem(self.ask("PATCH", self.stream(self.ports[1]), {}), 404, "not-found")

    def test_a_body_that_is_no_json_is_refused_with_the_place(self):
        for body, part in (
            (b"", "byte 0"),
            (b"{", "byte 2"),
            (b'{"backend": }', "byte 13"),
            (b'{"backend": "a:1"} x', "byte 20"),
            (b'{"backend": "\xff"}', "byte 14"),
            (b'{"backend": "\\ud800"}', "byte 20"),
            (b'{"max_sessions": 1e400}', "byte 22"),
            (b'{"max_sessions": 99999999999999999999}', '"/max_sessions"'),
            (b'{"max_sessions": 9223372036854775808}', '"/max_sessions"'),
            (b'{"a": 1, "a": 2}', '"/a"'),
            (b'{"a": [{"b": 1}, {"b": 1, "b": 2}]}', '"/a/1/b"'),
            (b"[" * 100_000, "more than 32 levels"),
            (b'{"a":' * 100_000, "more than 32 levels"),
            (b"{'backend': 'a:1'}", "byte 2"),
            (b"{} // comment", "byte 4"),
            (b"NaN", "byte 1"),
        ):
            with self.subTest(body=body[:40]):
                reply = self.ask("PUT", self.stream(self.port), raw=body)
                self.assert_problem(reply, 400, "malformed-json", part)
        self.assertEqual(self.listed(), {})

    def test_other_content_types_are_415_and_other_methods_405(self):
        for content_type in (None, "text/plain", "application/x-www-form-urlencoded",
                             "application/json; charset=latin1", "application/merge-patch+json", ""):
            with self.subTest(content_type=content_type):
                reply = self.ask("PUT", self.stream(self.port), raw=b'{"backend":"a:1"}',
                                 headers={"Content-Type": content_type})
                self.assert_problem(reply, 415, "unsupported-media-type", "application/json")
        reply = self.ask("PUT", self.stream(self.port), raw=b'{"backend":"a:1"}',
                         headers={"Content-Type": 'Application/JSON; charset="UTF-8"'})
        self.assertEqual(reply.status, 201)
        reply = self.service.get(self.stream(self.port), "POST")
        self.assertEqual(reply.status, 405)
        self.assertEqual(set(reply.headers["Allow"].split(", ")),
                         {"GET", "HEAD", "PUT", "PATCH", "DELETE"})
        self.assertEqual(reply.json["type"], "urn:stream-conductor:problem:method-not-allowed")

    def test_accept_that_leaves_no_json_is_406(self):
        for accept, status in (("application/json", 200), ("*/*", 200), ("application/*;q=0.1", 200),
                               ("text/html, */*;q=0.8", 200), ("application/problem+json", 200),
                               ("text/html", 406), ("*/*;q=0", 406), ("application/*;q=0.0", 406),
                               ("application/json;q=0, application/problem+json;q=0, */*", 406)):
            with self.subTest(accept=accept):
                reply = self.ask("GET", "/v1/streams", headers={"Accept": accept})
                self.assertEqual(reply.status, status)
                if status == 406:
                    self.assert_problem(reply, 406, "not-acceptable", "application/json")

    def test_a_parameter_that_is_unknown_repeated_or_wrong_is_400_and_named(self):
        for query, parts in (("?stat=failed", ("stat", "state, label, backend")),
                             ("?state=up", ("state", "listening, failed, draining, disabled")),
                             ("?limit=0", ("limit", "1 to 1000")),
                             ("?limit=1&limit=2", ("limit", "more than once")),
                             ("?cursor=x", ("cursor",)), ("?as_of=now", ("as_of", "RFC 3339")),
                             ("?as_of=2099-01-01T00:00:00Z", ("as_of", "has been")),
                             ("?%zz=1", ("percent",))):
            with self.subTest(query=query):
                reply = self.ask("GET", "/v1/streams" + query)
                self.assert_problem(reply, 400, "malformed-request", *parts)
        self.put_ok(self.port)
        for path in (f"{self.port}?drain=soon", f"{self.port}?drian=0"):
            reply = self.ask("DELETE", self.stream(path))
            self.assert_problem(reply, 400, "malformed-request")
        self.assertEqual(list(self.listed()), [self.port])

    def test_what_is_no_port_is_404(self):
        for path in ("abc", "0", "65536", "09000", "-1"):
            self.assert_problem(self.ask("GET", self.stream(path)), 404, "not-found", path)


class Conditions(V1Test):
    def test_if_match_lets_one_of_many_changes_through(self):
        tag = self.put_ok(self.port).headers["ETag"]
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            replies = list(pool.map(
                lambda number: self.put(self.port, headers={"If-Match": tag}, note=f"n{number}"),
                range(10)))
        won = [reply for reply in replies if reply.status == 200]
        self.assertEqual(len(won), 1, [reply.status for reply in replies])
        now = self.ask("GET", self.stream(self.port))
        self.assertEqual(now.json["note"], won[0].json["note"])
        for reply in replies:
            if reply is not won[0]:
                self.assert_problem(reply, 412, "precondition-failed")
                self.assertEqual(reply.headers["ETag"], now.headers["ETag"])

    def test_if_match_as_rfc_9110_has_it(self):
        tag = self.put_ok(self.port).headers["ETag"]
        for value, status in ((f'"x", {tag}', 200), ("*", 200), (f"W/{tag}", 412), ('"x"', 412),
                              (tag[1:-1], 400), ("", 400)):
            with self.subTest(value=value):
                reply = self.ask("PATCH", self.stream(self.port), {}, {"If-Match": value})
                self.assertEqual(reply.status, status, reply.body)
        for value in ("*", tag):
            reply = self.put(self.ports[1], headers={"If-Match": value})
            self.assert_problem(reply, 412, "precondition-failed", "not there")
        reply = self.ask("DELETE", self.stream(self.port), headers={"If-Match": '"x"'})
        self.assert_problem(reply, 412, "precondition-failed", tag)
        reply = self.ask("DELETE", self.stream(self.port), headers={"If-Match": tag})
        self.assertEqual(reply.status, 204)

    def test_if_none_match_any_creates_and_never_changes(self):
        first = self.put(self.port, headers={"If-None-Match": "*"})
        self.assertEqual(first.status, 201)
        reply = self.put(self.port, "127.0.0.1:7001", headers={"If-None-Match": "*"})
        self.assert_problem(reply, 412, "precondition-failed")
        self.assertEqual(self.listed(), {self.port: "127.0.0.1:7000"})

    def test_a_conditional_get_is_304_until_something_changes(self):
        self.put_ok(self.port)
        for path in (self.stream(self.port), "/v1/streams", "/openapi.json"):
            with self.subTest(path=path):
                tag = self.ask("GET", path).headers["ETag"]
                for value in (tag, f"W/{tag}", f'"x", {tag}', "*"):
                    reply = self.ask("GET", path, headers={"If-None-Match": value})
                    self.assertEqual((reply.status, reply.body), (304, b""))
                    self.assertEqual(reply.headers["ETag"], tag)
                self.put_ok(self.port, note=path)
                if path != "/openapi.json":
                    reply = self.ask("GET", path, headers={"If-None-Match": tag})
                    self.assertEqual(reply.status, 200)

    def test_a_stream_that_drains_disabled_can_be_changed_by_its_tag(self):
        echo = self.backend(peers.echo)
        self.put_ok(self.port, echo.address)
        session = self.client(self.port)
        session.sendall(b"one")
        peers.read_exactly(session, 3)
        self.ask("PATCH", self.stream(self.port), {"enabled": False})
        seen = self.ask("GET", self.stream(self.port))
        self.assertEqual(seen.json["state"], "draining")
        reply = self.ask("PATCH", self.stream(self.port), {"note": "a"},
                         {"If-Match": seen.headers["ETag"]})
        self.assertEqual(reply.status, 200, reply.json)


if __name__ == "__main__":
    harness.main()
