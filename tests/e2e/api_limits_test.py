#!/usr/bin/env python3
"""What clients of the API can make the service hold: memory and places."""

import json
import socket
import unittest

import harness
import peers

MIB = 1 << 20
SENDERS = 440
READERS = 500
STREAMS = 1000
FIRST = 9000  # of streams that do not listen
# src/http/server.h: the budget of bodies and answers; and what the heads, the connections and the
# allocator take besides.
MOST = (32 + 24) * MIB


def memory(service, name="VmHWM"):
    with open(f"/proc/{service.pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines[name].split()[0]) * 1024


class Memory(harness.EndToEnd):
    def connect(self, service, count, receive_buffer=None):
        socks = []
        for _ in range(count):
            sock = socket.socket()
            self.addCleanup(sock.close)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(peers.PATIENCE)
            sock.connect(("127.0.0.1", service.api_port))
            socks.append(sock)
        return socks

    def send_bodies(self, service, headers=""):
        """All but the last byte of 1 MiB each; gives what was answered."""
        head = (f"PUT /v1/streams/{service.ports[0]} HTTP/1.1\r\nHost: localhost\r\n{headers}"
                f"Content-Type: application/json\r\nContent-Length: {MIB}\r\n\r\n").encode()
        socks = self.connect(service, SENDERS)
        for sock in socks:
            sock.settimeout(0.5)
            try:
                sock.sendall(head + b" " * (MIB - 1))
            except OSError:  # refused, or nobody reads it
                pass
        answers = []
        for sock in socks:
            sock.settimeout(peers.PATIENCE)
            try:
                answers.append(sock.recv(12)[9:])
            except ConnectionResetError:
                answers.append(b"reset")
        return answers

    def test_bodies_without_a_token_cost_no_memory(self):
        service = self.start_service(flags={"api-auth": "always"})
        before = memory(service)
        answers = self.send_bodies(service)
        grown = memory(service) - before
        print(f"RSS {before / MIB:.0f} MiB, {SENDERS} bodies without a token: +{grown / MIB:.1f} MiB")
        self.assertEqual(set(answers), {b"401"})
        self.assertLess(grown, 16 * MIB)

    def test_slow_readers_of_long_lists_share_a_budget(self):
        service = self.start_service(flags={"port-range": f"{FIRST}-{FIRST + STREAMS - 1}"})
        streams = [{"port": FIRST + number, "backend": "backend.example:80", "enabled": False,
                    "note": "n" * 500} for number in range(STREAMS)]
        done = service.get("/v1/streams:apply", "POST", {"Content-Type": "application/json"},
                           json.dumps({"streams": streams}))
        self.assertEqual(done.status, 200, done)
        before = memory(service)
        for path in ("/v1/streams", "/v1/history?limit=1000"):
            socks = self.connect(service, READERS, 4096)
            for sock in socks:
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            service.get(path)  # answered after all of them
            grown = memory(service) - before
            print(f"RSS {before / MIB:.0f} MiB, {READERS} slow readers of {path}: "
                  f"+{grown / MIB:.1f} MiB")
            self.assertLess(grown, MOST)
            for sock in socks:
                sock.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
