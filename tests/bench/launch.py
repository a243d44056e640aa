"""Starts processes on cores of their own and ends those, and no others."""

import json
import os
import resource
import subprocess

from peers import free_ports

END_SECONDS = 20
BACKEND_PORTS = 3  # the kinds of tests/bench/wire.h


class Failed(Exception):
    """A run that gives no figure; a sentence for the person who asked for it."""


def environment():
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def start(command, cores, variables=None, **options):
    """Pinned before it runs, so that all its threads and processes are; None leaves it as it is."""
    options.setdefault("stdin", subprocess.DEVNULL)
    if cores is not None:  # from a program without threads: Popen's manual
        options["preexec_fn"] = lambda: os.sched_setaffinity(0, cores)
    return subprocess.Popen([str(word) for word in command],
                            env={**environment(), **(variables or {})}, **options)


def output_of(command, cores, variables=None, seconds=120):
    """Of a program that ends by itself."""
    process = start(command, cores, variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True)
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} does not end") from None
    finally:
        stop([process])
    if process.returncode != 0:
        raise Failed(f"{command[0]} ended with {process.returncode}: {errors.strip()}")
    return output


def stop(processes):
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def descriptor_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_descriptor_limit():
    """To the hard limit, for all that is started from here."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def split_cores(workers):
    """(of the proxy, of the load): one for each worker, the rest; they share when there is no rest."""
    cores = sorted(os.sched_getaffinity(0))
    return set(cores[:workers]), set(cores[workers:] or cores)


def shared_cores(count):
    """As split_cores, the same ones for both."""
    cores = set(sorted(os.sched_getaffinity(0))[:count])
    return cores, cores


class Load:
    """stream-conductor-load on the load's cores, with its backend."""

    def __init__(self, binary, cores, flags=()):
        self.binary = binary
        self.cores = cores
        self.flags = list(flags)  # of both ends
        self.backend = None
        self.ports = {}

    def start_backend(self, verify):
        """Below the ephemeral range, as real backends and the proxies' own ports are."""
        first = free_ports(BACKEND_PORTS)
        command = [self.binary, "backend", f"--listen=127.0.0.1:{first}", *self.flags]
        self.backend = start(command + (["--verify"] if verify else []), self.cores,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.backend.stdout.readline()
        if not line:
            raise Failed("the load's backend does not start")
        self.ports = json.loads(line)

    def begin(self, command, target, **options):
        """A run in the background, which goes on until finish() or for as long as it was told."""
        flags = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
                 for name, value in options.items() if value is not None]
        return start([self.binary, command, f"--target=127.0.0.1:{target}", *flags], self.cores,
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                     text=True)

    def finish(self, process, seconds=120):
        try:
            output, errors = process.communicate(timeout=seconds)  # closes its input
        except subprocess.TimeoutExpired:
            stop([process])
            raise Failed("the load does not end") from None
        if process.returncode != 0:
            raise Failed(errors.strip() or f"the load ended with {process.returncode}")
        return json.loads(output.splitlines()[-1])

    def run(self, command, target, **options):
        return self.finish(self.begin(command, target, **options))

    def stop(self):
        if self.backend:
            self.backend.stdin.close()  # it ends by that
            stop([self.backend])
            self.backend = None
