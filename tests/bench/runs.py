"""What tools/scale and tools/soak share: one service, watched from outside."""

import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

import building
import harness
import launch
import network
import proxies


def make_service(chosen, folder, first_port, port_count, flags):
    harness.BINARY = str(chosen.binary)
    return harness.Service(pathlib.Path(folder) / "state", first_port, port_count,
                           flags={"stream-address": "127.0.0.1", **flags})


def preface(found, binary):
    version = proxies.first_line(binary, "--version").split()[-1]
    return [f"- {building.machine()}",
            f"- stream-conductor {version}{building.revision()}. Load average of the machine: "
            f"{os.getloadavg()[0]:.2f}.",
            f"- {network.sentence(found)}"]


def main(name, chosen, words, make):
    """`make(chosen, folder, network)` gives what has run(), document(command) and is_well()."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all is ended also then
    launch.raise_descriptor_limit()
    folder = None
    try:
        if not chosen.no_build:
            building.build()
        folder = tempfile.mkdtemp(prefix=f"sc-{name.rpartition('/')[2]}-")
        run = make(chosen, folder, network.enter())
        run.run()
        print(run.document(shlex.join([name, *words])), end="")
        return 0 if run.is_well() else 1
    except (AssertionError, launch.Failed, subprocess.CalledProcessError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
