"""What is measured: each proxy as a process of its own, with three ports that lead to the backend."""

import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time

import launch
from peers import free_ports

KINDS = ("sink", "source", "echo")  # of tests/bench/wire.h
START_SECONDS = 20
MOST_SESSIONS = 9000
LONG = "1h"  # no time limit of a proxy may end a session that waits


class Proxy:
    """Started by start(), ended by stop(). `ports` says where each kind is reached."""

    name = ""

    def __init__(self, folder, targets, cores, workers):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.targets = targets
        self.cores = cores
        self.workers = workers
        first = free_ports(len(KINDS))
        self.ports = {kind: first + number for number, kind in enumerate(KINDS)}
        self.processes = []
        self.variables = {}  # of the environment, beside launch.environment()

    @classmethod
    def version(cls):
        raise NotImplementedError

    def commands(self):
        """The command lines, after their files are written."""
        raise NotImplementedError

    def start(self):
        for number, command in enumerate(self.commands()):
            with open(self.folder / f"output-{number}", "wb") as output:
                self.processes.append(launch.start(
                    command, self.cores, self.variables, stdout=output, stderr=output))
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline or any(each.poll() is not None for each in self.processes):
                raise launch.Failed(f"{self.name} does not start: {self.output()}")
            time.sleep(0.02)
        return self

    def is_ready(self):
        """Each port accepts. A session that ends at once does not count for any figure."""
        return all(accepts(port) for port in self.ports.values())

    def output(self):
        texts = [path.read_text(errors="replace") for path in sorted(self.folder.glob("output-*"))]
        return "".join(texts)[-2000:].strip()

    def pids(self):
        return [process.pid for process in self.processes]

    def stop(self):
        launch.stop(self.processes)
        self.processes = []


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


class Direct(Proxy):
    """No proxy at all: what the load itself can do."""

    name = "direct"

    @classmethod
    def version(cls):
        return None

    def commands(self):
        self.ports = dict(self.targets)
        return []


class StreamConductor(Proxy):
    name = "stream-conductor"
    binary = None
    API_PORTS = 500  # for the scenario that creates streams
    first_api_stream = None  # the same for every start: free_ports() gives no port twice

    @classmethod
    def version(cls):
        return first_line(cls.binary, "--version").split()[-1]

    def commands(self):
        self.api_port = free_ports(1)
        if self.first_api_stream is None:
            type(self).first_api_stream = free_ports(self.API_PORTS)
        config = self.folder / "empty.toml"
        config.write_text("")
        last = self.first_api_stream + self.API_PORTS - 1
        return [[
            self.binary, f"--config={config}", f"--workers={self.workers}",
            "--bind-address=127.0.0.1", f"--bind-port={self.api_port}",
            f"--state-directory={self.folder / 'state'}", "--stream-address=127.0.0.1",
            f"--port-range={min(self.ports.values())}-{max(self.ports.values())},"
            f"{self.first_api_stream}-{last}",
        ]]

    def is_ready(self):
        return accepts(self.api_port)

    def start(self):
        super().start()
        for kind, port in self.ports.items():
            self.create_stream(port, self.targets[kind])
        return self

    def create_stream(self, port, target):
        answer = self.get(f"/createstream/{port}/127.0.0.1:{target}")
        if answer.get("result") != "ok":
            raise launch.Failed(f"{self.name} creates no stream: {answer}")

    def get(self, path):
        client = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=10)
        try:
            client.request("GET", path)
            return json.loads(client.getresponse().read())
        finally:
            client.close()


class OneWorker(StreamConductor):
    name = "1 worker"

    def __init__(self, folder, targets, cores, workers):
        super().__init__(folder, targets, cores, workers=1)


class TwoWorkers(StreamConductor):
    name = "2 workers"

    def __init__(self, folder, targets, cores, workers):
        super().__init__(folder, targets, cores, workers=2)


class OtherBuild(StreamConductor):
    """A second build of stream-conductor, to see what a change does."""

    name = "other build"


class Nginx(Proxy):
    name = "nginx"
    MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

    @classmethod
    def version(cls):
        return first_line("nginx", "-v").partition("/")[2]

    def commands(self):
        servers = "".join(
            f"  server {{ listen 127.0.0.1:{port} backlog=4096; "
            f"proxy_pass 127.0.0.1:{self.targets[kind]}; }}\n"
            for kind, port in self.ports.items())
        config = self.folder / "nginx.conf"
        config.write_text(
            f"load_module {self.MODULE};\n"
            "daemon off;\n"
            f"worker_processes {self.workers};\n"
            f"worker_rlimit_nofile {launch.descriptor_limit()};\n"
            f"pid {self.folder}/nginx.pid;\n"
            f"error_log {self.folder}/error.log;\n"
            "events { worker_connections 16384; }\n"
            "stream {\n"
            "  access_log off;\n"
            f"  proxy_timeout {LONG};\n"
            f"{servers}}}\n")
        return [["nginx", "-p", self.folder, "-c", config, "-e", self.folder / "error.log"]]


class Haproxy(Proxy):
    name = "haproxy"

    @classmethod
    def version(cls):
        return re.search(r"\d[\w.+~-]*", first_line("haproxy", "-v"))[0]

    def commands(self):
        listens = "".join(
            f"listen {kind}\n  bind 127.0.0.1:{port} backlog 4096\n"
            f"  server backend 127.0.0.1:{self.targets[kind]}\n"
            for kind, port in self.ports.items())
        # It reserves two descriptors for a session, and pipes for one in four.
        most = min(MOST_SESSIONS, (launch.descriptor_limit() - 200) * 10 // 26)
        config = self.folder / "haproxy.cfg"
        config.write_text(
            "global\n"
            f"  nbthread {self.workers}\n"
            f"  maxconn {most}\n"
            "defaults\n"
            "  mode tcp\n"
            "  option splice-auto\n"
            f"  maxconn {most}\n"
            "  timeout connect 10s\n"
            f"  timeout client {LONG}\n"
            f"  timeout server {LONG}\n"
            f"{listens}")
        return [["haproxy", "-db", "-f", config]]


class SocketProxyd(Proxy):
    """A process for each port, as its units would have it."""

    name = "systemd-socket-proxyd"
    PROGRAM = "/lib/systemd/systemd-socket-proxyd"

    @classmethod
    def version(cls):
        return re.search(r"\((.*?)\)", first_line(cls.PROGRAM, "--version"))[1]

    def commands(self):
        return [
            ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", self.PROGRAM,
             f"--connections-max={MOST_SESSIONS}", f"127.0.0.1:{self.targets[kind]}"]
            for kind, port in self.ports.items()
        ]


ALL = {each.name: each for each in (StreamConductor, OtherBuild, Nginx, Haproxy, SocketProxyd, Direct)}


def first_line(*command):
    if shutil.which(str(command[0])) is None:
        raise launch.Failed(f"{command[0]} is not installed; `tools/setup bench` does that")
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.splitlines()[0]
