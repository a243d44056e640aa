"""What the tests of the page share: a browser with the page, which has to behave whatever is done to it."""

import json
import re
import unittest

import chromium
import harness
import peers

# What the page is refused is the browser's to log, whatever the page makes of it.
REFUSED = re.compile(r"^Failed to load resource: the server responded with a status of (\d+)")
STORED = """(async () => [document.cookie, localStorage.length, sessionStorage.length,
  (await indexedDB.databases()).length, (await caches.keys()).length])()"""
NOTHING_STORED = ["", 0, 0, 0, 0]
# The timers that are armed, with their milliseconds.
TIMERS = """(() => {
  window.armed = new Map();
  const {setTimeout: arm, clearTimeout: disarm} = window;
  window.setTimeout = (work, ms) => {
    const id = arm(() => { armed.delete(id); work(); }, ms);
    armed.set(id, ms);
    return id;
  };
  window.clearTimeout = (id) => { armed.delete(id); disarm(id); };
})()"""
ANSWER = """((pattern, status, json) => {
  window.really ??= window.fetch;
  window.fetch = (path, options) => !new RegExp(pattern).test(path) ? really(path, options)
    : status ? Promise.resolve(new Response(JSON.stringify(json), {status}))
             : Promise.reject(new TypeError("nobody answers"));
})"""


@unittest.skipUnless(chromium.PROGRAM, "chromium is not installed")
class Ui(harness.EndToEnd):
    """After each test: nothing was complained of, asked of another host, or stored."""

    host = "127.0.0.1"

    def setUp(self):
        super().setUp()
        self.expected = set()  # statuses that a test provokes
        self.origin = None

    def open(self, service, view="#/", origin=None, flags=()):
        self.origin = origin or f"http://{self.host}:{service.api_port}"
        browser = chromium.Browser(self.dir, *flags)
        self.addCleanup(browser.close)
        page = browser.page()
        self.addCleanup(self.check_page, page)
        page.set_view(1280, 800)
        page.go(f"{self.origin}/{view}")
        return page

    def check_page(self, page):
        for complaint in page.complaints:
            refused = REFUSED.match(complaint)
            self.assertTrue(refused and int(refused[1]) in self.expected, complaint)
        for url in page.urls:
            self.assertTrue(url.startswith((f"{self.origin}/", "data:image/")), url)
        self.assertEqual(page.eval(STORED), NOTHING_STORED)

    def watch_timers(self, page):
        """Loads it again: from then on `armed` has its timers."""
        page.call("Page.addScriptToEvaluateOnNewDocument", source=TIMERS)
        page.call("Page.reload")
        page.wait("window.armed && document.readyState === 'complete'")

    def answer(self, page, pattern, status, json_value=None):
        """What is asked of such paths is not asked of the service; status 0: nobody answers."""
        page.eval(f"{ANSWER}({json.dumps(pattern)}, {status}, {json.dumps(json_value)})")

    def answer_truly(self, page):
        page.eval("void (window.fetch = window.really)")

    def turn(self, page):
        """All that is asked again and again is asked now, as if somebody had looked away and back."""
        page.eval("void document.dispatchEvent(new Event('visibilitychange'))")

    def stream(self, service, **fields):
        """A stream by v1; its port."""
        port = fields.setdefault("port", service.ports[0])
        reply = service.get(f"/v1/streams/{port}", "PUT", {"Content-Type": "application/json"},
                            json.dumps(fields))
        self.assertIn(reply.status, (200, 201), reply)
        return port

    def say(self, client, text=b"hello"):
        client.sendall(text)
        self.assertEqual(peers.read_exactly(client, len(text)), text)

    def fail_to_connect(self, port):
        """A client whose backend is not reached; on a quick machine it is reset at once."""
        with self.assertRaises(ConnectionError):
            with peers.connect(port) as client:
                peers.read_all(client)
