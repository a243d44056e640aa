#!/usr/bin/env python3
"""Who may use the API: tokens, roles and ports, the unix socket, the credential file."""

import concurrent.futures
import grp
import http.client
import json
import os
import re
import signal
import sqlite3
import time
import unittest

import harness
import peers
from waiting import SLOWNESS, wait_until

SECRET = re.compile(r"sc_[0-9a-f]{64}")
IN_FILE = "a-secret-of-the-credential-file-0123456789"
NOBODY = 65534


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Tokens(harness.EndToEnd):
    """With API_AUTH=always the tests stop the service: what the harness asks has no token."""

    def setUp(self):
        super().setUp()
        self.secrets = []

    def token(self, service, *words, **options):
        """`stream-conductor token ...` with the service's folder."""
        return harness.run(harness.BINARY, "token", *words, f"--config={service.config}",
                           f"--state-directory={service.state}", **options)

    def create(self, service, name, role, *more, **options):
        done = self.token(service, "create", "--name", name, "--role", role, *more, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, f"^{SECRET.pattern}\n$")
        self.secrets.append(done.stdout.strip())
        return done.stdout.strip()

    def rows(self, service):
        done = self.token(service, "list")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [re.split(r" {2,}", line) for line in done.stdout.splitlines()]
        self.assertEqual(lines[0],
                         ["NAME", "ROLE", "PORTS", "CREATED", "EXPIRES", "LAST USED", "STATE"])
        return [dict(zip(lines[0], line)) for line in lines[1:]]

    def status(self, service, path, token=None, **options):
        return service.get(path, headers=bearer(token) if token else {}, **options).status

    def assert_no_secret_left(self, service):
        """Neither in the log nor in any file of the service's."""
        places = {"the log": service.log().encode()}
        for file in service.state.iterdir():
            places[file.name] = file.read_bytes()
        for name, content in places.items():
            for secret in (*self.secrets, IN_FILE):
                self.assertNotIn(secret.removeprefix("sc_").encode(), content, name)

    # The command.

    def test_made_listed_and_revoked_while_the_service_runs(self):
        service = self.start_service(10, flags={"api-auth": "always"})
        self.assertEqual(self.status(service, "/status"), 401)
        token = self.create(service, "ci", "operator", "--expires", "90d")
        self.assertEqual(self.status(service, "/status", token), 200)  # at once
        wait_until(lambda: self.rows(service)[0]["LAST USED"] != "never", what="its use is noted")
        row = self.rows(service)[0]
        self.assertEqual([row[key] for key in ("NAME", "ROLE", "PORTS", "STATE")],
                         ["ci", "operator", "all", "active"])
        again = self.token(service, "create", "--name", "ci", "--role", "viewer")
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn('"ci" already', again.stderr)

        self.assertEqual(self.token(service, "revoke", "ci").returncode, 0)
        revoked_at = time.monotonic()
        wait_until(lambda: self.status(service, "/status", token) == 401, 5, "the refusal")
        self.assertLess(time.monotonic() - revoked_at, 2 * SLOWNESS)
        self.assertEqual(self.token(service, "revoke", "ci").returncode, 1)
        self.assertEqual(self.rows(service)[0]["STATE"], "revoked")
        other = self.create(service, "ci", "viewer")
        self.assertEqual(self.status(service, "/status", other), 200)
        self.assertEqual(self.status(service, "/status", token), 401)
        self.assertEqual([tuple(row) for row in service.sql("SELECT name, role, state FROM tokens")],
                         [("ci", "operator", "revoked"), ("ci", "viewer", "active")])
        service.stop()
        self.assert_no_secret_left(service)

    def test_without_a_database_the_commands_name_the_folder_and_make_nothing(self):
        service = self.make_service(10)
        for words in (("list",), ("revoke", "ci"), ("create", "--name", "x", "--role", "viewer")):
            done = self.token(service, *words)
            self.assertEqual((done.returncode, done.stdout), (1, ""), words)
            self.assertIn(f"the folder {service.state} has no database", done.stderr)
            self.assertFalse(service.state.exists(), words)
        service.state.mkdir()
        self.assertEqual(self.token(service, "list").returncode, 1)
        self.assertEqual(list(service.state.iterdir()), [])

    def test_made_and_revoked_while_the_service_is_stopped(self):
        service = self.start_service(10, flags={"api-auth": "always"})
        service.stop()
        first = self.create(service, "first", "viewer")
        service.start()
        self.assertEqual(self.status(service, "/status", first), 200)
        service.stop()
        second = self.create(service, "second", "admin")
        self.assertEqual(self.token(service, "revoke", "first").returncode, 0)
        service.start()
        self.assertEqual(self.status(service, "/status", second), 200)
        self.assertEqual(self.status(service, "/status", first), 401)
        service.stop()
        self.assert_no_secret_left(service)

    def test_a_token_ends_at_its_time(self):
        service = self.start_service(10, flags={"api-auth": "always"})
        token = self.create(service, "brief", "viewer", "--expires", "1m")
        self.assertEqual(self.status(service, "/status", token), 200)
        connection = sqlite3.connect(service.database, timeout=20)
        with connection:
            connection.execute("UPDATE api_tokens SET expires_at = '2001-01-01T00:00:00.000Z'")
        connection.close()
        wait_until(lambda: self.status(service, "/status", token) == 401, 5, "the refusal")
        self.assertEqual(self.rows(service)[0]["STATE"], "expired")
        service.stop()

    def test_wrong_calls_have_their_exit_codes_and_reasons(self):
        service = self.make_service(10)
        for words in (("create",), ("create", "--name", "x", "--role", "boss"), ("revoke",),
                      ("create", "--name", "x", "--role", "viewer", "--ports", "9000"),
                      ("create", "--name", "x y", "--role", "viewer"),
                      ("create", "--name", "x", "--role", "admin", "--ports", "9000")):
            self.assertEqual(self.token(service, *words).returncode, 64, words)
        self.assertEqual(self.token(service, "list", "--workers=x").returncode, 78)
        self.assertFalse(service.state.exists())
        service.state.mkdir()
        service.database.write_text("no database at all, but long enough to be one" * 99)
        broken = self.token(service, "list")
        self.assertEqual(broken.returncode, 1)
        self.assertIn("is not a SQLite database", broken.stderr)

    def test_token_alone_prints_its_help(self):
        service = self.make_service(10)
        alone = self.token(service)
        self.assertEqual((alone.returncode, alone.stderr), (0, ""))
        for word in ("create", "list", "revoke"):
            self.assertRegex(alone.stdout, rf"(?m)^\s+{word}\s")

    def test_the_list_as_json_has_every_field_of_the_table(self):
        service = self.start_service(10)
        ports = f"{service.ports[0]}-{service.ports[1]}"
        self.create(service, "ci", "operator", "--ports", ports, "--expires", "90d")
        self.create(service, "eyes", "viewer")
        self.assertEqual(self.token(service, "revoke", "eyes").returncode, 0)
        listed = self.token(service, "list", "--json")
        self.assertEqual((listed.returncode, listed.stderr), (0, ""))
        ci, eyes = json.loads(listed.stdout)
        rows = {row["NAME"]: row for row in self.rows(service)}
        self.assertEqual(ci, {"name": "ci", "role": "operator", "ports": ports,
                              "created_at": rows["ci"]["CREATED"],
                              "expires_at": rows["ci"]["EXPIRES"], "last_used_at": None,
                              "revoked_at": None, "state": "active"})
        self.assertEqual((eyes["ports"], eyes["expires_at"], eyes["state"]), (None, None, "revoked"))
        self.assertRegex(eyes["revoked_at"], r"^\d{4}-\d\d-\d\dT")
        service.stop()

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_run_by_root_it_leaves_nothing_that_the_services_user_cannot_write(self):
        state = self.dir / "state"
        state.mkdir()
        os.chown(state, NOBODY, NOBODY)
        service = self.make_service(10, flags={"api-auth": "always"})
        # LeakSanitizer cannot look into a process that gave root's rights away.
        quiet = harness.clean_environment(
            ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
        service.start(user=NOBODY, group=NOBODY, extra_groups=[])
        service.stop()
        for leftover in state.glob("*.db-*"):  # so that the command makes them again
            leftover.unlink()
        token = self.create(service, "ci", "viewer", env=quiet)
        owners = {file.name: file.stat().st_uid for file in state.iterdir()}
        self.assertEqual(set(owners.values()), {NOBODY}, owners)
        service.start(user=NOBODY, group=NOBODY, extra_groups=[])
        self.assertEqual(self.status(service, "/status", token), 200)
        other = self.create(service, "other", "viewer", env=quiet)
        self.assertEqual(self.status(service, "/status", other), 200)
        owners = {file.name: file.stat().st_uid for file in state.iterdir()}
        self.assertEqual(set(owners.values()), {NOBODY}, owners)
        service.stop()

    # Rights.

    def test_a_viewer_reads_and_an_operator_changes_its_ports(self):
        service = self.start_service(10)
        backend = self.backend(peers.says(b"hello"))
        low, high = service.ports[0], service.ports[9]
        viewer = self.create(service, "eyes", "viewer")
        scoped = self.create(service, "ci", "operator", "--ports", f"{service.ports[5]}-{high}")
        admin = self.create(service, "boss", "admin")
        for path in ("/status", "/getstreams", "/getfreeport", f"/hasstream/{low}"):
            for token in (viewer, scoped, admin):
                self.assertEqual(self.status(service, path, token), 200, path)
        create, remove = f"/createstream/{low}/{backend.address}", f"/removestream/{low}"
        for token in (viewer, scoped):
            for path in (create, remove):
                reply = service.get(path, headers=bearer(token))
                self.assertEqual((reply.status, reply.json["title"]), (403, "Forbidden"))
        self.assertFalse(peers.accepts(low))
        free = service.get("/getfreeport", headers=bearer(scoped)).json
        self.assertEqual(free, {"result": "ok", "port": service.ports[5]})
        self.assertEqual(self.status(service, f"/createstream/{high}/{backend.address}", scoped), 200)
        self.assertEqual(self.status(service, create, admin), 200)
        self.assert_says(low, b"hello")
        self.assert_says(high, b"hello")
        self.assertEqual(self.status(service, f"/removestream/{high}", scoped), 200)
        self.assertEqual(service.sql("SELECT action, actor FROM stream_events ORDER BY id"),
                         [("created", "token ci"), ("created", "token boss"),
                          ("removed", "token ci")])
        curled = json.loads(service.curl("/getstreams", "-H", f"Authorization: bearer {viewer}"))
        self.assertEqual([row["listen"] for row in curled], [low])
        self.assert_no_secret_left(service)

    def test_a_wrong_token_is_refused_late_even_where_none_is_needed(self):
        service = self.start_service(10)
        before = time.monotonic()
        reply = service.get("/status", headers=bearer("sc_" + "0" * 64))
        self.assertGreater(time.monotonic() - before, 0.24)
        self.assertEqual(reply.status, 401)
        self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer error="invalid_token"')
        service.wait_for_line("a token that is not valid was shown", address="127.0.0.1")
        self.assertEqual(self.status(service, "/status"), 200)

    def test_ten_wrong_tokens_of_an_address_do_not_lock_out_the_right_one(self):
        address = peers.host_address()
        if not address:
            self.skipTest("the host has the loopback addresses alone")
        service = self.start_service(10, flags={"bind-address": "0.0.0.0"})
        secret = self.create(service, "ci", "viewer")
        service.api_host = address
        self.assertEqual(self.status(service, "/v1/status", secret), 200)
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            wrong = list(pool.map(lambda _: self.status(service, "/v1/status", "sc_wrong"), range(10)))
        self.assertEqual(wrong, [401] * 10)
        reply = service.get(f"/v1/streams/{service.ports[0]}", "DELETE", bearer("sc_wrong"))
        self.assertEqual((reply.status, reply.json["type"]),
                         (429, "urn:stream-conductor:problem:too-many-requests"))
        self.assertTrue(1 <= int(reply.headers["Retry-After"]) <= 600)
        service.wait_for_line("change refused", principal="none", address=address, method="DELETE",
                              path=f"/v1/streams/{service.ports[0]}", status="429")
        self.assertEqual(self.status(service, "/v1/status", secret), 200)
        reply = service.get(f"/v1/streams/{service.ports[0]}", "DELETE", bearer(secret))
        self.assertEqual(reply.status, 403)
        service.wait_for_line("change refused", principal="token ci", address=address, status="403")
        service.api_host = "127.0.0.1"  # others are not concerned
        self.assertEqual(self.status(service, "/v1/status", secret), 200)

    def test_no_stream_leads_to_the_api_where_loopback_is_trusted(self):
        """Or an operator of one port, and whoever reaches that port, would be an admin."""
        service = self.start_service(10)
        for port, host in zip(service.ports, ("127.0.0.1", "localhost", "0.0.0.0", "[::1]")):
            self.assertTrue(service.create(port, f"{host}:{service.api_port}"), host)
            with self.subTest(host=host), self.assertRaises(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                try:
                    connection.request("GET", "/getstreams", headers={"Host": "localhost"})
                    connection.getresponse()
                finally:
                    connection.close()
        reason = service.sql("SELECT reason FROM streams WHERE port = ?", service.ports[0])
        self.assertIn("where the service itself is controlled", str(reason))

    # API_AUTH.

    def run_briefly(self, *flags):
        return harness.run(harness.BINARY, "--config=/dev/null", f"--state-directory={self.dir}/s",
                           "--bind-port=0", *flags)

    def test_off_is_refused_where_other_hosts_reach_it_unless_it_is_asked_for(self):
        done = self.run_briefly("--api-auth=off", "--bind-address=0.0.0.0")
        self.assertEqual(done.returncode, 78)
        self.assertIn("--insecure", done.stderr)
        self.assertFalse((self.dir / "s").exists())
        for flags in ({"bind-address": "0.0.0.0", "insecure": "true"}, {}):
            service = self.start_service(10, flags={"api-auth": "off", **flags})
            service.wait_for_line("whoever reaches the API may do everything")
            service.api_host = "127.0.0.1"
            self.assertEqual(self.status(service, "/status"), 200)
            service.stop()

    def test_off_is_judged_by_the_sockets_that_are_passed(self):
        # bind_address is the default 0.0.0.0 in both.
        for address in ("0.0.0.0", "127.0.0.1"):
            with self.subTest(address=address):
                api = peers.free_port()
                service = self.activated(f"{address}:{api}", state=self.dir / f"state-{address}",
                                         flags={"api-auth": "off", "bind-address": None})
                client = self.client(api)
                client.sendall(b"GET /status HTTP/1.0\r\n\r\n")
                if address == "0.0.0.0":
                    self.assertEqual(service.wait_exit(), 78, service.log())
                    continue
                self.assertIn(b" 200 OK", peers.read_all(client))
                service.stop()

    # The unix socket.

    def unix(self, path, url, user=0, groups=()):
        done = harness.run("curl", "-sS", "--max-time", 30, "--unix-socket", path,
                           f"http://localhost{url}", user=user, group=user,
                           extra_groups=list(groups))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_members_of_the_admin_group_change_by_the_unix_socket_and_others_read(self):
        path = self.dir / "api.sock"
        group = grp.getgrnam("daemon")
        service = self.activated(str(path), flags={"api-auth": "always",
                                                   "api-admin-group": group.gr_name})
        path.chmod(0o666)
        first, second, third = service.ports[:3]
        made = {"result": "ok", "errors": ""}
        self.assertEqual(self.unix(path, f"/createstream/{first}/a:1"), made)
        refused = self.unix(path, f"/createstream/{second}/a:1", NOBODY)
        self.assertEqual(refused["status"], 403)
        self.assertIn(f"uid {NOBODY} (curl) has the role viewer", refused["detail"])
        self.assertEqual(len(self.unix(path, "/getstreams", NOBODY)), 1)
        self.assertEqual(self.unix(path, f"/createstream/{second}/a:1", NOBODY, [group.gr_gid]),
                         made)
        self.assertEqual(self.unix(path, f"/createstream/{third}/a:1", group.gr_gid), made)
        self.assertEqual(service.sql("SELECT port, created_by FROM streams ORDER BY port"),
                         [(first, "uid 0 (curl)"), (second, f"uid {NOBODY} (curl)"),
                          (third, f"uid {group.gr_gid} (curl)")])
        service.stop()

    # The credential file.

    def test_a_credential_file_is_read_at_the_start_and_on_sighup(self):
        credentials = self.dir / "credentials"
        credentials.mkdir()
        file = credentials / "api-tokens"
        service = self.make_service(10, flags={"api-auth": "always"},
                                    environment={"CREDENTIALS_DIRECTORY": str(credentials)})
        file.write_text(f"# who\nci operator {IN_FILE} ports={service.ports[1]}\n")
        service.start()
        port = service.ports[1]
        self.assertEqual(self.status(service, f"/createstream/{port}/a:1", IN_FILE), 200)
        self.assertEqual(service.mapping(port)[0], "listening")
        self.assertEqual(self.status(service, f"/createstream/{port + 1}/a:1", IN_FILE), 403)
        self.assertEqual(service.sql("SELECT created_by FROM streams"), [("token ci",)])

        file.write_text(f"ci operator {IN_FILE} port=1\n")
        service.kill(signal.SIGHUP)
        wrong = service.wait_for_line("the file of tokens is wrong now, the present ones stay")
        self.assertIn(f"{file}, line 1: ", wrong.text)
        service.wait_for_line("reloaded")
        self.assertEqual(self.status(service, "/status", IN_FILE), 200)

        file.write_text("")
        lines = len(service.lines)
        service.kill(signal.SIGHUP)
        service.wait_for_line("reloaded", after=lines)
        self.assertEqual(self.status(service, "/status", IN_FILE), 401)
        service.stop()
        self.assert_no_secret_left(service)

    def test_a_wrong_credential_file_ends_the_start_with_78_and_its_line_without_the_secret(self):
        file = self.dir / "api-tokens"
        file.write_text(f"\nci boss {IN_FILE}\n")
        service = self.make_service(10, environment={"CREDENTIALS_DIRECTORY": str(self.dir)})
        service.launch()
        self.assertEqual(service.wait_exit(), 78)
        self.assertIn(f"{file}, line 2: ", service.log())
        self.assertNotIn(IN_FILE, service.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
