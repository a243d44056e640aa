"""Builds what is measured, and says what it was and on which machine."""

import argparse
import datetime
import os
import pathlib
import subprocess
import sys

import procfs

ROOT = pathlib.Path(__file__).resolve().parents[2]


LOADS = ("tests/bench/stream-conductor-load", "tests/bench/stream-conductor-keep-cost")


def build(packages="bench", *loads):
    """Output goes to stderr: stdout is for the tables."""
    folder = ROOT / "build"
    subprocess.run([ROOT / "tools/setup", packages], check=True, stdout=sys.stderr)
    configure = ["meson", "configure", folder] if (folder / "build.ninja").exists() else [
        "meson", "setup", folder]
    subprocess.run([*configure, "--buildtype=release", "-Dtests=enabled"], cwd=ROOT, check=True,
                   stdout=sys.stderr)
    subprocess.run(["ninja", "-C", folder, "--quiet", "stream-conductor",
                    *(loads or LOADS)], check=True,
                   stdout=sys.stderr)


def add_arguments(parser):
    parser.add_argument("--binary", type=pathlib.Path,
                        default=os.environ.get("STREAM_CONDUCTOR", ROOT / "build/stream-conductor"))
    parser.add_argument("--load", type=pathlib.Path, default=os.environ.get(
        "STREAM_CONDUCTOR_LOAD", ROOT / "build/tests/bench/stream-conductor-load"),
        help="the load generator")
    parser.add_argument("--no-build", action="store_true", help="install and build nothing")


def number(low, high, kind=int):
    """For argparse: a number of that range, both ends included."""

    def parse(text):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"from {low:,} to {high:,}")
        return value

    parse.__name__ = kind.__name__  # argparse names it when the text is no number
    return parse


def revision():
    """Of the sources, in brackets; nothing where there is no git."""
    found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                           capture_output=True, text=True).stdout.strip()
    return f" ({found})" if found else ""


def machine():
    system = os.uname()
    now = datetime.datetime.now(datetime.timezone.utc)
    return (f"{now:%Y-%m-%d}; {procfs.cpu_model()}, {os.cpu_count()} cores; "
            f"{procfs.distribution()}, {system.sysname} {system.release}.")
