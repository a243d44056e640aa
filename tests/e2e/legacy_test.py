#!/usr/bin/env python3
"""The original's endpoints: every reply of the contract, and each of its faults that is not here."""

import http.client
import json
import socket
import threading
import time
import unittest

import harness
import peers
from waiting import SLOWNESS

ENDPOINTS = (
    "/status",
    "/getstreams",
    "/createstream/{}/127.0.0.1:1",
    "/removestream/{}",
    "/hasstream/{}",
    "/getfreeport",
)
OK = {"result": "ok", "errors": ""}


def refused_naming(*parts):
    """A check for `{"result": "error", "errors": "<why>"}` whose why names all parts."""

    def check(test, reply):
        test.assertEqual(set(reply), {"result", "errors"})
        test.assertEqual(reply["result"], "error")
        for part in ("", *parts):
            test.assertIn(str(part), reply["errors"])
        test.assertNotEqual(reply["errors"], "")

    return check


class ContractTable(harness.EndToEnd):
    def test_each_row_of_the_contract_is_answered_as_it_says(self):
        service = self.start_service(10)
        first, last = service.ports[0], service.ports[-1]
        second, third = first + 1, first + 2
        outside = last + 1
        status = {
            "version": "0.1",
            "available_ports": f"range({first}, {last})",
            "range": f"range({first}-{last})",
        }
        rows = [
            ("/status", 200, status),
            ("/getstreams", 200, []),
            (f"/createstream/{first}/127.0.0.1:7000", 200, OK),
            ("/getstreams", 200, [{"listen": first, "proxy_pass": "127.0.0.1:7000"}]),
            (f"/createstream/{first}/127.0.0.1:7000", 200, OK),
            (f"/createstream/{first}/other:1", 200, refused_naming(first, "127.0.0.1:7000")),
            ("/getstreams", 200, [{"listen": first, "proxy_pass": "127.0.0.1:7000"}]),
            ("/getfreeport", 200, {"result": "ok", "port": second}),
            (f"/createstream/{second}/nosuchhost.invalid:22", 200, OK),
            (f"/createstream/{third}/bad", 200, refused_naming("bad")),
            ("/createstream/99999/127.0.0.1:1", 200, refused_naming("99999")),
            (f"/createstream/{outside}/127.0.0.1:1", 200, refused_naming(f"{first}-{last}")),
            ("/createstream/abc/x:1", 404, None),
            (f"/hasstream/{first}", 200, {"result": "true"}),
            (f"/hasstream/{third}", 200, {"result": "false"}),
            (f"/removestream/{first}", 200, OK),
            (f"/removestream/{first}", 200, {"result": "error", "error": "not found"}),
            (f"/hasstream/{first}", 200, {"result": "false"}),
            ("/getstreams", 200, [{"listen": second, "proxy_pass": "nosuchhost.invalid:22"}]),
        ]
        for number, (path, http_status, expected) in enumerate(rows):
            with self.subTest(row=number, path=path):
                self.check_row(service.get(path), http_status, expected)

    def check_row(self, reply, http_status, expected):
        self.assertEqual(reply.status, http_status, reply)
        self.assertEqual(int(reply.headers["Content-Length"]), len(reply.body))
        self.assertIn("Date", reply.headers)
        if http_status != 200:
            self.assertEqual(reply.headers["Content-Type"], "application/problem+json")
            self.assertEqual(reply.json["status"], http_status)
            return
        self.assertEqual(reply.headers["Content-Type"], "application/json")
        if callable(expected):
            expected(self, reply.json)
        else:
            self.assertEqual(reply.json, expected)

    def test_streams_are_listed_by_port(self):
        service = self.start_service(10)
        for port in reversed(service.ports):
            service.create(port, "127.0.0.1:7000")
        listed = [row["listen"] for row in service.get("/getstreams").json]
        self.assertEqual(listed, list(service.ports))

    def test_getfreeport_says_none_available_when_all_are_taken(self):
        service = self.start_service(1)
        service.create(service.ports[0], "127.0.0.1:7000")
        self.assertEqual(service.get("/getfreeport").json, {"result": "none available"})

    def test_a_stream_is_created_used_and_listed_with_curl(self):
        service = self.start_service(10)
        hello = self.backend(peers.says(b"hello"))
        port = service.ports[0]
        answer = service.curl(f"/createstream/{port}/{hello.address}")
        self.assertEqual(json.loads(answer), OK)
        self.assert_says(port, b"hello")
        listed = json.loads(service.curl("/getstreams"))
        self.assertEqual(listed, [{"listen": port, "proxy_pass": hello.address}])
        self.assertEqual(json.loads(service.curl(f"/removestream/{port}")), OK)
        self.assertFalse(peers.accepts(port))


