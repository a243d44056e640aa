"""A thread of another process that stands still, by ptrace(2), until it is let go on."""

import ctypes
import os
import pathlib
import threading

from waiting import SLOWNESS

PTRACE_CONT = 7
PTRACE_DETACH = 17
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
WALL = 0x40000000  # __WALL: threads as well

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.restype = ctypes.c_long
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, tid):
    if LIBC.ptrace(request, tid, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def thread_of(pid, name):
    """The id of the thread that is called so."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text(encoding="utf-8").strip() == name:
            return int(task.name)
    raise AssertionError(f"process {pid} has no thread {name!r}")


class StoppedThread:
    """`with StoppedThread(pid, "worker-0"):` it stands still meanwhile.

    Only the thread that attached may go on with ptrace(2), and has to take the end of the stopped one
    from the kernel, or its process would not end: so a thread of our own does it.
    """

    def __init__(self, pid, name):
        self._tid = thread_of(pid, name)
        self._stopped = threading.Event()
        self._release = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def _hold(self):
        try:
            _ptrace(PTRACE_SEIZE, self._tid)
            _ptrace(PTRACE_INTERRUPT, self._tid)
            os.waitpid(self._tid, WALL)
        except OSError as failure:
            self._failure = failure
        self._stopped.set()
        while not self._failure and not self._release.wait(0.01):
            pid, status = os.waitpid(self._tid, WALL | os.WNOHANG)
            if pid and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
                return  # its process has ended
        try:
            _ptrace(PTRACE_DETACH, self._tid)
        except OSError:
            pass  # it has ended

    def __enter__(self):
        self._thread.start()
        assert self._stopped.wait(10 * SLOWNESS), "the thread does not stop"
        if self._failure:
            raise self._failure
        return self

    def go_on(self):
        self._release.set()
        self._thread.join(10 * SLOWNESS)
        assert not self._thread.is_alive()

    def __exit__(self, *_):
        self.go_on()
