"""Real servers and their clients: programs that know nothing of any of this."""

import getpass
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess

import harness
import peers
from waiting import wait_until

MB = 1_000_000


class Program:
    """A client in the background, and what it said."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=harness.clean_environment(), text=True, **options)

    def ends_within(self, seconds):
        """It says little enough for a pipe to hold."""
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def outcome(self, seconds=120):
        try:
            output, _ = self.process.communicate(timeout=seconds)
        finally:
            self.stop()
        assert self.process.returncode == 0, f"{self.process.args[0]}: {output}"
        return output

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Server:
    """A server in the foreground; `with` ends it."""

    end_by = signal.SIGTERM

    def __init__(self, folder, port, *command, **options):
        self.log = (pathlib.Path(folder) / "server.log").open("wb")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env=harness.clean_environment(), **options)
        self.port = port

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self):
        wait_until(lambda: peers.accepts(self.port), 20, "the server")

    def __exit__(self, *_):
        self.process.send_signal(self.end_by)
        try:
            self.process.wait(30)
        finally:
            self.process.kill()  # does nothing once it has ended
            self.process.wait()
            self.log.close()


def run(*command, **options):
    done = harness.run(*command, seconds=120, **options)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


class Ssh(Server):
    """sshd, and what its clients are told on their command lines."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for name in ("host_key", "user_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name)
        shutil.copy(self.folder / "user_key.pub", self.folder / "keys")
        config = self.folder / "sshd_config"
        port = peers.free_port()
        lines = [f"ListenAddress 127.0.0.1:{port}", f"HostKey {self.folder}/host_key",
                 f"AuthorizedKeysFile {self.folder}/keys", "PidFile none", "StrictModes no",
                 "UsePAM no", "PasswordAuthentication no", "PermitRootLogin prohibit-password",
                 "Subsystem sftp internal-sftp", ""]
        config.write_text("\n".join(lines), encoding="utf-8")
        self.separation = pathlib.Path("/run/sshd")  # sshd wants it when root starts it
        self.made_separation = os.geteuid() == 0 and not self.separation.exists()
        if self.made_separation:
            self.separation.mkdir(mode=0o755)
        super().__init__(folder, port, "/usr/sbin/sshd", "-D", "-e", "-f", config)
        self.options = ["-F", "none", "-i", self.folder / "user_key", "-o", "IdentitiesOnly=yes",
                        "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new",
                        "-o", f"UserKnownHostsFile={self.folder}/known", "-o", "LogLevel=ERROR"]
        self.user = f"{getpass.getuser()}@127.0.0.1"

    def __exit__(self, *error):
        super().__exit__(*error)
        if self.made_separation:
            self.separation.rmdir()

    def session(self, port, command):
        return Program("ssh", *self.options, "-p", port, self.user, command)

    def copy(self, port, source, target, bytes_per_second):
        return Program("scp", "-q", *self.options, "-l", bytes_per_second * 8 // 1000, "-P", port,
                       source, f"{self.user}:{target}")

    def random_file(self, name, size):
        path = self.folder / name
        chance = random.Random(22)
        with path.open("wb") as file:
            for at in range(0, size, MB):
                file.write(chance.randbytes(min(MB, size - at)))
        return path


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Redis(Server):
    def __init__(self, folder):
        port = peers.free_port()
        super().__init__(folder, port, "redis-server", "--port", port, "--bind", "127.0.0.1",
                         "--save", "", "--appendonly", "no", "--dir", folder)

    def benchmark(self, port, requests):
        return Program("redis-benchmark", "-h", "127.0.0.1", "-p", port, "-n", requests, "-c", 50,
                       "-P", 4, "-t", "set,get,incr", "--csv")


class Postgres(Server):
    """A cluster of its own, which may not be root's."""

    end_by = signal.SIGINT  # SIGTERM would wait for its clients

    def __init__(self, folder):
        self.owner = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self.owner:
            shutil.chown(folder, **self.owner)
        programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        data = pathlib.Path(folder) / "data"
        run(programs / "initdb", "-D", data, "-U", "test", "--auth=trust", "--no-sync",
            cwd=folder, **self.owner)
        port = peers.free_port()
        super().__init__(folder, port, programs / "postgres", "-D", data, "-p", port, "-h",
                         "127.0.0.1", "-k", folder, cwd=folder, **self.owner)

    def begin(self):
        super().begin()
        address = ["-h", "127.0.0.1", "-p", self.port, "-U", "test"]
        run("pgbench", "-i", "-q", *address, "postgres")

    def benchmark(self, port, seconds):
        return Program("pgbench", "-n", "-c", 8, "-T", seconds, "-h", "127.0.0.1", "-p", port,
                       "-U", "test", "postgres")

    def balances(self):
        """Of accounts, tellers, branches and history: one, if every transaction is whole."""
        return {self._sum_of(*what) for what in (
            ("abalance", "pgbench_accounts"), ("tbalance", "pgbench_tellers"),
            ("bbalance", "pgbench_branches"), ("delta", "pgbench_history"))}

    def _sum_of(self, expression, table):
        return run("psql", "-At", "-h", "127.0.0.1", "-p", self.port, "-U", "test", "postgres",
                   "-c", f"SELECT coalesce(sum({expression}), 0) FROM {table}").strip()
