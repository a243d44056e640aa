"""Waiting for conditions, never for time to pass."""

import os
import time

SLOWNESS = float(os.environ.get("SC_TEST_SLOWNESS", "1"))


def wait_until(condition, seconds=10, what="the condition"):
    """What `condition` gives once it is truthy; fails after `seconds` (times SC_TEST_SLOWNESS)."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not so within {seconds * SLOWNESS:g} s")
        time.sleep(0.005)