class Http(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.service = self.start_service(10)
        self.port = self.service.ports[0]

    def test_post_on_any_endpoint_is_405_and_changes_nothing(self):
        for pattern in ENDPOINTS:
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                with self.subTest(path=pattern, method=method):
                    reply = self.service.get(pattern.format(self.port), method, body=b"x")
                    self.assertEqual(reply.status, 405)
                    self.assertEqual(reply.headers["Allow"], "GET, HEAD")
                    self.assertEqual(reply.json["status"], 405)
        self.assertEqual(self.service.streams(), {})

    def test_head_has_the_headers_of_get_and_no_body(self):
        for path in ("/status", "/getstreams", "/nothing"):
            with self.subTest(path=path):
                wanted = self.service.get(path)
                request = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                head, _, rest = self.service.raw(request.encode()).partition(b"\r\n\r\n")
                self.assertEqual(rest, b"")
                self.assertIn(b"HTTP/1.1 %d " % wanted.status, head)
                self.assertIn(b"Content-Length: %d\r\n" % len(wanted.body), head)

    def test_options_names_what_is_allowed_and_changes_nothing(self):
        for pattern in ENDPOINTS:
            with self.subTest(path=pattern):
                reply = self.service.get(pattern.format(self.port), "OPTIONS")
                self.assertIn(reply.status, (200, 204))
                self.assertTrue({"GET", "HEAD"} <= set(reply.headers["Allow"].split(", ")))
        self.assertEqual(self.service.streams(), {})

    def test_doubled_and_trailing_slashes_mean_the_same_endpoint(self):
        backend = self.backend(peers.says(b"hello"))
        for path in (f"//createstream/{self.port}/{backend.address}/", "/status/", "//getstreams",
                     f"/hasstream//{self.port}/", "/getfreeport/"):
            self.assertEqual(self.service.get(path).status, 200, path)
        self.assertEqual(self.service.streams(), {self.port: backend.address})
        self.assertEqual(self.service.get(f"/removestream/{self.port}//").json["result"], "ok")
        self.assertEqual(self.service.streams(), {})

    def test_what_is_not_there_is_a_404_problem(self):
        for path in ("//", "/nothing", "/createstream/9000", "/v1/status/", "/removestream/x"):
            with self.subTest(path=path):
                reply = self.service.get(path)
                self.assertEqual((reply.status, reply.json["status"]), (404, 404))

    def test_a_percent_encoded_path_is_decoded(self):
        reply = self.service.get(f"/createstrea%6D/{self.port}/127.0.0.1%3a7000")
        self.assertEqual(reply.json, OK)
        self.assertEqual(self.service.streams(), {self.port: "127.0.0.1:7000"})

    def test_bad_percent_encoding_is_400(self):
        for end in ("%", "%4", "%zz", "a%", "%%20", "%-1"):
            with self.subTest(end=end):
                request = f"GET /createstream/{self.port}/host{end} HTTP/1.1\r\nHost: localhost\r\n"
                answer = self.service.raw((request + "Connection: close\r\n\r\n").encode())
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertEqual(self.service.streams(), {})

    def test_a_backend_with_characters_of_no_name_is_refused(self):
        port = self.port
        for text in ("a;b:1", "a%3Bb:1", "a%0Ab:1", "a%0D%0Ab:1", "a%01b:1", "a%7Fb:1", "a%20b:1",
                     "%22a%22:1", "a%2Fb:1", "a%C3%A9:1", "a{}:1", "a:0", "a:65536", "a:1:2", ":1",
                     "a:", "a:+1", "a:01", "[::1]", "[zz]:1", "[::1]1", "x" * 254 + ":1"):
            with self.subTest(backend=text):
                reply = self.service.get(f"/createstream/{port}/{text}")
                self.assertEqual(reply.status, 200)
                refused_naming()(self, reply.json)
        self.assertEqual(self.service.streams(), {})
        self.assertEqual(self.service.sql("SELECT count(*) FROM streams"), [(0,)])

    def test_a_backend_with_nul_is_refused(self):
        reply = self.service.get(f"/createstream/{self.port}/a%00b:1")
        self.assertTrue(reply.status == 400 or reply.json["result"] == "error", reply)
        self.assertEqual(self.service.streams(), {})

    def test_one_socket_serves_many_requests_after_each_other(self):
        client = http.client.HTTPConnection("127.0.0.1", self.service.api_port, timeout=30)
        self.addCleanup(client.close)
        sockets = set()
        for _ in range(100):
            client.request("GET", "/status")
            answer = client.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)
            sockets.add(client.sock)
        self.assertEqual(len(sockets), 1)

    def test_pipelined_requests_are_answered_in_order(self):
        paths = [f"/createstream/{port}/127.0.0.1:7000" for port in self.service.ports]
        paths += [f"/hasstream/{port}" for port in self.service.ports]
        requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths]
        last = "GET /getfreeport HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answers = self.service.raw("".join([*requests, last]).encode()).split(b"HTTP/1.1 200 ")[1:]
        bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers]
        replies = [json.loads(body) for body in bodies]
        wanted = [OK] * 10 + [{"result": "true"}] * 10 + [{"result": "none available"}]
        self.assertEqual(replies, wanted)

    def test_requests_beyond_the_limits_are_refused(self):
        close = "Host: localhost\r\nConnection: close\r\n"
        cases = {
            413: f"POST /status HTTP/1.1\r\n{close}Content-Length: 2000000\r\n\r\n",
            414: f"GET /{'a' * 9000} HTTP/1.1\r\n{close}\r\n",
            431: f"GET / HTTP/1.1\r\n{close}X: {'a' * 17000}\r\n\r\n",
            400: "nonsense\r\n\r\n",
        }
        for status, request in cases.items():
            with self.subTest(status=status):
                answer = self.service.raw(request.encode())
                self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer[:200])


