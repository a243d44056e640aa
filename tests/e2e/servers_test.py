#!/usr/bin/env python3
"""Real servers and their own clients, with a stream between them."""

import getpass
import hashlib
import os
import pathlib
import random
import unittest

import harness
import peers
from waiting import SLOWNESS, wait_until

MIB = 1 << 20


class ServerTest(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.service = self.start_service(10)

    def stream_to(self, port):
        wait_until(lambda: peers.accepts(port), 20, "the server")
        return self.service.create(self.service.ports[0], f"127.0.0.1:{port}")

    def logged(self, name):
        """Where a server writes what it says."""
        file = (self.dir / name).open("wb")
        self.addCleanup(file.close)
        return file


class Memcached(ServerTest):
    """The original's use case."""

    def setUp(self):
        super().setUp()
        port = peers.free_port()
        command = ["memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-I", "2m"]
        if os.geteuid() == 0:
            command += ["-u", "nobody"]
        self.spawn(*command, stderr=self.logged("memcached.log"))
        self.port = self.stream_to(port)
        self.lines = self.client(self.port).makefile("rwb")
        self.addCleanup(self.lines.close)

    def ask(self, request):
        self.lines.write(request)
        self.lines.flush()
        return self.lines.readline()

    def set(self, key, value):
        self.assertEqual(self.ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)),
                         b"STORED\r\n")

    def value_of(self, key):
        words = self.ask(b"get %s\r\n" % key).split()
        self.assertEqual(words[:3], [b"VALUE", key, b"0"])
        value = peers_read(self.lines, int(words[3]))
        self.assertEqual(peers_read(self.lines, 7), b"\r\nEND\r\n")
        return value

    def test_many_values_and_one_of_a_mebibyte_come_back_as_they_were(self):
        chance = random.Random(11211)
        values = {b"key-%d" % i: chance.randbytes(chance.randrange(1, 4000)) for i in range(2000)}
        values[b"large"] = chance.randbytes(MIB)
        for key, value in values.items():
            self.set(key, value)
        for key, value in values.items():
            self.assertEqual(self.value_of(key), value)

    def test_stats_count_what_came_through_the_stream(self):
        for number in range(100):
            self.set(b"k", b"%d" % number)
        stats = {}
        line = self.ask(b"stats\r\n")
        while line != b"END\r\n":
            _, name, value = line.split(None, 2)
            stats[name] = value.strip()
            line = self.lines.readline()
        self.assertEqual(stats[b"cmd_set"], b"100")


def peers_read(file, count):
    data = file.read(count)
    assert len(data) == count, f"{len(data)} of {count} bytes"
    return data


class Redis(ServerTest):
    def setUp(self):
        super().setUp()
        port = peers.free_port()
        self.spawn("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                   "--appendonly", "no", "--dir", self.dir, stdout=self.logged("redis.log"))
        self.port = self.stream_to(port)

    def cli(self, *words):
        done = harness.run("redis-cli", "-h", "127.0.0.1", "-p", self.port, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.rstrip("\n")

    def test_redis_cli_talks_through_the_stream(self):
        self.assertEqual(self.cli("PING"), "PONG")
        self.assertEqual(self.cli("SET", "name", "value of it"), "OK")
        self.assertEqual(self.cli("GET", "name"), "value of it")
        self.assertEqual(self.cli("INCRBY", "count", 42), "42")

    def test_redis_benchmark_runs_through_the_stream(self):
        done = harness.run(
            "redis-benchmark", "-h", "127.0.0.1", "-p", self.port, "-n", 20000, "-c", 50, "-P", 4,
            "-d", 100, "-t", "ping,set,get,incr,lpush,lrange_100", "--csv", seconds=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("rror", done.stdout + done.stderr)
        rows = [line.split(",") for line in done.stdout.splitlines() if line.startswith('"')]
        self.assertGreater(len(rows), 6, done.stdout)
        for row in rows[1:]:
            self.assertGreater(float(row[1].strip('"')), 0, row)
        self.assertEqual(self.cli("LLEN", "mylist"), "40000")  # lpush, and again for lrange


class Ssh(ServerTest):
    def setUp(self):
        super().setUp()
        for name in ("host_key", "user_key"):
            done = harness.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / name)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.log = self.dir / "sshd.log"
        port = peers.free_port()
        self.start_sshd(port)
        self.port = self.stream_to(port)

    def start_sshd(self, port):
        keys = self.dir / "authorized_keys"
        keys.write_text((self.dir / "user_key.pub").read_text(encoding="utf-8"), encoding="utf-8")
        config = self.dir / "sshd_config"
        config.write_text(f"""
            ListenAddress 127.0.0.1
            Port {port}
            HostKey {self.dir}/host_key
            AuthorizedKeysFile {keys}
            PidFile none
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            Subsystem sftp internal-sftp
            """, encoding="utf-8")
        separation = pathlib.Path("/run/sshd")  # sshd wants it when root starts it
        if os.geteuid() == 0 and not separation.exists():
            separation.mkdir(mode=0o755)
            self.addCleanup(separation.rmdir)
        self.spawn("/usr/sbin/sshd", "-D", "-e", "-f", config, stderr=self.logged("sshd.log"))

    def options(self):
        known = f"UserKnownHostsFile={self.dir}/known_hosts"
        return ["-F", "none", "-i", self.dir / "user_key", "-o", "IdentitiesOnly=yes",
                "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", known]

    def ssh(self, command):
        done = harness.run("ssh", *self.options(), "-p", self.port,
                           f"{getpass.getuser()}@127.0.0.1", command)
        self.assertEqual(done.returncode, 0, done.stderr + self.log.read_text(encoding="utf-8"))
        return done.stdout

    def scp(self, source, target):
        done = harness.run("scp", "-q", *self.options(), "-P", self.port, source, target,
                           seconds=120)
        self.assertEqual(done.returncode, 0, done.stderr + self.log.read_text(encoding="utf-8"))

    def test_a_command_runs_over_ssh(self):
        self.assertEqual(self.ssh("echo through; exit 0"), "through\n")
        self.assertEqual(len(self.ssh("head -c 3000000 /dev/zero | tr '\\0' x")), 3_000_000)

    def test_100_mb_are_the_same_after_scp_there_and_back(self):
        sent, there, back = (self.dir / name for name in ("sent", "there", "back"))
        chance = random.Random(22)
        with sent.open("wb") as file:
            for _ in range(100):
                file.write(chance.randbytes(1_000_000))
        remote = f"{getpass.getuser()}@127.0.0.1:{there}"
        self.scp(sent, remote)
        self.scp(remote, back)
        self.assertEqual(sha256(there), sha256(sent))
        self.assertEqual(sha256(back), sha256(sent))


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    unittest.main(verbosity=2)
