"""What the log tells of sessions that end, as the settings ask for it."""

import json
import re
import unittest

import harness
import peers


class SessionLog(harness.EndToEnd):
    def begin(self, **flags):
        """A service with a stream that works and one whose backend refuses."""
        self.service = self.start_service(
            10, flags={name.replace("_", "-"): value for name, value in flags.items()})
        self.good = self.service.create(self.service.ports[0], self.backend(peers.echo).address)
        self.refusing = peers.free_port()
        self.bad = self.service.create(self.service.ports[1], f"127.0.0.1:{self.refusing}")

    def visit(self):
        with peers.connect(self.good) as client:
            client.sendall(b"hello")
            self.assertEqual(peers.read_exactly(client, 5), b"hello")
            client.shutdown(peers.socket.SHUT_WR)
            self.assertEqual(peers.read_all(client), b"")
        with self.assertRaises(ConnectionError), peers.connect(self.bad) as client:
            client.recv(1)

    def ended(self):
        self.service.stop()
        lines = map(harness.parse_line, self.service.lines)
        return {line.fields["reason"]: line for line in lines if line.sentence == "session ended"}

    def test_failed_sessions_alone_have_a_line_by_default(self):
        self.begin()
        self.visit()
        ended = self.ended()
        self.assertEqual(ended.keys(), {"backend_refused"})
        line = ended["backend_refused"]
        self.assertEqual(line.level, "warning")
        self.assertEqual(
            {name: line.fields[name] for name in ("port", "fault", "phase", "error")},
            {"port": str(self.bad), "fault": "backend", "phase": "connect",
             "error": "ECONNREFUSED"})
        self.assertRegex(line.fields["message"], rf"^backend 127\.0\.0\.1:{self.refusing} refused")

    def test_all_of_them_have_one_where_that_is_asked_for(self):
        self.begin(log_sessions="all")
        self.visit()
        line = self.ended()["finished"]
        self.assertEqual(line.level, "info")
        self.assertEqual(
            {name: line.fields[name] for name in ("port", "fault", "phase", "bytes_in",
                                                  "bytes_out")},
            {"port": str(self.good), "fault": "nobody", "phase": "close", "bytes_in": "5",
             "bytes_out": "5"})
        times = [float(line.fields[name]) for name in ("connect_ms", "first_byte_ms",
                                                       "duration_ms")]
        self.assertEqual(times, sorted(times))

    def test_none_has_one_where_that_is_asked_for(self):
        self.begin(log_sessions="none")
        self.visit()
        self.assertEqual(self.ended(), {})

    def test_json_lines_are_an_object_each_from_the_first_to_the_last(self):
        self.begin(log_format="json")
        self.visit()
        self.assertEqual(self.ended().keys(), {"backend_refused"})
        for text in self.service.lines:
            line = json.loads(text)
            self.assertEqual(list(line), ["time", "level", "message", "fields"])
            self.assertRegex(line["time"], re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"))
        self.assertEqual(json.loads(self.service.lines[-1])["message"], "stopped")


if __name__ == "__main__":
    unittest.main(verbosity=2)