class KnownFaults(harness.EndToEnd):
    """The original's faults, numbered as in the contract."""

    def test_fault_1_ok_is_never_said_of_a_port_that_somebody_else_holds(self):
        service = self.start_service(10)
        port = service.ports[0]
        other = self.listener(port, "0.0.0.0")
        reply = service.get(f"/createstream/{port}/127.0.0.1:7000").json
        refused_naming(port)(self, reply)
        self.assertEqual(service.streams(), {})
        self.assertEqual(service.history(port), [])
        service.create(port + 1, "127.0.0.1:7000")  # later changes are taken
        other.close()
        service.create(port, "127.0.0.1:7000")
        self.assertTrue(peers.accepts(port))

    def test_fault_2_a_name_without_an_address_blocks_nobody_else_at_boot_either(self):
        service = self.start_service(10)
        hello = self.backend(peers.says(b"hello"))
        bad, good = service.ports[:2]
        service.create(bad, "nosuchhost.invalid:22")
        service.create(good, hello.address)
        self.assert_says(good, b"hello")
        service.stop()
        service.start()
        self.assert_says(good, b"hello")
        self.assertTrue(peers.accepts(bad))

    def test_fault_3_all_ports_of_the_range_are_handed_out(self):
        service = self.start_service(10)
        handed_out = []
        for _ in range(10):
            port = service.get("/getfreeport").json["port"]
            handed_out.append(service.create(port, "127.0.0.1:7000"))
        self.assertEqual(handed_out, list(service.ports))
        self.assertEqual(service.get("/getfreeport").json, {"result": "none available"})
        for port in service.ports:
            self.assertTrue(peers.accepts(port))

    def test_fault_4_getfreeport_skips_what_the_host_has_bound(self):
        service = self.start_service(10)
        first = service.ports[0]
        self.listener(first, "127.0.0.1")
        self.listener(first + 1, "0.0.0.0")
        self.assertEqual(service.get("/getfreeport").json["port"], first + 2)

    def test_fault_5_outside_ports_second_backends_and_separators_are_refused(self):
        service = self.start_service(10)
        first, last = service.ports[0], service.ports[-1]
        service.create(first, "127.0.0.1:7000")
        for path in (f"{first - 1}/a:1", f"{last + 1}/a:1", "0/a:1", "1234/a:1", f"{first}/b:1",
                     f"{last}/a:1;b:2", f"{last}/a:1%0A"):
            with self.subTest(path=path):
                refused_naming()(self, service.get(f"/createstream/{path}").json)
        self.assertEqual(service.streams(), {first: "127.0.0.1:7000"})

    def test_fault_6_a_web_page_cannot_change_anything(self):
        service = self.start_service(10)
        port = service.ports[0]
        service.create(port, "127.0.0.1:7000")
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"},
                        {"Host": "evil.example"}, {"Host": "evil.example:5000"},
                        {"Host": "localhost.evil.example"}, {"Host": "127.0.0.1.evil.example"},
                        {"Host": "0.0.0.0:5000"}, {"Host": "edge7:5000"}):
            for path in (f"/createstream/{port + 1}/127.0.0.1:1", f"/removestream/{port}"):
                with self.subTest(headers=headers, path=path):
                    reply = service.get(path, headers=headers)
                    self.assertEqual((reply.status, reply.json["status"]), (403, 403))
        self.assertEqual(service.streams(), {port: "127.0.0.1:7000"})

    def test_a_host_that_only_begins_like_this_host_is_malformed(self):
        service = self.start_service(10)
        for host in ("[::1].evil.com", "127.0.0.1:80:evil.com", "[localhost]", "::1", "localhost:x",
                     "user@localhost", "[127.0.0.1]:80"):
            with self.subTest(host=host):
                reply = service.get(f"/createstream/{service.ports[0]}/127.0.0.1:1",
                                    headers={"Host": host})
                self.assertEqual((reply.status, reply.json["status"]), (400, 400))
        self.assertEqual(service.streams(), {})

    def test_who_is_refused_does_not_keep_a_connection(self):
        service = self.start_service(10)
        request = b"GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        replies = service.raw(request * 2)  # returns when the service ends it
        self.assertEqual(replies.count(b"HTTP/1.1 403 "), 1, replies)
        self.assertIn(b"\r\nConnection: close\r\n", replies)

    def test_fault_7_a_change_disturbs_no_session_of_another_stream(self):
        service = self.start_service(10)
        echo = self.backend(peers.echo)
        service.create(service.ports[0], echo.address)
        session = self.client(service.ports[0])
        for port in service.ports[1:]:
            service.create(port, echo.address)
            session.sendall(b"still here")
            self.assertEqual(peers.read_exactly(session, 10), b"still here")
            service.remove(port)
            session.sendall(b"and now")
            self.assertEqual(peers.read_exactly(session, 7), b"and now")
        session.shutdown(socket.SHUT_WR)
        self.assertEqual(peers.read_all(session), b"")

    def test_fault_8_a_create_takes_less_than_the_originals_16_ms(self):
        service = self.start_service(100)
        times = []
        for port in service.ports:
            before = time.monotonic()
            service.create(port, "127.0.0.1:7000")
            times.append(time.monotonic() - before)
        self.assertLess(sorted(times)[len(times) // 2], 0.016 * SLOWNESS)


class Concurrent(harness.EndToEnd):
    def all_at_once(self, service, paths):
        gate = threading.Barrier(len(paths))
        replies = [None] * len(paths)

        def ask(number):
            gate.wait()
            replies[number] = service.get(paths[number]).json

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(paths))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return replies

    def test_of_many_who_want_one_port_for_different_backends_one_gets_it(self):
        service = self.start_service(10)
        port = service.ports[0]
        paths = [f"/createstream/{port}/127.0.0.1:{7000 + number}" for number in range(20)]
        replies = self.all_at_once(service, paths)
        winners = [number for number in range(20) if replies[number] == OK]
        self.assertEqual(len(winners), 1, replies)
        self.assertEqual(service.streams(), {port: f"127.0.0.1:{7000 + winners[0]}"})
        for number in set(range(20)) - set(winners):
            refused_naming(port, f"127.0.0.1:{7000 + winners[0]}")(self, replies[number])
        self.assertEqual(service.history(port), ["created"])

    def test_creates_and_removals_at_once_leave_what_the_history_says(self):
        service = self.start_service(10)
        paths = [f"/{verb}/{port}{end}" for port in service.ports
                 for verb, end in (("createstream", "/127.0.0.1:7000"), ("removestream", "")) * 4]
        self.all_at_once(service, paths)
        streams = service.streams()
        for port in service.ports:
            history = service.history(port)
            self.assertEqual(port in streams, history[-1] == "created", history)
            self.assertEqual(peers.accepts(port), port in streams)
            for earlier, later in zip(history, history[1:]):
                self.assertNotEqual(earlier, later)


class Remote(harness.EndToEnd):
    def test_a_peer_from_elsewhere_gets_401_that_says_so(self):
        address = peers.host_address()
        if not address:
            self.skipTest("the host has the loopback addresses alone")
        service = self.start_service(10, flags={"bind-address": "0.0.0.0"})
        service.api_host = address
        reply = service.get("/status")
        self.assertEqual((reply.status, reply.json["status"]), (401, 401))
        # By the name of this host, a person at it finds out what to do.
        reply = service.get("/status", headers={"Host": "edge7:5000"})
        self.assertEqual(reply.status, 403)
        for part in ('"edge7"', f"http://localhost:{service.api_port} ", "Bearer"):
            self.assertIn(part, reply.json["detail"])
        service.api_host = "127.0.0.1"
        self.assertEqual(service.get("/status").status, 200)

    def test_a_person_who_asks_by_the_hosts_name_finds_out_what_to_do(self):
        service = self.start_service(10)
        reply = service.get("/status", headers={"Host": "edge7:5000"})
        self.assertEqual(reply.status, 403)
        for part in ('"edge7:5000"', f"http://localhost:{service.api_port} ", "API_HOSTS"):
            self.assertIn(part, reply.json["detail"])
        for host in ("localhost.", "LOCALHOST.:5000", "[0:0::1]:1"):
            self.assertEqual(service.get("/status", headers={"Host": host}).status, 200, host)

    def test_api_auth_off_lets_everybody_in(self):
        address = peers.host_address()
        if not address:
            self.skipTest("the host has the loopback addresses alone")
        service = self.start_service(10, flags={"bind-address": "0.0.0.0", "api-auth": "off",
                                                "insecure": "true"})
        service.api_host = address
        self.assertEqual(service.get("/status").status, 200)
        service.api_host = "127.0.0.1"


if __name__ == "__main__":
    unittest.main(verbosity=2)
