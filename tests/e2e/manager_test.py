#!/usr/bin/env python3
"""The stand-in for the service manager keeps descriptors as systemd does, and gives them back."""

import os
import signal
import socket
import sys
import tempfile
import unittest

import manager

# Says what it was passed, then does what a line of its first listener's client tells it.
CHILD = r"""
import os, socket, sys
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
assert int(os.environ["LISTEN_PID"]) == os.getpid()
names = os.environ["LISTEN_FDNAMES"].split(":")
assert len(names) == int(os.environ["LISTEN_FDS"])
api = socket.socket(fileno=3)
def store(name, *fds, more="\nFDPOLL=0"):
    socket.send_fds(notify, [f"FDSTORE=1\nFDNAME={name}{more}".encode()], fds)
def pipe(text):
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    return reader
def barrier():
    reader, writer = os.pipe()
    socket.send_fds(notify, [b"BARRIER=1"], [writer])
    os.close(writer)
    assert os.read(reader, 1) == b""
notify.send(b"READY=1\nSTATUS=" + " ".join(names).encode())
while True:
    client, _ = api.accept()
    answer = eval(client.recv(65536).decode())
    client.sendall(repr(answer).encode())
    client.close()
"""


class Managed(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sc-e2e-")
        self.addCleanup(folder.cleanup)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.before = len(os.listdir("/proc/self/fd"))
        self.manager = manager.Manager(folder.name, most=4, listeners=[("api", self.listener)])
        self.addCleanup(self.check_descriptors)
        self.addCleanup(self.manager.close)
        self.start()

    def check_descriptors(self):
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.before)

    def start(self):
        if self.manager.child:
            self.manager.child.stderr.close()
        self.manager.start([sys.executable, "-c", CHILD])
        self.manager.wait_ready()

    def ask(self, expression):
        """What the child makes of it, once the manager has taken in what it said."""
        with socket.create_connection(self.listener.getsockname(), timeout=20) as sock:
            sock.sendall(expression.encode())
            answer = sock.makefile().read()
        self.manager.settle()
        return answer

    def test_what_is_stored_comes_back_by_name_and_with_its_bytes(self):
        self.ask("store('left', pipe('kept'))")
        self.assertEqual(self.manager.end(), -signal.SIGKILL)
        self.start()
        self.assertEqual(self.manager.status, "api left")
        self.assertEqual(self.ask("os.read(4, 10)"), "b'kept'")
        self.assertGreater(self.manager.ready_after, 0)

    def test_many_names_come_back_in_their_order(self):
        self.ask("[store(name, pipe(name)) for name in 'abcd']")
        self.manager.end()
        self.start()
        self.assertEqual(self.ask("[os.read(4 + at, 9) for at in range(4)]"),
                         "[b'a', b'b', b'c', b'd']")

    def test_more_than_the_maximum_are_refused_and_closed(self):
        self.ask("[store('x', pipe('')) for _ in range(6)]")
        self.assertEqual((self.manager.stored(), self.manager.refused), (4, 2))

    def test_the_same_descriptor_is_stored_once(self):
        self.ask("[store(name, 3) for name in ('one', 'two')]")
        self.assertEqual(self.manager.names(), {"one": 1})

    def test_all_of_a_name_are_removed(self):
        self.ask("[store(name, pipe('')) for name in ('a', 'b', 'a')]")
        self.ask("notify.send(b'FDSTOREREMOVE=1\\nFDNAME=a')")
        self.assertEqual(self.manager.names(), {"b": 1})

    def test_a_barrier_is_answered_after_all_before_it(self):
        self.ask("[store('x', pipe('')), barrier()]")
        self.assertEqual(self.manager.stored(), 1)

    def test_what_would_be_polled_is_told(self):
        self.ask("store('x', pipe(''), more='')")
        self.assertEqual(self.manager.polled, 1)

    def test_a_stop_drops_the_store(self):
        self.ask("store('x', pipe(''))")
        self.manager.end()
        self.manager.drop_store()
        self.start()
        self.assertEqual(self.manager.status, "api")

    def test_a_child_that_ends_before_it_is_ready_is_told(self):
        self.manager.end()
        self.manager.child.stderr.close()
        self.manager.start(["/bin/false"])
        with self.assertRaisesRegex(AssertionError, "ended with 1 before READY"):
            self.manager.wait_ready()


if __name__ == "__main__":
    unittest.main(verbosity=2)
