#!/usr/bin/env python3
"""Runs a fuzz target for a time: run.py TARGET CORPUS WORK SECONDS. Nothing is written to CORPUS."""
import pathlib
import shutil
import subprocess
import sys

target, corpus, work, seconds = sys.argv[1], *map(pathlib.Path, sys.argv[2:4]), sys.argv[4]
found = work / "found"  # new inputs go into the first folder that libFuzzer is given
shutil.rmtree(found, ignore_errors=True)
found.mkdir(parents=True)
done = subprocess.run([
    target, str(found), str(corpus), f"-max_total_time={seconds}", "-seed=20261101",
    "-rss_limit_mb=2048", "-timeout=10", "-max_len=4096", f"-artifact_prefix={work}/",
    "-print_final_stats=1", "-verbosity=1",
], check=False)
sys.exit(1 if done.returncode else 0)  # libFuzzer's 77 would tell meson that it was skipped
