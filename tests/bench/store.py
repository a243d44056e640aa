"""Keeps the descriptors that a service sends to the notify socket on standard input, and no more.

What systemd does of FDSTORE=1 and FDSTOREREMOVE=1 (sd_notify(3)). tests/e2e/manager.py, which also
starts the service again, compares descriptors and so costs more than a measurement should see.
"""

import os
import socket
import sys

FDS_IN_A_MESSAGE = 16


def main():
    notify = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    stored = {}
    while True:
        text, fds, _, _ = socket.recv_fds(notify, 4096, FDS_IN_A_MESSAGE)
        values = dict(line.partition("=")[::2] for line in text.decode().split("\n"))
        name = values.get("FDNAME", "")
        if values.get("FDSTORE") == "1":
            stored.setdefault(name, []).extend(fds)
            fds = []
        if values.get("FDSTOREREMOVE") == "1":
            fds += stored.pop(name, [])
        for fd in fds:  # also one that came with BARRIER=1, which waits for this
            os.close(fd)


if __name__ == "__main__":
    main()
