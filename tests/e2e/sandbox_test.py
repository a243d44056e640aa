#!/usr/bin/env python3
"""What the installed service may do and what not, and that everything works all the same."""

import json
import pathlib
import re
import stat

import box
import harness
import peers

API_SOCKET = "/run/stream-conductor/api.sock"
USERS = "u operator 4001\nm operator stream-conductor\nu stranger 4002\n"
WITH_80 = "[Service]\nEnvironment=PORT_RANGE=80,9000-9009\n"
HOMES = "/home"


class Sandbox(box.BoxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.box.write("/etc/sysusers.d/sandbox-test.conf", USERS)
        cls.box.run("systemd-sysusers")

    def start(self):
        self.box.systemctl("start", box.SOCKET, box.UNIT)

    def ask(self, user, path, *options):
        """What a user of the host is answered over the unix socket."""
        return self.box.run("curl", "-sS", "--max-time", 30, "--unix-socket", API_SOCKET, *options,
                            f"http://localhost{path}", user=user)

    def actors(self):
        """Who the history says made a change, of a member of the group, root and the service."""
        for port, user in enumerate(("operator", "root", "stream-conductor"), 9000):
            made = self.ask(user, f"/createstream/{port}/127.0.0.1:1")
            self.assertEqual(json.loads(made), {"result": "ok", "errors": ""})
        told = self.box.sql("SELECT actor FROM mapping_history ORDER BY port")
        return [re.match(r"uid (\d+)", line)[1] for line in told.splitlines()]

    # Files.

    def test_state_belongs_to_the_service_and_is_for_its_group_to_read(self):
        self.start()
        owner = self.box.run("id", "--user", "stream-conductor").strip()
        group = self.box.run("id", "--group", "stream-conductor").strip()
        for path, mode in ((box.STATE, 0o750), (box.DATABASE, 0o640)):
            found = self.box.file(path).stat()
            self.assertEqual((str(found.st_uid), str(found.st_gid), stat.S_IMODE(found.st_mode)),
                             (owner, group, mode), path)
        self.assertIn(".db", self.box.run("sqlite3", "-readonly", box.DATABASE, ".databases"))

    def test_the_database_is_read_by_members_of_the_group_and_by_nobody_else(self):
        self.start()
        self.create(9000, "127.0.0.1:7000")
        query = ("sqlite3", "-readonly", box.DATABASE, "SELECT port, backend FROM mappings")
        self.assertEqual(self.box.run(*query, user="operator"), "9000|127.0.0.1:7000\n")
        refused = harness.run(*self.box.command(*query, user="stranger"))
        self.assertNotEqual(refused.returncode, 0, refused)
        self.assertIn("unable to open database", refused.stderr)

    def test_the_unix_socket_is_for_members_of_the_group_and_for_nobody_else(self):
        self.start()
        self.assertEqual(json.loads(self.ask("operator", "/v1/status"))["phase"], "serving")
        refused = harness.run(*self.box.command("curl", "-sS", "--unix-socket", API_SOCKET,
                                                "http://localhost/v1/status", user="stranger"))
        self.assertEqual(refused.returncode, 7, refused)  # could not connect

    # The process.

    def test_the_process_has_no_privilege_and_cannot_get_one(self):
        self.start()
        lines = pathlib.Path(f"/proc/{self.box.main_pid()}/status").read_text("utf-8").splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        owner = self.box.run("id", "--user", "stream-conductor").strip()
        self.assertEqual(status["Uid"].split(), [owner] * 4)

    def test_it_sees_a_read_only_system_and_no_homes_no_devices_no_others_processes(self):
        self.box.write(f"{HOMES}/somebody/diary", "secret")
        self.box.write("/root/diary", "secret")
        self.box.run("mknod", "-m", "666", "/dev/disk0", "b", "1", "0")
        self.start()
        user = self.box.run("id", "--user", "stream-conductor").strip()
        pid = self.box.main_pid()

        def inside(*command, uid=user):
            done = harness.run("nsenter", f"--mount=/proc/{pid}/ns/mnt",
                               "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                               *command)
            return done.returncode, done.stdout + done.stderr

        for path in ("/usr/bin/x", "/etc/x", "/boot/x", "/var/x", "/x"):
            code, text = inside("touch", path, uid=0)  # root too
            self.assertNotEqual(code, 0, path)
            self.assertIn("Read-only file system", text)
        for path in (f"{HOMES}/somebody/diary", "/root/diary"):
            self.assertEqual(self.box.file(path).read_text("utf-8"), "secret")
            self.assertIn("No such file", inside("cat", path, uid=0)[1])
        self.assertEqual(inside("touch", f"{box.STATE}/x"), (0, ""))
        self.assertIn("Permission denied", inside("ls", "/home")[1])
        self.assertIn("1", self.box.run("ls", "/proc", user="stream-conductor").split())
        self.assertNotIn("1", inside("ls", "/proc")[1].split())
        self.assertIn("No such file", inside("ls", "/dev/disk0")[1])

    def test_streams_lead_to_backends_by_name_and_by_address(self):
        self.box.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.0.9 backend.test\n")
        self.start()
        hosts = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "backend.test": "127.0.0.9"}
        if peers.has_ipv6_loopback():
            hosts["[::1]"] = "::1"
        for port, (name, address) in enumerate(hosts.items(), 9000):
            with self.subTest(name):
                backend = self.backend(peers.says(name.encode()), host=address)
                self.create(port, f"{name}:{backend.port}")
                self.assert_says(port, name.encode())

    # Who asks.

    def test_the_history_names_the_user_who_asked_over_the_unix_socket(self):
        self.start()
        own = self.box.run("id", "--user", "stream-conductor").strip()
        self.assertEqual(self.actors(), ["4001", "0", own])

    def test_in_a_user_namespace_the_history_would_not_know_who_asked(self):
        # Why the unit has PrivateUsers=no. Where this fails systemd maps more users than it did.
        self.box.drop_in(box.UNIT, "users", "[Service]\nPrivateUsers=yes\n")
        self.start()
        own = self.box.run("id", "--user", "stream-conductor").strip()
        self.assertEqual(self.actors(), ["65534", "0", own])

    # Ports below 1024.

    def test_without_the_drop_in_a_port_below_1024_is_refused_for_want_of_the_privilege(self):
        self.box.drop_in(box.UNIT, "range", WITH_80)
        self.start()
        reply = self.request("/v1/streams/80", "PUT", {"backend": "127.0.0.1:7000"})
        self.assertEqual((reply.status, reply.json["type"], reply.json["pointer"]),
                         (403, "urn:stream-conductor:problem:privileged-port", "/port"))
        self.assertRegex(reply.json["detail"],
                         r"^cannot listen on .*:80: Permission denied \(EACCES\); .*low-ports\.conf")
        self.assertFalse(peers.accepts(80))

    def low_ports(self):
        """The drop-in from where the unit says it is."""
        unit = self.box.systemctl("cat", box.UNIT)
        return self.box.file(re.search(r"(/\S+/low-ports\.conf)", unit)[1]).read_text("utf-8")

    def test_with_the_shipped_drop_in_ports_below_1024_open_and_that_is_all_it_may(self):
        self.box.drop_in(box.UNIT, "low-ports", self.low_ports())
        self.box.drop_in(box.UNIT, "range", WITH_80)
        self.start()
        self.create(80, self.backend(peers.says(b"eighty")).address)
        self.assert_says(80, b"eighty")
        with open(f"/proc/{self.box.main_pid()}/status", encoding="utf-8") as status:
            bounding = next(line.split()[1] for line in status if line.startswith("CapBnd:"))
        self.assertEqual(int(bounding, 16), 1 << 10)  # CAP_NET_BIND_SERVICE, capability.h

    def test_in_a_user_namespace_the_drop_ins_privilege_would_be_void(self):
        self.box.drop_in(box.UNIT, "low-ports", self.low_ports())
        self.box.drop_in(box.UNIT, "range", WITH_80 + "PrivateUsers=yes\n")
        self.start()
        reply = self.request("/v1/streams/80", "PUT", {"backend": "127.0.0.1:7000"})
        self.assertEqual(reply.status, 403, reply)


if __name__ == "__main__":
    box.main()
