#!/usr/bin/env python3
"""The page, as a person uses it, in a headless Chromium against the built binary.

`ui_test.py --screenshots DIR` takes pictures of it instead, wide and narrow, light and dark.
"""

import datetime
import json
import subprocess
import sys
import unittest

import harness
import peers
import ui_case
from waiting import wait_until

HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"


class Streams(ui_case.Ui):
    def test_a_stream_is_created_by_the_form_carries_bytes_that_the_graph_shows_and_is_removed(self):
        service = self.start_service()
        echo = self.backend(peers.echo)
        page = self.open(service)
        page.wait_text("Nothing is mapped yet.")
        self.expected = {422, 404}
        page.click("New stream …")
        page.fill("Backend", "nohost")
        page.fill("Label", "web")
        page.click("Create", "dialog")
        told = service.get("/v1/streams", "POST", {"Content-Type": "application/json"},
                           '{"backend": "nohost"}').json["errors"][0]["detail"]
        page.wait_text(told, "dialog .field [aria-invalid=true] + .wrong")
        self.assertTrue(page.eval(f"document.activeElement === {page.field('Backend')}"))
        self.assertEqual(service.streams(), {})
        page.fill("Backend", echo.address)
        page.click("Create", "dialog")
        port = service.ports[0]
        page.wait_text(f"{port} → {echo.address}", "h1")
        self.assertEqual(page.eval("location.hash"), f"#/streams/{port}")
        self.assertEqual(service.streams(), {port: echo.address})
        page.wait_text("listening", ".state-line")
        page.wait_text("web", ".facts")

        client = self.client(port)
        page.wait("document.querySelector('.key.in b').innerText === '0 B/s'")

        def moved():
            self.say(client, b"x" * 10000)
            return page.eval("!['–', '0 B/s'].includes(document.querySelector('.key.in b').innerText)"
                             " && !['–', '0 B/s'].includes("
                             "document.querySelector('.key.out b').innerText)")

        wait_until(moved, 15, "rates of more than 0")
        # 100 is the bottom of the drawing, 0 its top.
        heights = page.eval("document.querySelector('.graph .line.in').getAttribute('d')"
                            ".split(/[ML]/).filter(Boolean).map((point) => Number(point.split(' ')[1]))")
        self.assertLess(min(heights), 90, heights)
        page.wait_text("1", ".key.sessions b")
        page.wait_text(f"127.0.0.1:{client.getsockname()[1]}", "section.sessions")

        page.click("Remove …")
        page.fill("Running sessions may take", "soon")
        self.expected.add(400)
        page.click("Remove it", "dialog")
        page.wait_text("is 0 or a duration such as 30s", "dialog .problem")
        page.fill("Running sessions may take", "0")
        page.click("Remove it", "dialog")
        page.wait_text("Nothing is mapped yet.")
        self.assertEqual(service.streams(), {})
        self.assertFalse(peers.accepts(port))

    def test_a_stream_is_changed_unless_somebody_else_has_changed_it(self):
        service = self.start_service()
        port = self.stream(service, backend="127.0.0.1:7", note="first", max_sessions=5)
        page = self.open(service, f"#/streams/{port}")
        page.click("Edit …")
        page.fill("Note", "second")
        page.click("Limits and more", "dialog")
        self.assertEqual(page.eval(f"{page.field('Sessions at most')}.value"), "5")
        page.fill("Sessions at most", "")
        page.click("Change", "dialog")
        page.wait_text("second", ".facts")
        now = service.get(f"/v1/streams/{port}").json
        self.assertEqual((now["note"], now["max_sessions"]), ("second", None))
        page.wait_text("changed", ".history")

        page.click("Edit …")
        page.fill("Note", "third")
        self.stream(service, port=port, backend="127.0.0.1:7", note="somebody else's")
        self.expected = {412}
        page.click("Change", "dialog")
        page.wait_text("it is not any more what If-Match says", "dialog .problem")
        page.press("Escape", 27)
        page.wait("!document.querySelector('dialog')")
        self.assertEqual(service.get(f"/v1/streams/{port}").json["note"], "somebody else's")

    def test_a_stream_that_is_not_there_is_said_to_be_so_and_can_be_made(self):
        service = self.start_service()
        port = service.ports[3]
        self.expected = {404}
        page = self.open(service, f"#/streams/{port}")
        page.wait_text(f"Port {port} has no stream.")
        page.click("New stream here …")
        page.fill("Backend", "127.0.0.1:7")
        page.click("Create", "dialog")
        page.wait_text(f"{port} → 127.0.0.1:7", "h1")

    def test_texts_of_others_are_texts(self):
        service = self.start_service()
        port = self.stream(service, backend="127.0.0.1:7", label=HOSTILE[:60], note=HOSTILE,
                           owner=HOSTILE[:60])
        page = self.open(service)
        page.wait_text(HOSTILE[:60], ".label")
        page.go(f"{self.origin}/#/streams/{port}")
        page.wait_text(HOSTILE, ".facts")
        self.assertEqual(page.eval("document.querySelectorAll('main img, main script').length"), 0)

    def test_numbers_are_said_in_words_of_three_digits_at_most(self):
        page = self.open(self.start_service())

        def said(function, *values):
            return page.eval(f"import('/ui/format.js').then(({{{function}}}) => "
                             f"{json.dumps(values)}.map((value) => {function}(value)))")

        self.assertEqual(said("bytes", 0, 999, 1000, 9949, 9950, 99999, 999499, 999500, 12e9, None),
                         ["0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "100 kB", "999 kB", "1.0 MB",
                          "12 GB", "–"])
        self.assertEqual(said("duration", 0, 0.009, 0.04, 0.29, 0.9999, 9.89, 41.7, 2500, 59999, 185000, 7380000, 2e8,
                              None),
                         ["0 ms", "under 0.01 ms", "0.04 ms", "0.29 ms", "1.0 ms", "9.9 ms", "42 ms",
                          "2.5 s", "1 min 0 s", "3 min 5 s", "2 h 3 min", "2 d 8 h", "–"])

    def with_many_streams(self):
        """120 of them, one in two disabled, which are two pages."""
        service = self.start_service(120)
        streams = [{"port": port, "backend": f"backend{port}.example:1", "enabled": port % 2 == 0}
                   for port in service.ports]
        reply = service.get("/v1/streams:apply", "POST", {"Content-Type": "application/json"},
                            json.dumps({"streams": streams}))
        self.assertEqual(reply.status, 200)
        return service

    def there_and_back(self, page, service):
        """Goes to the second page and comes back; how the page is asked for the ports that it shows."""
        ports = "[...document.querySelectorAll('td.port')].map((cell) => Number(cell.innerText))"
        page.wait(f"{ports}.length === 100")
        page.click("Next")
        page.wait(f"{ports}.length === 20")
        self.assertEqual(page.eval(ports), list(service.ports[100:]))
        page.click("Previous")
        page.wait(f"{ports}.length === 100")
        return ports

    def test_many_streams_come_in_pages_and_are_found(self):
        service = self.with_many_streams()
        page = self.open(service)
        ports = self.there_and_back(page, service)
        last = service.ports[-1]
        page.fill("Find", f"BACKEND{last}")
        page.wait(f"{ports}.join() === '{last}'")
        page.fill("Find", "backend")
        page.wait_text("1 to 100 of 120 found")
        page.eval("(() => { const state = document.getElementById('state');"
                  "state.value = 'disabled'; state.dispatchEvent(new Event('change')); })()")
        page.wait_text("1 to 60 of 60 found")
        self.assertEqual(page.eval(ports), [port for port in service.ports if port % 2])

    def test_many_streams_of_another_time_come_in_pages_and_are_found(self):
        service = self.with_many_streams()
        then = service.sql("SELECT max(at) FROM stream_events")[0][0]
        page = self.open(service, f"#/as-of/{then}")
        self.watch_timers(page)
        ports = self.there_and_back(page, service)
        page.fill("Find", f"BACKEND{service.ports[-1]}")
        page.wait(f"{ports}.join() === '{service.ports[-1]}'")
        page.fill("Find", "")
        page.wait(f"{ports}.length === 100")
        page.eval("(() => { const state = document.getElementById('state');"
                  "state.value = 'disabled'; state.dispatchEvent(new Event('change')); })()")
        page.wait(f"{ports}.length === 60")
        # What is still to be looked for when somebody goes is not.
        typed, left = page.eval("""new Promise((done) => {
          const search = document.getElementById('search');
          search.dispatchEvent(new Event('input'));
          const typed = [...armed.values()].includes(150);
          addEventListener('hashchange', () => done([typed, [...armed.values()].includes(150)]));
          location.hash = '#/streams/1';
        })""")
        self.assertEqual((typed, left), (True, False))
        self.expected = {404}

    def test_a_time_that_cannot_be_read_leads_to_the_streams_as_they_are(self):
        service = self.start_service()
        port = self.stream(service, backend="127.0.0.1:7")
        page = self.open(service, f"#/streams/{port}")
        for time in ("%E0%A4%A", "yesterday", ""):
            page.wait_text(f"{port} → 127.0.0.1:7", "h1")
            page.eval(f"void (location.hash = '#/as-of/{time}')")
            page.wait_text("New stream …")
            page.wait_text(str(port), "td.port")
            page.click(str(port))

    def test_what_was_mapped_at_another_time_is_shown_and_cannot_be_changed(self):
        service = self.start_service()
        self.stream(service, backend="first.example:1")
        then = service.sql("SELECT at FROM stream_events")[0][0]
        self.stream(service, backend="second.example:2")
        page = self.open(service)
        page.wait_text("second.example:2")
        time = datetime.datetime.fromisoformat(then.replace("Z", "+00:00"))
        later = time.replace(microsecond=0) + datetime.timedelta(seconds=1)
        wait_until(lambda: datetime.datetime.now(datetime.timezone.utc) > later)
        local = page.eval(f"(() => {{ const time = new Date('{then}'); time.setMinutes("
                          "time.getMinutes() - time.getTimezoneOffset());"
                          "return time.toISOString().slice(0, 19); })()")
        page.eval(f"document.getElementById('as-of').value = '{local}'")
        page.click("Show")
        page.wait_text("Streams as they were", "h1")
        # The picker has seconds, the service milliseconds.
        page.wait("location.hash.startsWith('#/as-of/')")
        page.wait_text("Nothing was mapped." if not then.endswith(".000Z") else "first.example:1")
        page.go(f"{self.origin}/#/as-of/{then}")
        page.wait_text("first.example:1", "td.backend")
        self.assertEqual(page.eval("document.querySelectorAll('main td a, main td button').length"), 0)
        self.assertNotIn("New stream", page.text("main"))
        page.wait_text("Read-only", ".past-mark")
        page.click("Back to now")
        page.wait_text("second.example:2", "td.backend")


