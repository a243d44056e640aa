#!/usr/bin/env python3
"""A web page in a real browser tries to use the API in every way that a page has, and cannot."""

import http.server
import socketserver
import subprocess
import threading
import unittest

import chromium
import harness
import peers
from waiting import wait_until

REBOUND = "rebound.test"  # a name of the page's owner, which leads to this host by now

# Everything that sends without asking the other side first, and what asks first as well. `target` is
# an origin of the API; each way has a port of its own, so that what came through can be named.
PAGE = """<!doctype html><title>page</title><body><script>
const target = "%(target)s", backend = "127.0.0.1:7", gone = "%(gone)s";
const ports = [%(ports)s];
const create = (way) => `${target}/createstream/${ports[way]}/${backend}`;
const wait = [];
function element(name, attributes) {
  wait.push(new Promise((done) => {
    const made = document.createElement(name);
    for (const key in attributes) made[key] = attributes[key];
    made.onload = made.onerror = done;
    setTimeout(done, 4000);  // a prefetch may never say how it ended
    document.body.append(made);
  }));
}
function form(method, action) {
  const frame = document.createElement("iframe");
  frame.name = "frame" + method + Math.random();
  const made = document.createElement("form");
  made.method = method; made.action = action; made.target = frame.name;
  if (method == "post") {
    made.enctype = "text/plain";
    const field = document.createElement("input");
    field.name = '{"port":' + ports[9] + ',"backend":"' + backend + '","x":"';
    field.value = '"}';
    made.append(field);
  }
  wait.push(new Promise((done) => { frame.onload = done; setTimeout(done, 4000); }));
  document.body.append(frame, made);
  made.submit();
}
const send = (url, options) => wait.push(fetch(url, options).catch(() => {}));
element("img", {src: create(0)});
form("get", create(1));
form("post", create(1));
form("post", target + "/v1/streams");
send(create(2), {mode: "no-cors"});
send(create(3));
for (const type of ["text/plain", "application/json"])
  send(target + "/v1/streams", {method: "POST", mode: type == "text/plain" ? "no-cors" : "cors",
    headers: {"Content-Type": type}, body: `{"port":${ports[9]},"backend":"${backend}"}`});
send(`${target}/v1/streams/${gone}`, {method: "DELETE"});
element("script", {src: create(4)});
element("iframe", {src: create(5)});
element("link", {rel: "stylesheet", href: create(6)});
element("link", {rel: "prefetch", href: create(7)});
element("object", {data: create(8)});
element("img", {src: `${target}/removestream/${gone}`});
element("iframe", {src: `${target}/removestream/${gone}`});
send(`${target}/removestream/${gone}`, {mode: "no-cors"});
navigator.sendBeacon(create(8));
Promise.all(wait).then(() => fetch("/beacon?%(name)s"));
</script>"""


