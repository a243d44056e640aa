#!/usr/bin/env python3
"""Pictures of the page with something on it, to be looked at: ui_screenshots.py DIR"""

import json
import pathlib
import random
import sys
import threading
import time
import unittest

import chromium
import peers
import ui_case

VIEWS = [(width, height, scheme) for width, height in ((1280, 800), (360, 740))
         for scheme in ("light", "dark")]
FILL_SECONDS = 45  # until the graphs have something to show
LABELS = ("db", "web", "mail", "git", None)
OWNERS = ("alice", "bob", None)


def generous(client):
    """Sends back four times what it gets."""
    while chunk := client.recv(65536):
        client.sendall(4 * chunk)


def sink(client):
    while client.recv(1 << 20):
        pass


class Load:
    """Clients that send at a rate which wanders, until the end."""

    def __init__(self):
        self.stopping = threading.Event()
        self.threads = []

    def add(self, port, size, answer):
        """`answer`: bytes that come back for each."""
        thread = threading.Thread(target=self._run, args=(peers.connect(port), size, answer))
        thread.start()
        self.threads.append(thread)

    def _run(self, client, usual, answer):
        size = usual
        with client:
            while not self.stopping.wait(0.2):
                size = min(3 * usual, max(usual // 3, int(size * random.uniform(0.7, 1.4))))
                client.sendall(b"x" * size)
                peers.read_exactly(client, answer * size)

    def close(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(20)


class Pictures(ui_case.Ui):
    directory = pathlib.Path(".")

    def fill(self, service):
        backends = (self.backend(generous), self.backend(sink))
        gone = f"127.0.0.1:{peers.free_ports(1)}"
        for i, port in enumerate(service.ports[:14]):
            backend = backends[i % 2].address if i < 6 else f"srv{i}.internal.example:{2000 + i}"
            body = {"backend": gone if i == 7 else backend, "label": LABELS[i % 5],
                    "owner": OWNERS[i % 3], "enabled": i != 9,
                    "note": "moved here from edge3 in October" if i == 0 else None,
                    "idle_timeout": "10m" if i == 0 else None}
            service.get(f"/v1/streams/{port}", "PUT", {"Content-Type": "application/json"},
                        json.dumps(body))
        for i in (6, 7, 7, 7):
            self.fail_to_connect(service.ports[i])
        load = Load()
        self.addCleanup(load.close)
        for i in range(5):
            for _ in range(i + 1):
                load.add(service.ports[i], 300 * 5 ** i, (4, 0)[i % 2])
        return service.ports[2], service.ports[7]

    def shoot(self, page, name):
        for width, height, scheme in VIEWS:
            page.set_view(width, height, scheme)
            whole = max(height, min(4000, page.eval("document.documentElement.scrollHeight")))
            for kind, tall in (("", height), ("-whole", whole)):
                page.set_view(width, tall, scheme)
                page.eval("new Promise((done) => setTimeout(done, 300))")
                page.screenshot(self.directory / f"{name}-{width}-{scheme}{kind}.png")

    def test_pictures(self):
        service = self.start_service(20)
        busy, broken = self.fill(service)
        browser = chromium.Browser(self.dir)
        self.addCleanup(browser.close)
        page = browser.page()
        page.set_view(1280, 800)
        origin = f"http://127.0.0.1:{service.api_port}"
        page.go(f"{origin}/")
        time.sleep(FILL_SECONDS)
        self.shoot(page, "list")
        page.click("New stream …")
        page.fill("Backend", "nohost")
        page.click("Create", "dialog")
        page.wait("!!document.querySelector('[aria-invalid=true]')")
        self.shoot(page, "form")
        page.press("Escape", 27)
        page.go(f"{origin}/#/streams/{busy}")
        time.sleep(FILL_SECONDS)
        page.wait("document.querySelectorAll('section.sessions tbody tr').length > 0")
        self.shoot(page, "busy")
        page.eval("document.querySelector('section.sessions button').click()")
        page.wait("!!document.querySelector('dialog')")
        self.shoot(page, "session")
        page.press("Escape", 27)
        page.go(f"{origin}/#/streams/{broken}")
        page.click("Check backend")
        page.wait_text("Not reachable", ".check")
        self.shoot(page, "broken")
        then = service.sql("SELECT max(at) FROM stream_events")[0][0]
        page.go(f"{origin}/#/as-of/{then}")
        page.wait_text("Read-only")
        self.shoot(page, "as-of")
        self.assertGreaterEqual(len(list(self.directory.glob("*.png"))), 2 * 6 * len(VIEWS))


if __name__ == "__main__":
    Pictures.directory = pathlib.Path(sys.argv[1])
    Pictures.directory.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
