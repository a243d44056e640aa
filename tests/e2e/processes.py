"""What the kernel tells of a process: its descriptors, CPU time and memory."""

import collections
import os

TCP_LISTEN = "0A"  # include/net/tcp_states.h
UNIX_ACCEPTING = 0x10000  # __SO_ACCEPTCON of /proc/net/unix

Descriptors = collections.namedtuple("Descriptors", "listeners sockets pipes others")


def _listening_inodes(pid):
    inodes = set()
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as table:
                rows = [line.split() for line in table.readlines()[1:]]
        except FileNotFoundError:
            continue
        inodes |= {row[9] for row in rows if row[3] == TCP_LISTEN}
    with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="replace") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return inodes | {row[6] for row in rows if int(row[3], 16) & UNIX_ACCEPTING}


def descriptors(pid):
    """How many descriptors of which kind the process has; `sockets` are those that carry bytes."""
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    sockets = [link[len("socket:[") : -1] for link in links if link.startswith("socket:")]
    pipes = sum(link.startswith("pipe:") for link in links)
    listening = _listening_inodes(pid)
    listeners = sum(inode in listening for inode in sockets)
    return Descriptors(
        listeners, len(sockets) - listeners, pipes, len(links) - len(sockets) - pipes
    )


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime: proc(5)


def _status(pid, key):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise AssertionError(f"no {key}")


def resident_bytes(pid):
    return _status(pid, "VmRSS") * 1024


def fd_room(pid):
    """For how many descriptors the kernel has room, before it makes more."""
    return _status(pid, "FDSize")
