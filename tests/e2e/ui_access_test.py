#!/usr/bin/env python3
"""Who may use the page, and how: with a token, behind TLS, without a mouse, on a small screen."""

import contextlib
import pathlib
import select
import shutil
import sqlite3
import ssl
import unittest

import harness
import peers
import ui_case

OPENSSL = shutil.which("openssl")
HIDDEN = pathlib.Path(__file__).parent.parent / "base" / "hidden_characters.txt"


def carry_both_ways(ours, theirs):
    """Until one of them ends. One thread, as a TLS socket takes no two at a time."""
    other = {ours: theirs, theirs: ours}
    try:
        while True:
            ready = [ours] if ours.pending() else select.select([ours, theirs], [], [])[0]
            for source in ready:
                chunk = source.recv(65536)
                if not chunk:
                    return
                other[source].sendall(chunk)
    except OSError:
        pass


class Access(ui_case.Ui):
    def tokens(self, service, *roles):
        made = {}
        for role in roles:
            done = harness.run(harness.BINARY, "token", "create", "--name", role, "--role", role,
                               "--state-directory", service.state, "--config", service.config)
            self.assertEqual(done.returncode, 0, done.stderr)
            made[role] = done.stdout.strip()
        return made

    def test_a_token_is_asked_for_and_kept_nowhere(self):
        service = self.start_service(flags={"api-auth": "always"})
        token = self.tokens(service, "admin")["admin"]
        self.expected = {401}
        page = self.open(service)
        page.wait_text("this API takes a token", "dialog")
        page.fill("Token", "sc_wrong")
        page.click("Use token", "dialog")
        page.wait_text("the token is not valid", "dialog .wrong")
        page.fill("Token", token)
        page.click("Use token", "dialog")
        page.wait_text("Nothing is mapped yet.")
        self.assertEqual(page.eval(ui_case.STORED), ui_case.NOTHING_STORED)
        self.assertNotIn(token, page.eval("location.href + document.documentElement.outerHTML"))
        self.assertFalse([url for url in page.urls if token in url])
        # One wrong one was shown once: who mistypes is not made to wait for all that the page asks.
        self.assertEqual(service.log().count("a token that is not valid was shown"), 1)
        page.click("Forget token")
        page.wait_text("this API takes a token", "dialog")

    def test_a_token_is_asked_for_where_the_page_is_opened_by_the_hosts_name(self):
        service = self.start_service()
        token = self.tokens(service, "viewer")["viewer"]
        self.expected = {403}
        origin = f"http://edge7:{service.api_port}"
        # Else the browser reports the page's Cross-Origin-Opener-Policy as one that it ignores.
        trusted = f"--unsafely-treat-insecure-origin-as-secure={origin}"
        page = self.open(service, origin=origin,
                         flags=["--host-resolver-rules=MAP edge7 127.0.0.1", trusted])
        page.wait_text(f"ask http://localhost:{service.api_port} from this host", "dialog")
        page.fill("Token", token)
        page.click("Use token", "dialog")
        page.wait_text("Nothing is mapped yet.")

    def test_characters_that_show_nothing_are_shown_by_their_code(self):
        """A row of the database may have them; the API takes none."""
        service = self.start_service()
        port = self.stream(service, backend="127.0.0.1:7", label="x", note="x")
        service.stop()
        with contextlib.closing(sqlite3.connect(service.database)) as database, database:
            database.execute("UPDATE streams SET label = ?, note = ?",
                             ("safe\u202egpj.exe", "a\u200bb\u0085\u5317"))
        service.start()
        page = self.open(service)
        page.wait_text("safe\\u{202e}gpj.exe", ".label")
        page.go(f"{self.origin}/#/streams/{port}")
        page.wait_text("a\\u{200b}b\\u{85}\u5317", ".facts")
        self.assertNotRegex(page.eval("document.body.innerText"), "[\u202e\u200b\u0085]")

    def test_the_page_hides_the_same_characters_as_the_log(self):
        """tests/base/hidden_text_test.cc holds base/hidden_text to the same list."""
        ranges = [line.split()[0].split("..") for line in HIDDEN.read_text("ascii").splitlines()
                  if line and not line.startswith("#")]
        hidden = {each for first, last in ranges for each in range(int(first, 16), int(last, 16) + 1)}
        page = self.open(self.start_service())
        shown = page.eval("""import("/ui/dom.js").then(({visible}) => {
          const coded = [];
          for (let each = 0; each <= 0x10ffff; ++each) {
            const text = "a" + String.fromCodePoint(each);
            if (visible(text) !== text) coded.push(each);
          }
          return [coded, ["\\u0645\\u200c\\u062e", "\\u2764\\ufe0f\\u200d\\u{1f525}", "w\\u200deb\\ufe0f",
                          "\\u0645\\u200c\\u200c"].map(visible)];
        })""")
        self.assertEqual(set(shown[0]), hidden - {0x9, 0xa})
        self.assertEqual(shown[1], ["\u0645\u200c\u062e", "\u2764\ufe0f\u200d\U0001f525",
                                    "w\\u{200d}eb\\u{fe0f}", "\u0645\u200c\\u{200c}"])

    def test_a_good_token_is_kept_where_others_have_shown_too_many_wrong_ones(self):
        service = self.start_service(flags={"api-auth": "always"})
        token = self.tokens(service, "admin")["admin"]
        self.expected = {401}
        page = self.open(service)
        page.fill("Token", token)
        page.click("Use token", "dialog")
        page.wait_text("Nothing is mapped yet.")
        # From loopback, where this test is, wrong ones only wait.
        self.answer(page, "/v1/", 429, {"detail": "too many tokens that are not valid came"})
        self.turn(page)
        page.wait_text("Too many tokens that are not valid came", "#trouble")
        self.assertTrue(page.eval("!document.querySelector('dialog')"))
        self.answer_truly(page)
        self.turn(page)
        page.wait("document.getElementById('trouble').hidden")
        self.assertEqual(page.text("#token"), "Forget token")

    def test_what_a_viewer_may_not_is_said(self):
        service = self.start_service(flags={"api-auth": "always"})
        tokens = self.tokens(service, "viewer")
        self.expected = {401, 403}
        page = self.open(service)
        page.fill("Token", tokens["viewer"])
        page.click("Use token", "dialog")
        page.click("New stream …")
        page.fill("Backend", "127.0.0.1:7")
        page.click("Create", "dialog")
        page.wait_text("viewer", "dialog .problem")
        self.assertEqual(service.sql("SELECT count(*) FROM streams"), [(0,)])

    @unittest.skipUnless(OPENSSL, "openssl is not installed")
    def test_it_works_behind_a_proxy_that_speaks_tls(self):
        service = self.start_service(flags={"api-auth": "always"})
        token = self.tokens(service, "admin")["admin"]
        key = self.dir / "key.pem"
        made = harness.run(OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2,
                           "-subj", "/CN=localhost", "-keyout", key, "-out", key.with_name("cert.pem"))
        self.assertEqual(made.returncode, 0, made.stderr)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(key.with_name("cert.pem"), key)

        def serve(client):
            with context.wrap_socket(client, server_side=True) as ours, \
                    peers.connect(service.api_port) as theirs:
                carry_both_ways(ours, theirs)

        proxy = self.backend(serve)
        self.expected = {401}
        page = self.open(service, flags=["--ignore-certificate-errors"],
                         origin=f"https://localhost:{proxy.port}")
        page.fill("Token", token)
        page.click("Use token", "dialog")
        page.click("New stream …")
        page.fill("Backend", "127.0.0.1:7")
        page.click("Create", "dialog")
        page.wait_text(f"{service.ports[0]} → 127.0.0.1:7", "h1")
        self.assertEqual(service.sql("SELECT port FROM streams"), [(service.ports[0],)])

    def test_another_page_can_lead_to_it_but_not_frame_it(self):
        """Where browsers mark nothing, by its policy: a click on it is meant."""
        service = self.start_service(flags={"api-auth": "off"})
        reply = service.get("/", headers={"Host": "192.0.2.1"})
        self.assertIn("frame-ancestors 'none'", reply.headers["Content-Security-Policy"])
        for dest, status in (("document", 200), ("iframe", 403)):
            reply = service.get("/", headers={"Sec-Fetch-Site": "cross-site",
                                              "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": dest})
            self.assertEqual(reply.status, status, dest)
        port = self.stream(service, backend="127.0.0.1:7")
        elsewhere = self.open(service)
        address = f"http://localhost:{service.api_port}/#/streams/{port}"
        # Another site than 127.0.0.1, to a browser.
        elsewhere.eval(f"location.href = '{address}'")
        self.origin = f"http://localhost:{service.api_port}"
        elsewhere.wait_text(f"{port} → 127.0.0.1:7", "h1")
        elsewhere.urls = [url for url in elsewhere.urls if url.startswith(self.origin)]


