"""What tools/soak does to a stream-conductor: each an activity that takes turns, at a bounded rate.

A turn looks at what it can: bytes, ends, and what the API said. An exception of its is a failure.
"""

import random
import socket
import threading

import launch
import peers

MOST_FAILURES = 20  # then the rest would tell nothing more
MOST_BYTES = 200_000  # of a message, which no socket buffer takes at once
GREETING = b"here"
SEED = 5  # the same bytes in each run
END_SECONDS = 150  # a turn is over by then: launch.Load.finish and peers.PATIENCE


class Activity:
    """`turn` gives how many sessions it had; a thread of its own for each activity."""

    name = ""
    pause = 0.1  # seconds between two turns

    def __init__(self, soak):
        self.soak = soak
        self.service, self.load = soak.service, soak.load
        self.random = random.Random(SEED)
        self.turns = self.sessions = 0

    def turn(self):
        raise NotImplementedError

    def close(self):
        pass

    def text(self):
        return self.random.randbytes(self.random.randrange(1, MOST_BYTES))


class Bulk(Activity):
    SESSIONS = 4
    BYTES = 16_000_003  # of each session, no multiple of any buffer

    def __init__(self, soak, direction, kind):
        super().__init__(soak)
        self.name = f"bulk {direction}"
        self.direction = direction
        self.port = soak.create(soak.load.ports[kind])

    def turn(self):
        found = self.load.run("bulk", self.port, direction=self.direction, sessions=self.SESSIONS,
                              bytes=self.BYTES, verify=True)
        assert found["bytes"] == self.SESSIONS * self.BYTES, f"{found['bytes']} bytes arrived"
        return self.SESSIONS


class PingPong(Activity):
    name = "ping-pong"
    SIZES = (1, 64, 4096, 50_000)
    SESSIONS = 50
    SECONDS = 0.5

    def __init__(self, soak):
        super().__init__(soak)
        self.port = soak.create(soak.load.ports["echo"])

    def turn(self):
        size = self.SIZES[self.turns % len(self.SIZES)]
        self.load.run("ping-pong", self.port, size=size, sessions=self.SESSIONS, seconds=self.SECONDS)
        return self.SESSIONS


class Connect(Activity):
    name = "connect, request, reply, close"
    pause = 0.3
    SECONDS = 0.2

    def __init__(self, soak):
        super().__init__(soak)
        self.port = soak.create(soak.load.ports["echo"])

    def turn(self):
        return self.load.run("connect", self.port, size=64, concurrency=8,
                             seconds=self.SECONDS)["started"]


class OwnBackend(Activity):
    """With a backend in this process, which runs `serve`."""

    def __init__(self, soak):
        super().__init__(soak)
        self.backend = peers.Backend(self.serve)
        self.port = soak.create(self.backend.port)

    def serve(self, client):
        raise NotImplementedError

    def close(self):
        self.backend.close()


class ClientHalfCloses(OwnBackend):
    name = "half-close by the client"

    def serve(self, client):
        client.sendall(peers.read_all(client)[::-1])

    def turn(self):
        text = self.text()
        with peers.connect(self.port) as sock:
            sock.sendall(text)
            sock.shutdown(socket.SHUT_WR)
            assert peers.read_all(sock) == text[::-1], "wrong bytes after a half-close"
        self.backend.result()
        return 1


class BackendHalfCloses(OwnBackend):
    name = "half-close by the backend"

    def serve(self, client):
        client.sendall(self.told)
        client.shutdown(socket.SHUT_WR)
        return peers.read_all(client)

    def turn(self):
        self.told = self.text()
        answer = self.text()
        with peers.connect(self.port) as sock:
            assert peers.read_all(sock) == self.told, "wrong bytes before a half-close"
            sock.sendall(answer)
        assert self.backend.result() == answer, "wrong bytes after a half-close"
        return 1


class ClientResets(OwnBackend):
    name = "reset by the client"

    def serve(self, client):
        client.sendall(GREETING)
        try:
            peers.read_all(client)
        except ConnectionResetError:
            return "reset"
        return "end"

    def turn(self):
        sock = peers.connect(self.port)
        try:
            assert peers.read_exactly(sock, len(GREETING)) == GREETING, "wrong bytes"
            sock.sendall(self.text())
        finally:
            peers.reset(sock)
        assert self.backend.result() == "reset", "a client's reset came as an orderly end"
        return 1


class BackendResets(OwnBackend):
    name = "reset by the backend"

    def serve(self, client):
        peers.read_exactly(client, len(GREETING))
        peers.reset(client)

    def turn(self):
        with peers.connect(self.port) as sock:
            sock.sendall(GREETING)
            assert_reset(sock, "a backend's reset")
        self.backend.result()
        return 1


class Refused(Activity):
    name = "backend that refuses"

    def __init__(self, soak):
        super().__init__(soak)
        self.port = soak.create(peers.free_port())  # where nobody listens

    def turn(self):
        try:
            sock = peers.connect(self.port)
        except ConnectionResetError:
            return 1
        with sock:
            assert_reset(sock, "a backend that refuses")
        return 1


def assert_reset(sock, what):
    try:
        got = sock.recv(1)
    except ConnectionResetError:
        return
    raise AssertionError(f"{what} came as {'bytes' if got else 'an orderly end'}")


class Api(Activity):
    """Creates a stream, uses it, and removes it under a session that runs."""

    name = "create, use, remove"
    pause = 0.2

    def turn(self):
        port = self.random.choice(self.soak.spare_ports)
        self.service.create(port, f"localhost:{self.load.ports['echo']}")  # a name to look up
        with peers.connect(port) as sock:
            self.exchange(sock)
            self.service.remove(port)
            assert not peers.accepts(port), "the port of a removed stream accepts"
            self.exchange(sock)
        assert self.service.get(f"/hasstream/{port}").json == {"result": "false"}
        answer = self.service.get(f"/createstream/1/localhost:{self.load.ports['echo']}").json
        assert answer["result"] == "error", "a port outside of the range is let in"
        return 1

    def exchange(self, sock):
        text = self.random.randbytes(1000)
        sock.sendall(text)
        assert peers.read_exactly(sock, len(text)) == text, "wrong bytes"


def make_all(soak):
    return [Bulk(soak, "up", "sink"), Bulk(soak, "down", "source"), PingPong(soak), Connect(soak),
            ClientHalfCloses(soak), BackendHalfCloses(soak), ClientResets(soak), BackendResets(soak),
            Refused(soak), Api(soak)]


class Run:
    """All activities at once, until they are told to end or too much went wrong."""

    def __init__(self, activities):
        self.failures = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(each,), name=each.name)
                         for each in activities]
        for thread in self._threads:
            thread.start()

    def _repeat(self, activity):
        while not self._stop.wait(activity.pause):
            try:
                activity.sessions += activity.turn()
                activity.turns += 1
            except Exception as error:  # pylint: disable=broad-except
                self.failures.append(f"{activity.name}: {type(error).__name__}: {error}")
                if len(self.failures) >= MOST_FAILURES:
                    self._stop.set()

    def wait(self, seconds):
        """False once there is no use in going on."""
        return not self._stop.wait(seconds)

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(END_SECONDS)
            if thread.is_alive():
                raise launch.Failed(f"{thread.name} does not end")
        return self.failures
