#!/usr/bin/env python3
"""What was acknowledged is on the disk when the power goes: copies of it at random moments tell.

A process that is stopped has written what it has written; of that a disk is sure to hold what was
synced. SQLite counts a frame of the -wal in the -shm once it is synced (wal.c, walIndexWriteHdr(),
after the sync of `synchronous = FULL`): whatever lies behind may be missing, torn or anything.
"""

import collections
import http.client
import json
import random
import shutil
import signal
import struct
import threading
import time
import unittest

import harness
import peers
from waiting import wait_until

CLIENTS = 4
PORTS_EACH = 8
COPIES = 12
WAL_HEADER = 32  # bytes, https://sqlite.org/fileformat2.html#the_write_ahead_log
FRAME_HEADER = 24

# What a stream was told to be, or None for none; `acknowledged` is the time of the answer.
Step = collections.namedtuple("Step", "backend begun acknowledged")


class Load(threading.Thread):
    """Creates, changes and removes the streams of its ports and notes when what was answered."""

    def __init__(self, service, ports, seed):
        super().__init__(daemon=True)
        self.service, self.random = service, random.Random(seed)
        self.steps = {port: [Step(None, 0, 0)] for port in ports}
        self.ending = threading.Event()
        self.fault = None

    def run(self):
        try:
            while not self.ending.is_set():
                self.step(self.random.choice(list(self.steps)))
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.fault = error

    def step(self, port):
        steps = self.steps[port]
        # Not an address of this host: the port of a stream would make a ring.
        backend = f"192.0.2.1:{self.random.randrange(2000, 30000)}"
        if steps[-1].backend and self.random.random() < 0.3:
            backend = None
        steps.append(Step(backend, time.monotonic(), None))
        path = f"/v1/streams/{port}"
        if backend:
            reply = self.service.get(path, "PUT", {"Content-Type": "application/json"},
                                     json.dumps({"backend": backend}))
        else:
            reply = self.service.get(path + "?drain=0", "DELETE")
        assert reply.status in (200, 201, 204), reply
        steps[-1] = steps[-1]._replace(acknowledged=time.monotonic())

    def possible(self, before, after):
        """What each port's stream may be on a disk that was cut off between the two times."""
        found = {}
        for port, steps in self.steps.items():
            sure = max(at for at, step in enumerate(steps)
                       if step.acknowledged is not None and step.acknowledged < before)
            found[port] = {step.backend for step in steps[sure:] if step.begun < after}
        return found


class Copy:
    """The database as it was at a moment, and what may be in it."""

    def __init__(self, service, folder, loads):
        self.folder = folder
        before = time.monotonic()
        service.kill(signal.SIGSTOP)
        try:
            wait_until(lambda: self._is_stopped(service.pid), 10, "it stands still")
            folder.mkdir(mode=0o700)
            for suffix in ("", "-wal"):
                shutil.copy2(f"{service.database}{suffix}", folder)
            with open(f"{service.database}-shm", "rb") as index:
                self.index = index.read(48)
        finally:
            service.kill(signal.SIGCONT)
        self.loads = loads
        self.times = before, time.monotonic()

    @staticmethod
    def _is_stopped(pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"

    def possible(self):
        return {port: backends for load in self.loads
                for port, backends in load.possible(*self.times).items()}

    def spoil(self, chance):
        """What no sync has made sure of becomes what a disk may make of it. Was there anything?"""
        path = harness.database_of(self.folder)
        wal = path.with_name(path.name + "-wal")
        data = wal.read_bytes()
        page, frames = struct.unpack_from("=HI", self.index, 14)
        # Else the log begins anew, and the frames that are there are in the database for sure.
        if data[16:24] != self.index[32:40]:
            return False
        end = WAL_HEADER + frames * (FRAME_HEADER + (65536 if page == 1 else page))
        assert WAL_HEADER <= end <= len(data), (frames, page, len(data))
        size = chance.randrange(4 * (FRAME_HEADER + page))
        tail = data[end:end + size]
        kind = chance.choice(("missing", "torn", "noise", "zeros"))
        if kind == "torn":
            tail = tail[:len(tail) // 2] + chance.randbytes(len(tail) - len(tail) // 2)
        elif kind == "noise":
            tail = chance.randbytes(size)
        elif kind == "zeros":
            tail = bytes(size)
        wal.write_bytes(data[:end] + tail)
        return True


class PowerLoss(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.random = random.Random(22)
        self.service = self.start_service(CLIENTS * PORTS_EACH)

    def copies_under_load(self):
        loads = [Load(self.service, self.service.ports[turn::CLIENTS], turn)
                 for turn in range(CLIENTS)]
        for load in loads:
            load.start()
        copies = []
        for number in range(COPIES):
            time.sleep(self.random.uniform(0.01, 0.25))  # the moment is what is random here
            copies.append(Copy(self.service, self.dir / f"copy-{number}", loads))
        for load in loads:
            load.ending.set()
            load.join(peers.PATIENCE)
            self.assertIsNone(load.fault)
        self.service.stop()  # its ports are those of the copies
        return copies

    def check(self, copy):
        """The service starts on it, and has what was acknowledged and nothing that was removed."""
        service = self.make_service(state=copy.folder, first_port=self.service.ports[0],
                                    port_count=len(self.service.ports))
        service.start()
        self.assertEqual(service.sql("PRAGMA integrity_check"), [("ok",)])
        streams = service.streams()
        for port, backends in copy.possible().items():
            self.assertIn(streams.get(port), backends, f"port {port}\n{service.log()}")
        for port in streams:
            self.assertTrue(peers.accepts(port), f"{port} is listed and not open")
        service.kill9()
        return len(streams)

    def test_every_copy_has_what_was_acknowledged_and_nothing_that_was_removed(self):
        copies = self.copies_under_load()
        spoilt = 0
        for number, copy in enumerate(copies):
            with self.subTest(copy=number):
                torn = self.dir / f"torn-{number}"
                shutil.copytree(copy.folder, torn)
                self.check(copy)
                copy.folder = torn
                spoilt += copy.spoil(self.random)
                self.check(copy)
        self.assertGreater(spoilt, COPIES // 2)
        steps = sum(len(steps) for load in copies[0].loads for steps in load.steps.values())
        self.assertGreater(steps, 100)


if __name__ == "__main__":
    harness.main()
