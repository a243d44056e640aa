"""What the log tells of sessions that end, as the settings ask for it."""

import fcntl
import json
import os
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

    PAGE = 4096

    def fill_log(self):
        """Nobody reads the log, and more lines are written than the pipe and our reader hold."""
        self.begin(workers=2)
        fcntl.fcntl(self.service.process.stderr, fcntl.F_SETPIPE_SZ, self.PAGE)
        self.addCleanup(self.service.takes_log.set)
        self.service.takes_log.clear()
        for _ in range(150):  # of about 400 bytes each
            with self.assertRaises(ConnectionError), peers.connect(self.bad) as client:
                client.recv(1)

    def test_a_reader_who_takes_no_lines_holds_up_no_session_and_no_answer(self):
        self.fill_log()
        for _ in range(8):  # on both workers
            client = self.client(self.good)
            client.sendall(b"hello")
            self.assertEqual(peers.read_exactly(client, 5), b"hello")
        self.assertEqual(self.service.get("/v1/status").status, 200)
        self.service.create(self.service.ports[2], "127.0.0.1:9")  # which is logged
        self.assertLess(self.service.log().count("session ended"), 150)
        self.service.takes_log.set()
        self.service.wait_for_line("stream created", port=str(self.service.ports[2]))
        self.assertEqual(self.service.log().count("session ended"), 150)

    @unittest.skipIf(os.environ.get("SC_SANITIZE") == "thread", "ThreadSanitizer's _exit flushes stderr")
    def test_a_reader_who_takes_no_lines_holds_up_no_stop(self):
        self.fill_log()
        self.service.kill(harness.signal.SIGTERM)
        code = self.service.process.wait(timeout=10 * harness.SLOWNESS)
        self.assertEqual(code, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
