"""A network namespace of one's own, so that the host's settings do not shape the figures."""

import collections
import ctypes
import errno
import fcntl
import os
import pathlib
import socket
import struct

import launch

HOST = "host"  # asks for the host's namespace
DEFAULTS = ("cubic", "reno")  # Debian's own; the one that a kernel allows in every namespace
CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914  # linux/sockios.h
IFF_UP = 1  # linux/if.h
SYSCTL = pathlib.Path("/proc/sys/net/ipv4")
SPARSE_EPHEMERAL = (50000, 60999)
REUSE_MS = 10

# `own`: a namespace of ours; `why`: that or this algorithm, in words.
Network = collections.namedtuple("Network", "own congestion_control why")


def congestion_control():
    return (SYSCTL / "tcp_congestion_control").read_text().strip()


def ephemeral_range():
    """The ports that connect(2) chooses from, both ends included."""
    low, high = (SYSCTL / "ip_local_port_range").read_text().split()
    return int(low), int(high)


def make_ephemeral_range_small():
    """In a namespace of one's own alone. Each source address has so many for each destination."""
    (SYSCTL / "ip_local_port_range").write_text("{} {}".format(*SPARSE_EPHEMERAL))


def reuse_ports_soon():
    """Whether a port of an ended connection is free for the next after REUSE_MS, in a namespace of one's own.

    After a second else, within which a fast proxy nearly uses up the ports to its one backend, and each
    connect(2) looks for one longer. Since Linux 6.14.
    """
    try:
        (SYSCTL / "tcp_tw_reuse_delay").write_text(str(REUSE_MS))
        return True
    except OSError:
        return False


def _unshare():
    """os.unshare came with Python 3.12. Before any thread: the calling one alone changes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _bring_up(interface):
    request = struct.Struct("16sh14x")  # struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFFLAGS, request.pack(interface.encode(), 0) + bytes(8))
        _, flags = request.unpack(answer[: request.size])
        fcntl.ioctl(sock, SIOCSIFFLAGS, request.pack(interface.encode(), flags | IFF_UP) + bytes(8))


def _refusal(name):
    """Why the algorithm cannot be had here; nothing when it is in force now."""
    try:
        (SYSCTL / "tcp_congestion_control").write_text(name)
        return None
    except OSError as error:
        if error.errno == errno.ENOENT:
            return f"the kernel has no {name}"
        return f"the kernel refuses {name} there: {error.strerror}"


def choose(names):
    """Takes the first algorithm that this namespace gets, and says why those before it were refused."""
    refusals = []
    for name in names:
        refusal = _refusal(name)
        if not refusal:
            break
        refusals.append(refusal)
    return refusals


def enter(wanted=None):
    """Moves this process to a namespace of its own, with only `lo`, for all that it starts later.

    Without a name of an algorithm it takes the first of DEFAULTS that it gets, and stays in the
    host's namespace if it must; an algorithm that was asked for and is not to be had is Failed.
    """
    if wanted == HOST:
        return Network(False, congestion_control(), "the host's, as was asked for")
    try:
        _unshare()
    except OSError as error:
        if wanted:
            raise launch.Failed(f"no network namespace to set {wanted} in: {error.strerror}") from None
        return Network(False, congestion_control(),
                       f"the host's: it gives no network namespace of one's own ({error.strerror})")
    _bring_up("lo")
    refusals = choose([wanted] if wanted else DEFAULTS)
    if wanted and refusals:
        raise launch.Failed(refusals[0])
    return Network(True, congestion_control(),
                   "; ".join(["in a network namespace of the run's own", *refusals]))


def sentence(network):
    """For the preface of what was measured."""
    return (f"Congestion control: {network.congestion_control}, {network.why}. Some algorithms, bbr for "
            "one, pace by timers even over loopback, and a measurement of their pauses says little of a "
            "proxy; so it is chosen where it can be.")
