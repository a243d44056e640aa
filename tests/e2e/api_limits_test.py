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
FEW = 1024  # descriptors
KEPT = 40  # places of the API for this host then, see places_for_api() in src/part_options.cc
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


class Descriptors(harness.EndToEnd):
    def test_the_api_has_descriptors_where_streams_and_other_hosts_took_all_of_theirs(self):
        address = peers.host_address()
        if not address:
            self.skipTest("the host has the loopback addresses alone")
        echo = self.backend(peers.echo)
        service = self.make_service(flags={"bind-address": "0.0.0.0"})
        service.prefix = ["prlimit", f"--nofile={FEW}:{FEW}"]
        service.start()
        service.api_host = "127.0.0.1"
        port = service.create(service.ports[0], echo.address)
        clients = []
        self.addCleanup(lambda: [client.close() for client in clients])
        # Each has bytes on their way, so that it takes a pipe as well.
        while not any("clients wait for room" in line for line in list(service.lines)):
            client = socket.create_connection(("127.0.0.1", port), peers.PATIENCE)
            clients.append(client)
            client.sendall(b"x" * 20000)
            self.assertLess(len(clients), FEW)
        for _ in range(FEW // 2):  # more than the API has places
            other = socket.create_connection((address, service.api_port), peers.PATIENCE)
            clients.append(other)
            try:
                other.sendall(b"GET /st")
            except OSError:  # closed at once
                pass
        for _ in range(KEPT):
            own = peers.connect(service.api_port)
            clients.append(own)
            own.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(own.recv(12), b"HTTP/1.1 200")
        self.assertNotIn("EMFILE", service.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
