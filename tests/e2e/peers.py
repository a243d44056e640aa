"""The two ends of a stream: TCP backends that run a function, and what a client does."""

import os
import queue
import random
import socket
import struct
import threading
import time

from waiting import SLOWNESS

PATIENCE = 30 * SLOWNESS  # seconds; a blocking call that takes longer has failed


class Backend:
    """A TCP server with a thread for each client, which runs `serve(socket)`.

    What `serve` returns or raises comes out of result(), in the order in which they end.
    """

    def __init__(self, serve, host="127.0.0.1", port=0, listen=True):
        self.serve = serve
        self.listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
        self.host, self.port = host, self.listener.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.clients = 0
        self._results = queue.Queue()
        self._open = {}
        self._lock = threading.Lock()
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        if listen:
            self._acceptor.start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(PATIENCE)
            thread = threading.Thread(target=self._run, args=(client,), daemon=True)
            with self._lock:
                self.clients += 1
                self._open[client] = thread
            thread.start()

    def _run(self, client):
        try:
            outcome = (self.serve(client), None)
        except Exception as error:  # pylint: disable=broad-except
            outcome = (None, error)
        client.close()
        with self._lock:
            self._open.pop(client, None)
            if not self._closing:
                self._results.put(outcome)

    def result(self, seconds=PATIENCE):
        try:
            value, error = self._results.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"the backend has no result after {seconds:g} s") from None
        if error:
            raise error
        return value

    def close(self):
        """Ends all that still runs; AssertionErrors that nobody asked for come out here."""
        with self._lock:
            self._closing = True
            rest = list(self._open.items())
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close does not
        except OSError:
            pass
        self.listener.close()
        for client, _ in rest:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in [self._acceptor] + [thread for _, thread in rest]:
            if thread.ident:
                thread.join(PATIENCE)
                assert not thread.is_alive(), "a thread of the backend does not end"
        while not self._results.empty():
            _, error = self._results.get()
            if isinstance(error, AssertionError):
                raise error


def echo(client):
    """Sends back what it gets until the client's end."""
    while chunk := client.recv(65536):
        client.sendall(chunk)


def says(text):
    """A backend that says who it is and ends."""

    def serve(client):
        client.sendall(text)

    return serve


def drips(text, piece, pause):
    """A backend that waits for a byte, then sends in small pieces, with a pause of seconds after each."""

    def serve(client):
        read_exactly(client, 1)
        for at in range(0, len(text), piece):
            client.sendall(text[at:at + piece])
            time.sleep(pause)

    return serve


def greets_then_echoes(text):
    def serve(client):
        client.sendall(text)
        echo(client)

    return serve


def read_exactly(sock, count):
    parts = []
    while count > 0:
        chunk = sock.recv(min(count, 1 << 20))
        if not chunk:
            raise AssertionError(f"the end came {count} bytes early")
        parts.append(chunk)
        count -= len(chunk)
    return b"".join(parts)


def read_all(sock):
    parts = []
    while chunk := sock.recv(1 << 20):
        parts.append(chunk)
    return b"".join(parts)


def reset(sock):
    """Closes with an RST in place of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def connect(port, host="127.0.0.1"):
    sock = socket.create_connection((host, port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def accepts(port, host="127.0.0.1"):
    """Does somebody listen there? Whether the session gets any further is another matter."""
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
        return True
    except ConnectionResetError:  # connected, and its backend refused
        return True
    except ConnectionRefusedError:
        return False


def has_ipv6_loopback():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


LANES = 4  # of 1,000 ports at least
_lanes = {}  # by network namespace
_given = set()
_random = random.Random()


def _is_free(port):
    for family, host in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                # As the service does; else sessions of the test before, in TIME_WAIT, count.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((host, port))
                sock.listen(1)
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in (97, 99):  # no IPv6 on this host
                continue
            return False
    return True


def _lane():
    """A part of the ports which no other program of the tests takes while this one runs.

    None where all are taken. A network namespace has lanes of its own.
    """
    network = os.stat("/proc/thread-self/ns/net").st_ino
    if network not in _lanes:
        for lane in range(LANES):
            holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                holder.bind(f"\0stream-conductor-tests-ports-{lane}")
            except OSError:
                holder.close()
            else:
                _lanes[network] = lane, holder  # until the program ends
                break
        else:
            _lanes[network] = None, None
    return _lanes[network][0]


def free_ports(count):
    """The first of `count` consecutive ports that nobody has, below the ephemeral range."""
    # Many small ranges would leave no gap for a large one.
    low, high = (10000, 27000) if count < 500 else (27000, 32700)
    lane = _lane()
    if lane is not None:
        part = (high - low) // LANES
        low, high = low + lane * part, low + (lane + 1) * part
    for attempt in range(2000):
        if attempt == 1000:
            _given.clear()  # those that are in use are seen to be
        first = _random.randrange(low, high - count)
        ports = range(first, first + count)
        if _given.isdisjoint(ports) and all(_is_free(port) for port in ports):
            _given.update(ports)
            return first
    raise AssertionError(f"no {count} consecutive ports are free")


def free_port():
    return free_ports(1)


def host_address():
    """An address of this host which is not loopback, or nothing; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = sock.getsockname()[0]
    return None if address.startswith("127.") else address
