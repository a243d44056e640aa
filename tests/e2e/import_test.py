#!/usr/bin/env python3
"""The original's nginx files become streams, and what cannot be one is told line by line."""

import unittest

import harness
import peers


class Import(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.service = self.make_service(10)
        self.first = self.service.ports[0]
        self.folder = self.dir / "stream.d"
        self.folder.mkdir()

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def write_stream(self, port, backend, prefix="_conductor_"):
        self.write(f"{prefix}{port}", f"server {{\n  listen {port};\n  proxy_pass {backend};\n}}\n")

    def run_import(self, *arguments, **environment):
        flags = [f"--config={self.service.config}", f"--state-directory={self.service.state}",
                 f"--port-range={self.first}-{self.service.ports[-1]}"]
        return harness.run(harness.BINARY, "import", *arguments, *flags,
                           env=harness.clean_environment(**environment))

    def imported(self, *arguments, exit_code=0, **environment):
        done = self.run_import(*arguments, **environment)
        self.assertEqual((done.returncode, done.stderr), (exit_code, ""), done)
        return done.stdout.splitlines()

    def test_the_originals_streams_are_open_after_the_import(self):
        hello, bye = self.backend(peers.says(b"hello")), self.backend(peers.says(b"bye"))
        self.write_stream(self.first, hello.address)
        self.write_stream(self.first + 1, bye.address)
        self.write_stream(self.first + 2, "127.0.0.1:1", prefix="somebody-elses-")
        lines = self.imported(self.folder)
        self.assertEqual(lines[-1], "2 streams imported, 0 lines not taken")
        self.service.start()
        wanted = {self.first: hello.address, self.first + 1: bye.address}
        self.assertEqual(self.service.streams(), wanted)
        self.assert_says(self.first, b"hello")
        self.assert_says(self.first + 1, b"bye")
        self.assertEqual(self.service.history(self.first), ["created"])
        self.assertEqual(self.service.sql("SELECT DISTINCT created_by FROM mappings"),
                         [("import",)])

    def test_each_line_that_cannot_be_taken_is_reported_with_its_place(self):
        port = self.first
        self.write_stream(port, "mybackend:22")
        self.write("_conductor_a", f"server {{\n  listen {port + 1} udp;\n  proxy_pass a:1;\n}}\n")
        self.write("_conductor_b", f"server {{\n  listen {port + 2};\n  proxy_pass nowhere;\n}}\n")
        self.write("_conductor_c", f"server {{\n  listen {port + 3};\n}}\n")
        self.write("_conductor_d", "server {\n  listen 99;\n  proxy_pass a:1;\n}\n")
        self.write("_conductor_e", f"server {{\n  listen {port};\n  proxy_pass other:1;\n}}\n")
        self.write("_conductor_f", f"server {{\n  listen {port + 4};\n  deny all;\n"
                                   "  proxy_pass a:1;\n}\n")
        self.write("_conductor_g", f"server {{\n  listen {port + 5}\n  proxy_pass")
        lines = self.imported(self.folder, exit_code=1)
        refused = [line for line in lines if line.startswith("not taken: ")]
        places = {line.split(": ")[1].rpartition("/")[2] for line in refused}
        self.assertTrue({"_conductor_a:2", "_conductor_b:3", "_conductor_c:1", "_conductor_d:2",
                         "_conductor_e:2", "_conductor_f:3"} <= places, lines)
        self.assertTrue(any("_conductor_g" in place for place in places), lines)
        self.assertEqual(lines[-1], f"1 stream imported, {len(refused)} lines not taken")
        self.service.start()
        self.assertEqual(self.service.streams(), {port: "mybackend:22"})

    def test_the_originals_variables_say_where_the_files_are(self):
        self.write_stream(self.first, "a:1", prefix="mine-")
        lines = self.imported(STREAM_CONFIG_PATH=str(self.folder), STREAM_PREFIX="mine-")
        self.assertEqual(lines[-1], "1 stream imported, 0 lines not taken")

    def test_importing_twice_changes_nothing_the_second_time(self):
        self.write_stream(self.first, "a:1")
        self.imported(self.folder)
        lines = self.imported(self.folder)
        self.assertEqual(lines[-1], "0 streams imported, 0 lines not taken")
        self.assertIn("already", lines[0])
        self.service.start()
        self.assertEqual(self.service.streams(), {self.first: "a:1"})
        self.assertEqual(self.service.history(self.first), ["created"])

    def test_a_rerun_takes_a_stream_with_other_timeouts_or_spelling_as_known(self):
        self.write_stream(self.first, "localhost:1")
        self.write_stream(self.first + 1, "b:1")
        self.imported(self.folder)
        self.write_stream(self.first, "LOCALHOST.:1")
        self.write(f"_conductor_{self.first + 1}",
                   f"server {{ listen {self.first + 1}; proxy_pass b:1; proxy_timeout 10m; }}\n")
        lines = self.imported(self.folder)
        self.assertEqual(lines[-1], "0 streams imported, 0 lines not taken")
        self.assertTrue(lines[0].endswith("is in the database already"), lines)
        self.assertTrue(lines[1].endswith("it stays as it is there: idle_timeout not set"), lines)
        self.write(f"_conductor_{self.first + 1}",
                   f"server {{ listen 127.0.0.1:{self.first + 1}; proxy_pass b:1; }}\n")
        lines = self.imported(self.folder, exit_code=1)
        self.assertIn("which listens on what STREAM_ADDRESS gives", lines[1])

    def test_an_address_that_the_host_does_not_have_is_noted(self):
        self.write("_conductor_a", f"server {{ listen 192.0.2.77:{self.first}; proxy_pass b:1; }}\n")
        self.write("_conductor_b", f"server {{ listen 127.255.255.255:{self.first + 1}; proxy_pass b:1; }}\n")
        lines = self.imported(self.folder, exit_code=1)
        self.assertTrue(any(line.startswith("note: ") and "192.0.2.77: is not an address of this host" in line
                            for line in lines), lines)
        self.assertTrue(any(line.startswith("not taken: ") and "broadcast" in line for line in lines), lines)
        self.assertEqual(lines[-1], "1 stream imported, 1 line not taken")

    def test_an_upstream_may_stand_in_another_file(self):
        self.write("_conductor_a", f"server {{ listen {self.first}; proxy_pass db; }}\n")
        self.write("_conductor_b", "upstream db { server h:5432; }\n")
        lines = self.imported(self.folder)
        self.assertIn(f"{self.first} -> h:5432", lines[0])

    def test_a_stream_that_is_not_taken_makes_the_exit_code_1(self):
        self.write_stream(self.first, "a:1")
        self.imported(self.folder)
        for port, why in ((self.first, "has a stream to a:1 already"), (99, "99")):
            with self.subTest(port=port):
                self.write_stream(port, "b:2")
                for flags in ((), ("--dry-run",)):
                    lines = self.imported(self.folder, *flags, exit_code=1)
                    self.assertTrue(lines[-1].endswith(", 1 line not taken"), lines)
                    self.assertTrue(any(line.startswith("not taken: ") and why in line for line in lines), lines)
                (self.folder / f"_conductor_{port}").unlink()

    def test_a_dry_run_writes_nothing(self):
        self.service.start()
        self.service.stop()
        self.write_stream(self.first, "a:1")
        # The -shm is memory that processes share, not content.
        content = lambda: {path.name: path.read_bytes() for path in self.service.state.iterdir()
                           if path.suffix != ".db-shm"}
        before = content()
        lines = self.imported(self.folder, "--dry-run")
        self.assertEqual(lines[-1], "1 stream would be imported, 0 lines not taken")
        self.assertEqual(content(), before)
        self.service.start()
        self.assertEqual(self.service.streams(), {})

    def test_a_dry_run_without_a_database_names_the_folder_and_makes_nothing(self):
        self.write_stream(self.first, "a:1")
        done = self.run_import(self.folder, "--dry-run")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.splitlines()[-1], "1 stream would be imported, 0 lines not taken")
        self.assertIn(f"the folder {self.service.state} has no database", done.stderr)
        self.assertFalse(self.service.state.exists())

    def test_a_prefix_that_matches_no_file_is_exit_1(self):
        self.write_stream(self.first, "a:1")
        for flags in ((), ("--dry-run",)):
            done = self.run_import(self.folder, "--prefix", "mine-", *flags)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn('a name that starts with "mine-"', done.stderr)
        self.assertFalse(self.service.state.exists())

    def test_addresses_timeouts_and_an_upstream_are_taken_over(self):
        hello = self.backend(peers.says(b"hello"))
        self.write("_conductor_a", f"upstream one {{ server {hello.address}; }}\n"
                                   f"server {{\n  listen 127.0.0.1:{self.first};\n  proxy_pass one;\n"
                                   "  proxy_timeout 1h;\n  proxy_connect_timeout 5s;\n}\n")
        lines = self.imported(self.folder)
        self.assertIn(f"{self.first} -> {hello.address}, listen_address 127.0.0.1, "
                      "idle_timeout 1h, connect_timeout 5s", lines[0])
        self.assertFalse(any(line.startswith("note: ") for line in lines), lines)
        self.service.start()
        stream = self.service.get(f"/v1/streams/{self.first}").json
        self.assertEqual([stream[key] for key in ("listen_address", "idle_timeout", "connect_timeout")],
                         ["127.0.0.1", "1h", "5s"])
        self.assert_says(self.first, b"hello")

    def test_the_import_says_how_nginxs_defaults_differ_unless_they_are_set(self):
        self.write_stream(self.first, "a:1")
        notes = [line for line in self.run_import(self.folder, "--dry-run").stdout.splitlines()
                 if line.startswith("note: ")]
        self.assertEqual(len(notes), 2)
        self.assertIn("1 stream without proxy_timeout", notes[0])
        self.assertIn("IDLE_TIMEOUT=10m", notes[0])
        self.assertIn("1 stream without proxy_connect_timeout", notes[1])
        self.assertIn("CONNECT_TIMEOUT=1m", notes[1])
        lines = self.imported(self.folder, "--idle-timeout=10m", "--connect-timeout=1m")
        self.assertFalse(any(line.startswith("note: ") for line in lines), lines)

    def test_a_folder_that_is_not_there_is_exit_1(self):
        done = self.run_import(self.dir / "none")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none", done.stderr)

    def test_an_import_beside_a_running_service_is_refused(self):
        self.service.start()
        self.write_stream(self.first, "a:1")
        done = self.run_import(self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another stream-conductor", done.stderr)
        self.assertEqual(self.service.streams(), {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