class Sessions(ui_case.Ui):
    def test_a_failure_is_explained_in_the_services_words_and_says_whose_fault_it_was(self):
        service = self.start_service()
        backend = self.backend(peers.echo)
        port = self.stream(service, backend=backend.address)
        page = self.open(service, f"#/streams/{port}")
        page.wait_text("No session has failed.")
        self.say(self.client(port))
        backend.close()
        self.fail_to_connect(port)
        page.wait_text("backend_refused", ".failures")
        told = service.get(f"/v1/streams/{port}/failures").json["failures"][0]
        self.assertIn("ECONNREFUSED", told["message"])
        page.wait_text(told["message"], ".failures")
        page.wait_text("the backend's fault", ".failures")
        page.wait_text("backend_refused 1", ".ends")

        page.click("Check backend")
        page.wait_text("Not reachable.", ".check")
        page.wait_text(f"{backend.address} failed (ECONNREFUSED) after", ".check .tried")
        page.click("Close", ".check")
        again = self.backend(peers.echo)
        self.stream(service, port=port, backend=again.address)
        page.wait_text(f"{port} → {again.address}", "h1")
        page.click("Check backend")
        page.wait_text(f"Reachable. {again.address} is reached", ".check")

    def test_a_session_is_looked_into_and_killed(self):
        service = self.start_service()
        port = self.stream(service, backend=self.backend(peers.echo).address)
        page = self.open(service, f"#/streams/{port}")
        client, other = self.client(port), self.client(port)
        self.say(client, b"x" * 1234)
        self.say(other)
        name = f"127.0.0.1:{client.getsockname()[1]}"
        page.wait_text(name, "section.sessions")
        press = ("[...document.querySelectorAll('section.sessions button')].find((each) =>"
                 " each.getAttribute('aria-label') === '%s the session of " + name + "').click()")
        page.wait_text("1.2 kB", "section.sessions")
        page.eval(press % "Details of")
        page.wait_text("round trip", "dialog")
        page.wait_text(name, "dialog")
        page.click("Close", "dialog")
        page.eval(press % "End")
        page.wait_text(name, "dialog")
        page.click("Cancel", "dialog")
        self.say(client)
        page.eval(press % "End")
        page.click("End it", "dialog")
        page.wait_text(f"The session of {name} is ended", "#said")
        self.assertRaises(ConnectionError, peers.read_all, client)
        self.say(other)
        page.wait(f"!document.querySelector('section.sessions tbody').innerText.includes('{name}')")
        page.wait_text("killed 1", ".ends")
        page.wait_text("an operator ended it", ".failures")

    def test_what_happens_while_nobody_looks_is_there_afterwards(self):
        service = self.start_service()
        port = self.stream(service, backend=f"127.0.0.1:{peers.free_ports(1)}")
        page = self.open(service, f"#/streams/{port}")
        self.watch_timers(page)
        page.wait_text("No session has failed.")
        page.wait("armed.size === 4", what="it asks for status, stream, sessions and past")
        other = page.browser.page()
        page.wait_text("No session runs.")
        page.wait_text("created", ".history")
        other.call("Page.bringToFront")
        page.wait("document.hidden")
        self.fail_to_connect(port)
        wait_until(lambda: service.get(f"/v1/streams/{port}/failures").json["failures"])
        self.assertEqual(page.eval("[...armed.values()]"), [])  # so nothing will be asked
        self.assertNotIn("backend_refused", page.text(".failures"))
        page.call("Page.bringToFront")
        page.wait_text("backend_refused", ".failures")

    def test_a_flood_of_failures_is_drawn_once_a_frame_and_none_is_lost_while_they_are_loaded(self):
        page = self.open(self.start_service())
        told = page.eval("""import('/ui/past.js').then(async ({FailuresPanel}) => {
          const ended = (id) => ({id, accepted_at: '2026-01-01T00:00:00Z', reason: 'backend_refused',
            fault: 'backend', message: `number ${id}`, phase: 'dialing', ended_after_ms: 1,
            bytes_in: 0, bytes_out: 0, client: '127.0.0.1:1', tried: []});
          const frame = () => new Promise((done) => requestAnimationFrame(done));
          const shown = (panel) => panel.failures.map(({id}) => id);
          const panel = new FailuresPanel(1);
          let draws = 0;
          new MutationObserver(() => ++draws).observe(panel.list, {childList: true});
          for (let id = 1; id <= 500; ++id) {
            panel.add(ended(id));
            if (id % 50 === 0) await null;
          }
          const early = panel.list.children.length;
          await frame();
          const flood = {early, draws, first: shown(panel)[0], drawn: panel.list.children.length};

          const really = window.fetch;
          let answer;
          window.fetch = (path, options) => path !== '/v1/streams/1/failures' ? really(path, options)
            : new Promise((done) => { answer = done; });
          const loading = panel.load();
          for (const id of [502, 503, 503]) panel.add(ended(id));
          answer(new Response(JSON.stringify({failures: [502, 501].map(ended)})));
          await loading;
          const loaded = shown(panel);
          await frame();
          return {flood, loaded, later: shown(panel)};
        })""")
        self.assertEqual(told["flood"], {"early": 0, "draws": 1, "first": 500, "drawn": 100})
        self.assertEqual(told["loaded"], [503, 502, 501])
        self.assertEqual(told["later"], [503, 502, 501])


