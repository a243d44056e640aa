#!/usr/bin/env python3
"""Drives every operation of docs/openapi.json and holds each answer against it."""

import json
import re
import sys
import urllib.parse
import warnings

import harness
import peers
from v1_client import V1Test

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of RefResolver, which Debian 12 needs
    try:
        import jsonschema
        from jsonschema import RefResolver
    except ImportError:
        print("python3-jsonschema is not installed")
        sys.exit(77)  # skipped, to meson

DOCUMENT = json.loads((harness.ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
VERBS = ("get", "post", "put", "patch", "delete")
ROUTER_METHODS = {"HEAD", "OPTIONS"}  # wherever GET is, and everywhere
# What is not brought about operation by operation: a fault of the service, and who may not (for
# all of them at once, below; 429 comes to other hosts alone).
NOT_DRIVEN = {"401", "403", "429", "500", "default"}
SLOW_TO_DRIVE = {  # 503 on a stop and on a full range have their tests in v1_test and v1_sets_test
    "503"
}


class Description:
    """The document, and which of its answers have been seen."""

    def __init__(self, document):
        self.document = document
        self.seen = set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.resolver = RefResolver("", document)

    def resolve(self, value):
        while "$ref" in value:
            _, value = self.resolver.resolve(value["$ref"])
        return value

    def validate(self, schema, value):
        jsonschema.Draft202012Validator(
            schema, resolver=self.resolver,
            format_checker=jsonschema.FormatChecker()).validate(value)

    def operations(self):
        for path, item in self.document["paths"].items():
            for verb in VERBS:
                if verb in item:
                    yield path, verb, item[verb]

    def find(self, method, target):
        """The operation of a request; a literal path goes before one with parameters, and of
        these `{port}:check` before `{port}`."""
        path = target.partition("?")[0]
        fits = []
        for template, verb, operation in self.operations():
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", re.sub(r"([.:])", r"\\\1", template))
            if verb == method.lower() and re.fullmatch(pattern, path):
                fits.append((template.count("{"), template, operation))
        return min(fits, key=lambda fit: (fit[0], -len(fit[1])))[1:] if fits else None

    def parameters(self, template, operation):
        listed = self.document["paths"][template].get("parameters", []) + operation.get(
            "parameters", [])
        return [self.resolve(each) for each in listed]

    def check(self, method, target, body, headers, reply):
        template, operation = self.find(method, target)
        status = str(reply.status)
        described = operation["responses"].get(status) or operation["responses"].get("default")
        self.seen.add((template, method.lower(), status))
        response = self.resolve(described)
        if status.startswith("2"):
            self.check_request(template, operation, target, body, headers)
        for name, header in response.get("headers", {}).items():
            header = self.resolve(header)
            value = reply.headers[name]
            if value is None:
                assert not header.get("required"), f"{name} is missing: {reply.headers}"
            else:
                self.validate(header["schema"], value)
        content = response.get("content")
        if not content:
            assert not reply.body, f"a body that is not described: {reply.body}"
            return
        media_type = reply.headers["Content-Type"]
        assert media_type in content, f"{media_type} is not in {list(content)}"
        self.validate(content[media_type]["schema"],
                      json.loads(reply.body) if "json" in media_type else reply.body.decode())

    def check_request(self, template, operation, target, body, headers):
        """What the service took has to be what the document allows."""
        known = {(p["in"], p["name"]): p for p in self.parameters(template, operation)}
        for name, value in urllib.parse.parse_qsl(target.partition("?")[2]):
            schema = self.resolve(known[("query", name)]["schema"])
            if schema.get("type") == "integer":
                value = int(value)
            elif schema.get("type") == "boolean":
                value = {"true": True, "false": False}[value]
            self.validate(schema, value)
        for name in headers:
            assert name in ("Accept", "Content-Type") or ("header", name) in known, name
        if body is not None:
            content = operation["requestBody"]["content"]
            self.validate(content[headers["Content-Type"]]["schema"], json.loads(body))


class OpenApi(V1Test):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.description = Description(DOCUMENT)

    def ask(self, method, path, value=None, headers=None, raw=None):
        sent = dict(headers or {})
        body = json.dumps(value).encode() if value is not None else raw
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        reply = super().ask(method, path, value, headers, raw)
        self.description.check(method, path, body, sent, reply)
        return reply

    def drive(self, status, method, path, value=None, headers=None, raw=None):
        with self.subTest(method=method, path=path, status=status):
            reply = self.ask(method, path, value, headers, raw)
            self.assertEqual(reply.status, status, reply.body)
            return reply

    def drive_refusals(self, method, path, wants_body=False, tags=None):
        """What every operation of that kind refuses alike."""
        joint = "&" if "?" in path else "?"
        value = {"backend": "a:1"} if wants_body else None
        self.drive(400, method, f"{path}{joint}no=1", value)
        self.drive(406, method, path, value, {"Accept": "text/html"})
        if tags is not None:
            self.drive(412, method, path, tags, {"If-Match": '"x"'})
        if wants_body:
            self.drive(415, method, path, raw=b"{}", headers={"Content-Type": "text/plain"})
            self.drive(413, method, path, raw=b" " * 1_100_000)
            self.drive(422, method, path, 5)

    def full(self, port, **fields):
        return {"port": port, "listen_address": "127.0.0.1", "backend": "[::1]:22", "label": "a",
                "note": "b", "owner": "c", "enabled": True, "expires_at": None, "max_sessions": 5,
                "connect_timeout": "5s", "idle_timeout": "1h", "lifetime": "12h", "durable": "early",
                **fields}

    def drive_streams(self):
        one, taken = self.stream(self.port), self.ports[8]
        self.listener(taken, "0.0.0.0")
        reply = self.drive(201, "PUT", one, self.full(self.port, ttl="1h"))
        tag = reply.headers["ETag"]
        self.drive(200, "PUT", one, reply.json)
        self.drive(409, "PUT", self.stream(taken), {"backend": "a:1"})
        self.drive(404, "PUT", self.stream("x"), {"backend": "a:1"})
        self.drive_refusals("PUT", one, True, {"backend": "a:1"})
        tag = self.drive(200, "GET", one).headers["ETag"]
        self.drive(304, "GET", one, headers={"If-None-Match": tag})
        self.drive(412, "GET", one, headers={"If-Match": '"x"'})
        self.drive(404, "GET", self.stream(self.ports[9]))
        self.drive_refusals("GET", one)
        self.drive(200, "PATCH", one, {"label": None}, {"Content-Type": "application/json"})
        self.drive(200, "PATCH", one, {"note": "x"},
                   {"Content-Type": "application/merge-patch+json"})
        self.drive(404, "PATCH", self.stream(self.ports[9]), {})
        self.drive_refusals("PATCH", one, True, {"note": "c"})
        self.drive(200, "PATCH", one, {"enabled": False})
        other = self.stream(self.ports[7])
        self.drive(201, "PUT", other, {"backend": "a:1", "enabled": False})
        self.listener(self.ports[7], "0.0.0.0")
        self.drive(409, "PATCH", other, {"enabled": True})
        self.drive(201, "POST", "/v1/streams", {"backend": "a:1", "port": None})
        self.drive(409, "POST", "/v1/streams", {"backend": "a:1", "port": self.port})
        self.drive_refusals("POST", "/v1/streams", True, {"backend": "a:1"})
        tag = self.drive(200, "GET", "/v1/streams?limit=1&label=&state=disabled").headers["ETag"]
        self.drive(304, "GET", "/v1/streams", headers={"If-None-Match": tag})
        self.drive(412, "GET", "/v1/streams", headers={"If-Match": '"x"'})
        self.drive_refusals("GET", "/v1/streams")
        self.drive(404, "DELETE", self.stream(self.ports[9]))
        self.drive_refusals("DELETE", one, tags={})
        self.drive(204, "DELETE", one + "?drain=0")

    def drive_sets(self):
        body = {"streams": [self.full(self.ports[2]), {"port": self.ports[3], "backend": "a:1"}]}
        self.drive(200, "POST", "/v1/streams:apply?dry_run=true", body)
        self.drive(200, "POST", "/v1/streams:apply?mode=merge&dry_run=false", body)
        self.drive(409, "POST", "/v1/streams:apply",
                   {"streams": [{"port": self.ports[8], "backend": "a:1"}]})
        self.drive_refusals("POST", "/v1/streams:apply", True, body)
        when = self.events(f"?port={self.ports[2]}")[0]["at"]
        self.drive(200, "GET", f"/v1/streams?as_of={when}")
        self.drive(200, "POST", "/v1/streams:apply?mode=replace", {"streams": []})
        self.drive(200, "POST", f"/v1/streams:restore?as_of={when}&dry_run=true")
        self.drive(412, "POST", f"/v1/streams:restore?as_of={when}", headers={"If-Match": '"x"'})
        self.drive_refusals("POST", f"/v1/streams:restore?as_of={when}")
        with_taken = self.listener(self.ports[2], "127.0.0.1")
        self.drive(409, "POST", f"/v1/streams:restore?as_of={when}")
        with_taken.close()
        self.drive(200, "POST", f"/v1/streams:restore?as_of={when}")
        self.drive_restore_outside_of_the_range(when)
        self.drive(200, "GET", f"/v1/history?limit=3&action=created&port={self.ports[2]}")
        self.drive(200, "GET", "/v1/history?limit=2")
        self.drive_refusals("GET", "/v1/history")

    def drive_events(self):
        """Without an end: as much as comes first is looked at."""
        path = "/v1/events?last_event_id=0&types=stream,session&port=" + str(self.ports[2])
        connection = self.connection()
        connection.request("GET", path, headers={"Last-Event-ID": "0"})
        answer = connection.getresponse()
        reply = harness.parse_reply(answer.status, answer.headers, answer.readline())
        self.assertEqual((reply.status, reply.body), (200, b"retry: 1000\n"))
        self.description.check("GET", path, None, {"Last-Event-ID": "0"}, reply)
        connection.close()
        self.drive_refusals("GET", "/v1/events")

    def drive_restore_outside_of_the_range(self, when):
        self.drive(204, "DELETE", self.stream(self.ports[2]))
        self.service.stop()
        self.service.flags["port-range"] = f"{self.ports[4]}-{self.ports[9]}"
        self.service.start()
        self.drive(422, "POST", f"/v1/streams:restore?as_of={when}")
        self.service.stop()
        del self.service.flags["port-range"]
        done = harness.run("sqlite3", self.service.database,
                           "INSERT INTO history_start VALUES (1, '2001-01-01T00:00:00.000Z', 1)")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.service.start()
        self.drive(200, "POST", f"/v1/streams:restore?as_of={when}")
        self.drive(404, "GET", "/v1/streams?as_of=2000-01-01T00:00:00Z")
        self.drive(404, "POST", "/v1/streams:restore?as_of=2000-01-01T00:00:00Z")

    def drive_sessions(self):
        port = self.ports[5]
        self.put_ok(port, self.backend(peers.echo).address)
        client = self.client(port)
        client.sendall(b"hello")
        self.assertEqual(peers.read_exactly(client, 5), b"hello")
        self.client(port)
        reply = self.drive(200, "GET", f"/v1/sessions?port={port}&client=127.0.0.1&min_age=0&"
                                       "min_bytes=5&limit=10")
        one = f"/v1/sessions/{reply.json['sessions'][0]['id']}"
        page = self.drive(200, "GET", "/v1/sessions?limit=1").json
        self.drive(200, "GET", f"/v1/sessions?cursor={page['next_cursor']}")
        self.drive_refusals("GET", "/v1/sessions")
        self.drive(200, "GET", one)
        self.drive_refusals("GET", one)
        self.drive_refusals("DELETE", one)
        self.drive(200, "DELETE", one)
        for method in ("GET", "DELETE"):
            self.drive(404, method, one)
            self.drive(404, method, "/v1/sessions/x")
        self.drive_failures(port)

    def drive_failures(self, port):
        failures = self.stream(port) + "/failures"
        self.assertEqual(self.drive(200, "GET", failures).json["failures"][0]["reason"], "killed")
        self.drive(404, "GET", self.stream(self.ports[9]) + "/failures")
        self.drive_refusals("GET", failures)
        check = self.stream(port) + ":check"
        self.drive(200, "POST", check)
        self.drive(404, "POST", self.stream(self.ports[9]) + ":check")
        self.drive_refusals("POST", check)
        self.put_ok(port, f"127.0.0.1:{peers.free_port()}")
        self.assertFalse(self.drive(200, "POST", check).json["reachable"])
        self.drive(204, "DELETE", self.stream(port) + "?drain=0")

    def drive_service(self):
        self.drive(200, "GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
        for path in ("/v1/status", "/healthz", "/openapi.json", "/readyz", "/metrics"):
            reply = self.drive(200, "GET", path)
            self.drive_refusals("GET", path)
        tag = self.drive(200, "GET", "/openapi.json").headers["ETag"]
        self.drive(304, "GET", "/openapi.json", headers={"If-None-Match": tag})
        self.drive(412, "GET", "/openapi.json", headers={"If-Match": '"x"'})
        self.service.stop()
        held = self.listener(self.ports[3], "0.0.0.0")
        self.service.start()
        reply = self.drive(503, "GET", "/readyz")
        self.assertEqual(reply.json["not_listening"][0]["port"], self.ports[3])
        self.drive(200, "GET", "/v1/status")
        self.drive(200, "GET", "/v1/streams")
        held.close()

    def drive_drain(self):
        """Last: the service takes no changes after it."""
        self.drive_refusals("POST", "/v1/drain", True)
        self.drive(202, "POST", "/v1/drain", {"timeout": "1m"})
        self.drive(202, "POST", "/v1/drain")
        self.drive(200, "GET", "/v1/status")
        self.drive(200, "GET", "/v1/streams")
        self.drive(503, "GET", "/readyz")
        self.drive(503, "PUT", self.stream(self.ports[2]), {"backend": "a:1"})
        self.drive(503, "DELETE", self.stream(self.ports[2]))

    def drive_legacy(self):
        port = self.ports[4]
        self.drive(200, "GET", f"/createstream/{port}/127.0.0.1:7000")
        self.drive(200, "GET", f"/createstream/{port}/127.0.0.1:7001")
        self.drive(200, "GET", f"/hasstream/{port}")
        self.drive(200, "GET", f"/removestream/{port}")
        self.drive(200, "GET", f"/removestream/{port}")
        for path in ("/createstream/x/a:1", "/removestream/x", "/hasstream/x"):
            self.drive(404, "GET", path)
        for path in ("/status", "/getstreams", "/getfreeport"):
            self.drive(200, "GET", path)

    def test_every_operation_answers_as_the_document_says(self):
        self.drive_streams()
        self.drive_sets()
        self.drive_sessions()
        self.drive_events()
        self.drive_service()
        self.drive_legacy()
        self.drive_drain()
        missing = set()
        for path, verb, operation in self.description.operations():
            for status in operation["responses"]:
                skipped = status in NOT_DRIVEN or (
                    status in SLOW_TO_DRIVE and path != "/readyz") or (
                    status == "400" and "legacy" in operation["tags"])
                if not skipped and (path, verb, status) not in self.description.seen:
                    missing.add((verb, path, status))
        undescribed = {
            entry for entry in self.description.seen
            if entry[2] not in self.description.document["paths"][entry[0]][entry[1]]["responses"]}
        self.assertEqual((missing, undescribed), (set(), set()))

    def filled(self, template):
        return (template.replace("{port}", str(self.port)).replace("{backend}", "a:1")
                .replace("{id}", "1"))

    def test_whoever_may_not_is_answered_as_the_document_says(self):
        def drive_all(status, headers, but=()):
            for template, verb, _ in self.description.operations():
                if template in but:
                    continue
                path = self.filled(template)
                with self.subTest(path=path, verb=verb, status=status):
                    reply = self.service.get(path, verb.upper(), headers)
                    self.assertEqual(reply.status, status, reply.body)
                    self.description.check(verb.upper(), path, None, {}, reply)

        drive_all(403, {"Origin": "http://elsewhere.example"})
        # As from behind a proxy, where nobody is known by the address.
        drive_all(401, {"Via": "1.1 proxy"}, {"/healthz", "/openapi.json"})
        drive_all(401, {"Authorization": "Bearer sc_none"}, {
            template for template in self.description.document["paths"] if template != "/v1/status"})

    def test_the_paths_have_the_methods_that_the_document_says(self):
        for template, item in DOCUMENT["paths"].items():
            path = self.filled(template)
            with self.subTest(path=path):
                allow = self.service.get(path, "OPTIONS").headers["Allow"].split(", ")
                self.assertEqual(set(allow) - ROUTER_METHODS,
                                 {verb.upper() for verb in VERBS if verb in item})

    def test_the_service_hands_out_this_very_document(self):
        self.assertEqual(self.service.get("/openapi.json").json, DOCUMENT)

    def test_a_fault_of_an_answer_would_be_seen(self):
        self.put_ok(self.port)
        reply = self.ask("GET", self.stream(self.port))
        for change in ({"state": "up"}, {"more": 1}, {"port": 0}, {"created_at": "today"}):
            wrong = reply._replace(body=json.dumps({**reply.json, **change}).encode())
            with self.subTest(change=change), self.assertRaises(jsonschema.ValidationError):
                self.description.check("GET", self.stream(self.port), None, {}, wrong)

    def test_the_document_itself_is_whole(self):
        references = set(re.findall(r'"\$ref": ?"#([^"]+)"', json.dumps(DOCUMENT)))
        for reference in references:
            self.description.resolve({"$ref": "#" + reference})
        for kind, entries in DOCUMENT["components"].items():
            if kind != "securitySchemes":
                unused = {name for name in entries
                          if not any(ref.startswith(f"/components/{kind}/{name}")
                                     for ref in references)}
                self.assertLessEqual(unused, {"MethodNotAllowed"}, kind)
        names = [operation["operationId"] for _, _, operation in self.description.operations()]
        self.assertEqual(len(names), len(set(names)))
        for schema in DOCUMENT["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_what_a_method_that_is_not_there_gets_is_described_too(self):
        reply = self.service.get("/v1/status", "DELETE")
        self.assertEqual(reply.status, 405)
        described = DOCUMENT["components"]["responses"]["MethodNotAllowed"]
        schema = described["content"]["application/problem+json"]["schema"]
        self.description.validate(schema, reply.json)
        self.assertEqual(set(described["headers"]), {"X-Request-Id", "Allow"})


if __name__ == "__main__":
    harness.main()