class Hands(ui_case.Ui):
    """Without a mouse, and on a small screen."""

    host = "localhost"

    def test_everything_is_reached_by_the_keyboard(self):
        service = self.start_service()
        port = self.stream(service, backend="127.0.0.1:7")
        page = self.open(service)
        page.wait_text(str(port), "td.port")
        focused = "document.activeElement.innerText?.trim() || document.activeElement.id"
        seen = []
        while len(seen) < 30 and str(port) not in seen:
            page.press("Tab", 9)
            seen.append(page.eval(focused))
            if seen[-1] != "as-of":  # the parts of a time are the browser's to mark
                self.assertTrue(page.eval("document.activeElement.matches(':focus-visible')"), seen)
        order = ["Skip to the content", "stream-conductor", "Token …", "New stream …", "search",
                 str(port)]
        self.assertEqual([each for each in seen if each in order], order)
        page.press("Enter", 13, "\r")
        page.wait_text(f"{port} → ", "h1")
        self.assertEqual(page.eval("document.activeElement.tagName"), "H1")

        for _ in range(20):
            page.press("Tab", 9)
            if page.eval(focused) == "Remove …":
                break
        page.press("Enter", 13, "\r")
        page.wait("!!document.querySelector('dialog[open]')")
        page.press("Escape", 27)
        page.wait("!document.querySelector('dialog')")
        self.assertEqual(page.eval(focused), "Remove …")
        self.assertEqual(len(service.streams()), 1)

    def test_each_control_has_a_name_and_errors_are_told(self):
        service = self.start_service()
        port = self.stream(service, backend="127.0.0.1:7", label="web")
        page = self.open(service, f"#/streams/{port}")
        page.click("Edit …")
        self.expected = {422}
        page.fill("Backend", "")
        page.click("Change", "dialog")
        page.wait("!!document.querySelector('[aria-invalid=true]')")
        tree = page.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "textbox", "link", "combobox", "checkbox", "image", "dialog"}
        nameless = [node["role"]["value"] for node in tree
                    if not node["ignored"] and node["role"]["value"] in roles
                    and not node.get("name", {}).get("value")]
        self.assertEqual(nameless, [])
        wrong = next(node for node in tree if node.get("name", {}).get("value") == "Backend"
                     and node["role"]["value"] == "textbox")
        self.assertIn("is not host:port", wrong["description"]["value"])

    def test_nothing_is_wider_than_a_phone(self):
        service = self.start_service()
        long = "very-" * 12 + "long"
        port = self.stream(service, backend=f"{'a' * 60}.{'b' * 60}.example:2000", label=long,
                           owner=long, note=long)
        page = self.open(service)
        for scheme in ("light", "dark"):
            page.set_view(360, 740, scheme)
            page.go(f"{self.origin}/#/")
            page.wait_text(long, ".label")
            self.assertEqual(page.eval("document.documentElement.scrollWidth"), 360)
            page.go(f"{self.origin}/#/streams/{port}")
            page.wait_text(long, ".facts")
            self.assertEqual(page.eval("document.documentElement.scrollWidth"), 360)
            page.click("Edit …")
            self.assertEqual(page.eval("document.querySelector('dialog').scrollWidth <= "
                                       "document.querySelector('dialog').clientWidth"), True)
            page.press("Escape", 27)


if __name__ == "__main__":
    unittest.main(verbosity=2)
