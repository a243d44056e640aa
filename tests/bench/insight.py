"""What it costs that the service explains itself: one binary, alone, and with all that tells of it."""

import pathlib
import subprocess
import sys

import durability
import launch
import proxies
import scenarios

GROUP = "insight"  # has services of its own, so it is measured by itself
OBSERVER = pathlib.Path(__file__).with_name("observer.py")


class Observed(proxies.StreamConductor):
    """Its log has sessions, each is an event, metrics are scraped, and it is asked as by a page."""

    name = "all of it"
    API_PORTS = 1  # no scenario creates streams
    log_sessions = "all"
    observer_cores = None  # any
    observer = None

    def commands(self):
        [command] = super().commands()
        return [[*command, f"--log-sessions={self.log_sessions}"]]

    def start(self):
        super().start()
        if self.log_sessions != "none":
            self.observer = launch.start(
                [sys.executable, "-S", OBSERVER, str(self.api_port)], self.observer_cores,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if self.observer.stdout.readline() != "watching\n":
                raise launch.Failed("nobody watches")
        return self

    def stop(self):
        if self.observer:
            if self.observer.poll() is not None:
                raise launch.Failed("the observer has ended before")
            self.observer.stdin.close()  # it ends by that
            launch.stop([self.observer])
            self.observer = None
        super().stop()


class Unobserved(Observed):
    name = durability.OFF
    log_sessions = "none"


CLASSES = [Unobserved, Observed]


class Beside(scenarios.Scenario):
    def __init__(self, inner, title):
        super().__init__(GROUP, f"{title} {inner.name}", inner.metrics)
        self.inner = inner

    def measure(self, context, proxy):
        return self.inner.measure(context, proxy)


def make_all():
    return [
        *(Beside(scenarios.PingPong(size, sessions), "ping-pong")
          for size in (64, 4096) for sessions in (1, 100)),
        *(Beside(scenarios.Bulk(direction, sessions), "bulk")
          for direction in ("up", "down") for sessions in (1, 16)),
        Beside(scenarios.Connect(), "connect"),
    ]
