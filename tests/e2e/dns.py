"""A DNS server that answers as a test has it, and namespaces in which it can be the host's."""

import collections
import ctypes
import os
import pathlib
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

A, AAAA = 1, 28
SILENT = "silent"
INSIDE = "SC_NAMES_INSIDE"
MS_BIND = 4096  # mount(2)


def run_in_namespaces():
    """Runs this program again with a network and a mount table of its own; True inside of them."""
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return True
    done = subprocess.run(["unshare", "--net", "--mount", sys.executable, *sys.argv],
                          env={**os.environ, INSIDE: "1"}, check=False)
    sys.exit(done.returncode)


class HostFile:
    """A file of the test's, mounted over one of the host's in this mount namespace."""

    def __init__(self, target, text=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sc-names-"))
        self.path = self.folder / "file"
        self.path.write_text(text, encoding="ascii")
        self.path.chmod(0o644)
        self.target = target
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(os.fsencode(self.path), os.fsencode(target), None, MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"mount over {target}")

    def write(self, text):
        self.path.write_text(text, encoding="ascii")

    def close(self):
        ctypes.CDLL(None).umount2(os.fsencode(self.target), 2)
        shutil.rmtree(self.folder)


def _name(wire, at):
    labels = []
    while wire[at]:
        labels.append(wire[at + 1:at + 1 + wire[at]].decode("ascii").lower())
        at += 1 + wire[at]
    return ".".join(labels), at + 1


class DnsServer:
    """Answers by UDP. `answers` maps (name, type) to (addresses, ttl, delay) or SILENT.

    A type that is missing gets NODATA, a name that is missing NXDOMAIN.
    """

    def __init__(self, ip="127.0.0.1"):
        self.answers = {}
        self.asked = collections.Counter()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind((ip, 53))
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def set(self, name, addresses, ttl=60, delay=0.0, kind=A):
        self.answers[name, kind] = (addresses, ttl, delay)

    def silence(self, name):
        self.answers[name, A] = self.answers[name, AAAA] = SILENT

    def forget(self, name):
        self.answers.pop((name, A), None)
        self.answers.pop((name, AAAA), None)

    def _serve(self):
        late = []
        while True:
            now = time.monotonic()
            for due, reply, client in [each for each in late if each[0] <= now]:
                self.sock.sendto(reply, client)
            late = [each for each in late if each[0] > now]
            wait = min((due for due, _, _ in late), default=None)
            ready, _, _ = select.select([self.sock, self._stop_read], [], [],
                                        None if wait is None else max(wait - now, 0))
            if self._stop_read in ready:
                return
            if self.sock not in ready:
                continue
            query, client = self.sock.recvfrom(1500)
            reply, delay = self._reply(query)
            if reply is not None:
                late.append((time.monotonic() + delay, reply, client))

    def _reply(self, query):
        name, at = _name(query, 12)
        kind = struct.unpack_from("!H", query, at)[0]
        self.asked[name, kind] += 1
        answer = self.answers.get((name, kind))
        if answer == SILENT:
            return None, 0
        question = query[12:at + 4]
        is_known = any((name, each) in self.answers for each in (A, AAAA))
        addresses, ttl, delay = answer or ([], 0, 0)
        family = socket.AF_INET if kind == A else socket.AF_INET6
        records = b"".join(
            struct.pack("!HHHIH", 0xc00c, kind, 1, ttl, len(packed)) + packed
            for packed in (socket.inet_pton(family, address) for address in addresses))
        flags = 0x8180 | (0 if is_known else 3)
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0)
        return head + question + records, delay

    def close(self):
        os.write(self._stop_write, b"x")
        self._thread.join(10)
        self.sock.close()
        os.close(self._stop_read)
        os.close(self._stop_write)