class Attacker(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves pages, and keeps which of them have run to their end."""

    daemon_threads = True

    def __init__(self, pages):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = pages
        self.beacons = set()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        page = self.server.pages.get(path)
        if path == "/beacon":
            self.server.beacons.add(query)
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write((page or "").encode())

    def log_message(self, *_):
        pass


class Recorder(http.server.BaseHTTPRequestHandler):
    """Takes whatever is asked, and keeps under which marks of the browser."""

    def do_GET(self):
        marks = {name: self.headers.get(name) for name in (
            "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Purpose")}
        self.server.asked[self.path.rstrip("?")] = marks  # a form adds one
        is_page = not self.path.startswith("/createstream/")
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if is_page:
            self.wfile.write(b"<!doctype html><title>recorder</title><body>")

    def log_message(self, *_):
        pass


# By each of them a person, or a page, has the browser open `url` at the top, or fetch it for later.
# `%s` is the URL.
OPENED = {
    "link": "link(%s).click()",
    "new tab": "link(%s, {target: '_blank', rel: 'noopener'}).click()",
    "download": "link(%s, {download: 'x.json'}).click()",
    "window": "window.open(%s)",
    "script": "window.location.assign(%s)",
    "prefetch": "head('link', {rel: 'prefetch', href: %s})",
    "image": "new Image().src = %s",
    "form": "form(%s)",
    "prerender": "head('script', {type: 'speculationrules', text: JSON.stringify({prerender: "
                 "[{source: 'list', urls: [%s], eagerness: 'immediate'}]})})",
}
# What the policy of the service's own page forbids it.
FORBIDDEN = ("prerender", "form")
HELPERS = """
const add = (where, name, attributes) => where.appendChild(Object.assign(
  document.createElement(name), attributes));
const head = (name, attributes) => add(document.head, name, attributes);
const link = (href, more) => add(document.body, 'a', {href, textContent: 'x', ...more});
const form = (action) => add(document.body, 'form', {action, method: 'get'}).submit();
"""


@unittest.skipUnless(chromium.PROGRAM, "chromium is not installed")
class Opened(harness.EndToEnd):
    """What a browser opens by itself, as no page of another site: links in a mail, redirects."""

    def server(self, handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        server.asked = {}
        return server

    def redirect_to(self, target):
        class Redirect(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(302)
                self.send_header("Location", f"{target}{self.path}")
                self.end_headers()

            def log_message(self, *_):
                pass

        return f"http://127.0.0.1:{self.server(Redirect).server_address[1]}"

    def open_in_every_way(self, target, first_port, forbidden=()):
        """Each way has a port of its own; gives the paths by ways."""
        ways = ["typed", "redirect"] + [way for way in OPENED if way not in forbidden]
        paths = {way: f"/createstream/{first_port + number}/127.0.0.1:7"
                 for number, way in enumerate(ways)}
        redirect = self.redirect_to(target)
        browser = chromium.Browser(self.dir)
        self.addCleanup(browser.close)
        browser.page().call("Page.navigate", url=f"{target}{paths['typed']}")
        browser.page().call("Page.navigate", url=f"{redirect}{paths['redirect']}")
        for way in ways[2:]:
            page = browser.page(f"{target}/")
            page.call("Runtime.evaluate", userGesture=True, expression=(
                "(() => {" + HELPERS + OPENED[way] % f"{paths[way]!r}" + "})()"))
        return paths, browser

    def test_what_a_browser_opens_changes_nothing_and_what_the_page_asks_does(self):
        service = self.start_service(12)
        base = f"http://127.0.0.1:{service.api_port}"
        refused = 'route="/createstream/{port}/{backend}",code="403"'

        def refusals():
            return sum(float(line.rsplit(" ", 1)[1])
                       for line in service.curl("/metrics").splitlines()
                       if "api_requests_total{" in line and refused in line)

        paths, browser = self.open_in_every_way(base, service.ports[0], FORBIDDEN)
        wait_until(lambda: refusals() >= len(paths), 30, "each way was refused")
        self.assertEqual(service.streams(), {})
        self.assertEqual(service.sql("SELECT count(*) FROM stream_events"), [(0,)])
        page = browser.page(f"{base}/")
        made = page.eval(f"fetch('/createstream/{service.ports[0]}/127.0.0.1:7')"
                         ".then((answer) => answer.json())")
        self.assertEqual(made["result"], "ok")
        self.assertEqual(service.streams(), {service.ports[0]: "127.0.0.1:7"})

    def test_the_ways_do_reach_a_server_and_browsers_mark_them(self):
        recorder = self.server(Recorder)
        paths, _ = self.open_in_every_way(f"http://127.0.0.1:{recorder.server_address[1]}", 9000)
        wait_until(lambda: set(paths.values()) <= set(recorder.asked), 30,
                   "each way reached the server")
        marks = {way: recorder.asked[path] for way, path in paths.items()}
        for way in ("typed", "redirect"):  # not to be told from each other
            self.assertEqual(marks[way]["Sec-Fetch-Site"], "none", marks)
        for way in ("link", "new tab", "download", "window", "script", "form", "prerender"):
            self.assertEqual(marks[way]["Sec-Fetch-Mode"], "navigate", (way, marks))
        for way in ("prefetch", "prerender"):
            self.assertIn("prefetch", marks[way]["Sec-Purpose"] or "", (way, marks))


@unittest.skipUnless(chromium.PROGRAM, "chromium is not installed")
class Browser(harness.EndToEnd):
    def setUp(self):
        super().setUp()
        self.echo = self.backend(peers.echo)

    def attacker(self):
        server = Attacker({})
        self.addCleanup(server.close)
        return server

    def browse(self, url):
        process = subprocess.Popen(
            [chromium.PROGRAM, *chromium.flags(self.dir / "profile"), "--remote-debugging-port=0",
             f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1", url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=harness.clean_environment(HOME=str(self.dir)), start_new_session=True)
        self.addCleanup(chromium.end_group, process)
        return process

    def attack(self, service, page_host, targets):
        """Opens a page for each of the API's origins; all of them run to their end."""
        mine = self.attacker()
        gone, *rest = service.ports
        for name, target in targets.items():
            mine.pages[f"/{name}"] = PAGE % {
                "target": target, "gone": gone, "name": name,
                "ports": ",".join(map(str, rest[:10]))}
        frames = "".join(f'<iframe src="/{name}"></iframe>' for name in targets)
        mine.pages["/"] = f"<!doctype html><title>all</title><body>{frames}"
        process = self.browse(f"http://{page_host}:{mine.server_address[1]}/")
        wait_until(lambda: mine.beacons == set(targets) or process.poll() is not None, 60,
                   "the pages' ends")
        self.assertEqual(mine.beacons, set(targets), "the pages did not run")
        chromium.end_group(process)

    def assert_unchanged(self, service, gone):
        self.assertEqual(service.streams(), {gone: self.echo.address})
        self.assertEqual(service.sql("SELECT count(*) FROM stream_events"), [(1,)])
        self.assertTrue(peers.accepts(gone))

    def assert_curl_can(self, service, host):
        """The same requests, from a program on this host."""
        port = service.ports[1]
        for path in (f"/createstream/{port}/127.0.0.1:7", f"/removestream/{port}"):
            self.assertIn('"ok"', service.curl(path, "-H", f"Host: {host}"))
        self.assertEqual(service.history(port), ["created", "removed"])

    def test_a_page_of_another_origin_changes_nothing(self):
        service = self.start_service(12)
        gone = service.create(service.ports[0], self.echo.address)
        api = service.api_port
        self.attack(service, "127.0.0.1", {
            "address": f"http://127.0.0.1:{api}",
            "localhost": f"http://localhost:{api}",
            "below": f"http://x.localhost:{api}",
            "zero": f"http://0.0.0.0:{api}",
            "rebound": f"http://{REBOUND}:{api}",
        })
        self.assert_unchanged(service, gone)
        self.assert_curl_can(service, f"127.0.0.1:{api}")

    def test_a_page_of_another_site_under_a_rebound_name_changes_nothing(self):
        service = self.start_service(12)
        gone = service.create(service.ports[0], self.echo.address)
        api = service.api_port
        self.attack(service, REBOUND, {
            "address": f"http://127.0.0.1:{api}",
            "localhost": f"http://localhost:{api}",
            "same": f"http://{REBOUND}:{api}",
        })
        self.assert_unchanged(service, gone)
        self.assert_curl_can(service, f"localhost:{api}")

    def test_what_everybody_may_use_is_closed_to_rebound_names_all_the_same(self):
        service = self.start_service(12, flags={"api-auth": "off"})
        gone = service.create(service.ports[0], self.echo.address)
        self.attack(service, REBOUND, {"same": f"http://{REBOUND}:{service.api_port}"})
        self.assert_unchanged(service, gone)

    def test_the_page_does_reach_an_api_that_is_not_protected(self):
        """That the pages above could have: what they send comes to a server that takes it."""
        service = self.start_service(12)
        victim = Attacker({})
        self.addCleanup(victim.close)
        asked = []
        lock = threading.Lock()

        class Open(Handler):
            def any(self):
                with lock:
                    asked.append((self.command, self.path.rstrip("?")))  # a form adds one
                self.send_response(204)
                self.end_headers()

            do_GET = do_POST = do_DELETE = do_OPTIONS = any

        victim.RequestHandlerClass = Open
        self.attack(service, "127.0.0.1",
                    {"open": f"http://localhost:{victim.server_address[1]}"})
        with lock:
            reached = set(asked)
        ways = [port for way, port in enumerate(service.ports[1:10])
                if ("GET", f"/createstream/{port}/127.0.0.1:7") in reached]
        self.assertEqual(ways, list(service.ports[1:10]), reached)
        self.assertIn(("GET", f"/removestream/{service.ports[0]}"), reached)
        self.assertIn(("POST", "/v1/streams"), reached)


if __name__ == "__main__":
    unittest.main(verbosity=2)