class Troubles(ui_case.Ui):
    def test_that_the_page_is_outdated_is_said_beside_what_comes_and_goes(self):
        page = self.open(self.start_service())
        page.wait_text("Nothing is mapped yet.")
        page.wait_text("version", "#status")
        status = page.eval("fetch('/v1/status').then((response) => response.json())")
        self.answer(page, "/v1/status", 200, {**status, "version": "99"})
        self.turn(page)
        page.wait_text("now version 99: reload this page", "#outdated")
        self.answer(page, "/v1/", 0)
        self.turn(page)
        page.wait_text("The service does not answer", "#trouble")
        page.wait("!!document.querySelector('#status.lost')")
        self.answer_truly(page)
        self.turn(page)
        page.wait("document.getElementById('trouble').hidden")
        page.wait("!document.querySelector('#status.lost')")
        self.assertIn("version 99", page.text("#outdated"))

    def test_what_is_wrong_with_one_thing_is_said_until_that_is_well(self):
        service = self.start_service()
        port = self.stream(service, backend=self.backend(peers.echo).address)
        page = self.open(service, f"#/streams/{port}")
        client = self.client(port)
        self.say(client)
        page.wait_text(f"127.0.0.1:{client.getsockname()[1]}", "section.sessions")
        self.answer(page, "/v1/sessions[?]", 500, {"detail": "no sessions today"})
        page.wait_text("No sessions today", "#trouble")
        page.eval("""(() => {
          window.hidden_once = false;
          const line = document.getElementById('trouble');
          new MutationObserver(() => { hidden_once ||= line.hidden || !line.innerText; })
            .observe(line, {attributes: true, childList: true, subtree: true});
        })()""")
        carried = "document.querySelector('.facts').innerText"
        self.say(client, b"x" * 100000)
        page.wait(f"{carried}.includes('100 kB in')", what="the stream is well")
        self.assertEqual(page.eval("[hidden_once, document.querySelector('#trouble').innerText]"),
                         [False, "No sessions today"])
        self.answer_truly(page)
        page.wait("document.getElementById('trouble').hidden")

        # A click's is told where nothing clears it but a person.
        self.answer(page, "/v1/sessions/", 404, {"detail": "no session that runs has the id"})
        page.click("Details", "section.sessions")
        page.wait_text("no session that runs has the id", "dialog .problem")
        self.say(client, b"x" * 100000)
        page.wait(f"{carried}.includes('200 kB in')")
        self.assertIn("no session that runs", page.text("dialog .problem"))
        self.assertTrue(page.eval("document.getElementById('trouble').hidden"))
        page.click("Close", "dialog")

    def test_older_history_that_cannot_be_had_is_told_beside_its_button(self):
        service = self.start_service()
        for number in range(30):
            port = self.stream(service, backend="127.0.0.1:7", label=f"label {number}")
        page = self.open(service, f"#/streams/{port}")
        entries = "document.querySelectorAll('.history li').length"
        page.wait(f"{entries} === 25")
        self.answer(page, "cursor=", 503, {"detail": "history cannot be read"})
        page.click("Older", ".history")
        page.wait_text("history cannot be read", ".history .problem")
        self.answer_truly(page)
        page.click("Older", ".history")
        page.wait(f"{entries} === 30")
        self.assertEqual(page.eval("document.querySelector('.history .problem').textContent"), "")

    def test_the_page_goes_on_when_the_service_is_back(self):
        service = self.start_service()
        port = self.stream(service, backend="127.0.0.1:7")
        page = self.open(service, f"#/streams/{port}")
        page.wait_text("listening", ".state-line")
        service.flags["bind-port"] = service.api_port
        service.kill9()
        page.wait_text("The service does not answer", "#trouble")
        service.start()
        page.wait("document.getElementById('trouble').hidden", 40)
        service.remove(port)
        self.expected = {404}
        page.wait_text(f"Port {port} has no stream.")
        page.complaints = [each for each in page.complaints
                           if "ERR_CONNECTION" not in each and "ERR_INCOMPLETE" not in each
                           and "ERR_EMPTY" not in each]


if __name__ == "__main__":
    if "--screenshots" in sys.argv:
        sys.exit(subprocess.call([sys.executable, harness.ROOT / "tests/e2e/ui_screenshots.py",
                                  sys.argv[sys.argv.index("--screenshots") + 1]]))
    unittest.main(verbosity=2)
