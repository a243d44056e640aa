"""What a test of a verifying load needs: something between the ends that is wrong in one place."""

import socket
import threading


class SpoilingRelay:
    """Leads one client to a port and gives `spoil` the bytes around a position, each way."""

    def __init__(self, target, spoil, spoilt_at):
        self.spoil = spoil
        self.spoilt_at = spoilt_at
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = target
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self):
        client, _ = self.listener.accept()
        backend = socket.create_connection(("127.0.0.1", self.target))
        pumps = [threading.Thread(target=self._pump, args=ends)
                 for ends in ((client, backend), (backend, client))]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        client.close()
        backend.close()

    def _pump(self, source, sink):
        position = 0
        try:
            while chunk := source.recv(65536):
                at = self.spoilt_at - position
                position += len(chunk)
                sink.sendall(self.spoil(chunk, at) if 0 <= at < len(chunk) else chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.threads[0].join(20)
        self.listener.close()


def changed(chunk, at):
    """Not a flipped bit: an echo comes by twice."""
    return chunk[:at] + bytes([(chunk[at] + 1) % 256]) + chunk[at + 1:]


def moved(chunk, at):
    """One byte lost, another one doubled: the count is right."""
    return chunk[:at] + chunk[at + 1:] + chunk[-1:]


def lost(chunk, at):
    return chunk[:at] + chunk[at + 1:]


def doubled(chunk, at):
    return chunk[:at + 1] + chunk[at:]
