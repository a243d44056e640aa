"""Asks the API of v1 as curl would: JSON in, JSON out, what a test wants to say of the answer."""

import http.client
import json

import harness
import peers

PROBLEM = "urn:stream-conductor:problem:"


class V1Test(harness.EndToEnd):
    """A service, `self.service`, and its ten ports, `self.ports`."""

    flags = {}

    def setUp(self):
        super().setUp()
        self.service = self.start_service(10, flags=dict(self.flags))
        self.ports = self.service.ports
        self.port = self.ports[0]

    def ask(self, method, path, value=None, headers=None, raw=None):
        """The value goes as JSON; `raw` are the body's bytes as they are."""
        sent = dict(headers or {})
        body = raw
        if value is not None:
            body = json.dumps(value).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.service.get(path, method, {k: v for k, v in sent.items() if v is not None}, body)

    def stream(self, port):
        return f"/v1/streams/{port}"

    def put(self, port, backend="127.0.0.1:7000", headers=None, **fields):
        return self.ask("PUT", self.stream(port), {"backend": str(backend), **fields}, headers)

    def put_ok(self, port, backend="127.0.0.1:7000", **fields):
        reply = self.put(port, backend, **fields)
        self.assertIn(reply.status, (200, 201), reply.json)
        return reply

    def listed(self, query=""):
        reply = self.ask("GET", "/v1/streams" + query)
        self.assertEqual(reply.status, 200, reply.json)
        return {stream["port"]: stream["backend"] for stream in reply.json["streams"]}

    def events(self, query=""):
        reply = self.ask("GET", "/v1/history" + query)
        self.assertEqual(reply.status, 200, reply.json)
        return reply.json["events"]

    def assert_problem(self, reply, status, name, *parts, pointer=None):
        """A problem of that type, whose detail has all the parts."""
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.headers["Content-Type"], "application/problem+json")
        self.assertEqual(reply.json["type"], PROBLEM + name, reply.json)
        self.assertEqual(reply.json["status"], status)
        self.assertEqual(reply.json["request_id"], reply.headers["X-Request-Id"])
        for part in parts:
            self.assertIn(str(part), reply.json["detail"])
        if pointer is not None:
            self.assertEqual(reply.json["pointer"], pointer, reply.json)
            self.assertEqual(reply.json["errors"][0]["pointer"], pointer)

    def connection(self):
        client = http.client.HTTPConnection(
            self.service.api_host, self.service.api_port, timeout=peers.PATIENCE
        )
        self.addCleanup(client.close)
        return client
