"""What the kernel tells of processes and of the machine."""

import os
import pathlib


def family(pids):
    """The processes and all that they started."""
    found, rest = [], list(pids)
    while rest:
        pid = rest.pop()
        found.append(pid)
        for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                rest += [int(word) for word in children.read_text().split()]
            except OSError:
                pass  # a thread that ended meanwhile
    return found


def cpu_seconds(pids):
    """On a CPU, all threads together; in ns from the scheduler, where utime has ticks of 10 ms."""
    total = 0
    for pid in family(pids):
        for schedstat in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(schedstat.read_text().split()[0])
    return total / 1e9


def cpu_seconds_by_thread(pid, prefix):
    """{thread's name: seconds on a CPU} of one process's threads whose names start so."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith(prefix):
            found[name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def resident_bytes(pids):
    total = 0
    for pid in family(pids):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def distribution():
    for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"
