"""A headless Chromium, driven over the DevTools protocol by a pipe: no port, no library."""

import base64
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading

import harness
from waiting import SLOWNESS, wait_until

PROGRAM = shutil.which("chromium")
# It reads descriptor 3 and writes descriptor 4.
PIPED = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])"""


def flags(profile):
    return ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={profile}"]


def end_group(process):
    """The browser's own processes too: it is the leader of a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(timeout=20 * SLOWNESS)


class Browser:
    """The process; `page()` opens a tab of it."""

    def __init__(self, directory, *more_flags):
        read, self._to = os.pipe()
        self._from, write = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PIPED, str(read), str(write), PROGRAM,
             *flags(directory / "profile"), "--remote-debugging-pipe", *more_flags, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=harness.clean_environment(HOME=str(directory)),
            pass_fds=(read, write), start_new_session=True)
        os.close(read)
        os.close(write)
        self._lock = threading.Lock()
        self._answers = {}
        self._number = 0
        self._pages = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self):
        end_group(self.process)
        self._reader.join(10 * SLOWNESS)
        os.close(self._to)
        os.close(self._from)

    def _read(self):
        rest = b""
        while chunk := os.read(self._from, 1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    with self._lock:
                        answers = self._answers.pop(message["id"])
                    answers.put(message)
                elif page := self._pages.get(message.get("sessionId")):
                    page.note(message["method"], message["params"])

    def call(self, method, session=None, **params):
        answers = queue.Queue()
        with self._lock:
            self._number += 1
            number = self._number
            self._answers[number] = answers
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        try:
            answer = answers.get(timeout=30 * SLOWNESS)
        except queue.Empty:
            raise AssertionError(f"the browser does not answer {method}") from None
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def page(self, url="about:blank"):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.go(url)
        return page


BETWEEN_TWO_PAGES = ("Execution context was destroyed", "Cannot find context",
                     "Inspected target navigated or closed")


class Page:
    """A tab, and what it complained of."""

    def __init__(self, browser, session):
        self.browser = browser
        self.session = session
        self.urls = []  # of all that was asked for
        self.complaints = []  # errors and warnings of the console, exceptions nobody caught

    def note(self, method, params):
        if method == "Network.requestWillBeSent":
            self.urls.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([each.get("value") for each in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}".strip())

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", what=f"{url} is loaded")

    def eval(self, expression):
        """The value of a JavaScript expression; a promise is awaited."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)
        if "exceptionDetails" in done:
            details = done["exceptionDetails"]
            raise AssertionError(f"{expression}: "
                                 f"{details.get('exception', {}).get('description', details['text'])}")
        return done["result"].get("value")

    def wait(self, expression, seconds=15, what=None):
        """Waits until the expression is truthy; its value."""

        def value():
            try:
                return self.eval(expression)
            except AssertionError as error:
                if any(each in str(error) for each in BETWEEN_TWO_PAGES):
                    return None
                raise

        try:
            return wait_until(value, seconds, what or expression)
        except AssertionError as error:
            shown = self.eval("document.body?.innerText")
            raise AssertionError(f"{error}; the page shows:\n{shown}\n{self.complaints}") from None

    # As a person does it.

    def wait_text(self, text, where="body", seconds=15):
        self.wait(f"document.querySelector({json.dumps(where)})?.innerText"
                  f".includes({json.dumps(text)})", seconds, f"{text!r} in {where}")

    def text(self, where):
        return self.eval(f"document.querySelector({json.dumps(where)})?.innerText ?? null")

    def click(self, text, where="body"):
        """The visible button or link with that text."""
        find = (f"[...document.querySelectorAll({json.dumps(where)} + ' button,' + "
                f"{json.dumps(where)} + ' a,' + {json.dumps(where)} + ' summary')].find((each) => "
                f"each.innerText.trim() === {json.dumps(text)} && each.checkVisibility())")
        self.wait(f"!!{find}", what=f"a button {text!r} in {where}")
        self.eval(f"{find}.click()")

    def field(self, label):
        """A JavaScript expression: the input with that label."""
        return (f"[...document.querySelectorAll('label')].filter((each) => each.innerText.trim() === "
                f"{json.dumps(label)}).map((each) => document.getElementById(each.htmlFor))"
                f".find((each) => each?.checkVisibility())")

    def fill(self, label, text):
        """Types it over what stands there."""
        self.wait(f"!!({self.field(label)})", what=f"a field {label!r}")
        self.eval(f"(() => {{ const field = {self.field(label)}; field.focus(); field.select(); }})()")
        self.press("Delete", 46)
        if text:
            self.call("Input.insertText", text=text)

    def press(self, key, code, text=None, modifiers=0):
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key,
                  windowsVirtualKeyCode=code, modifiers=modifiers, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key,
                  windowsVirtualKeyCode=code, modifiers=modifiers)

    def set_view(self, width, height, scheme="light"):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path, whole=False):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
