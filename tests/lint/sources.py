"""What the lint scripts share: the project's files, and how the build compiles them."""

import concurrent.futures
import json
import shlex
import subprocess
from pathlib import Path

SKIPPED = 77  # what meson takes for "skipped"
JOBS = 2      # a compiler takes up to 1 GB


def sources(root, *suffixes):
    """Files of src/ and tests/ that end so, in a stable order."""
    found = [path for top in ("src", "tests") for path in (root / top).rglob("*")]
    return sorted(path for path in found if path.suffix in suffixes and path.is_file())


def compile_commands(root, build):
    """{source file: its compiler's words} for the files of src/ and tests/; generated ones are left out."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = (Path(entry["directory"]) / entry["file"]).resolve()
        if any(file.is_relative_to(root / top) for top in ("src", "tests")) and not file.is_relative_to(build):
            commands[file] = shlex.split(entry["command"])
    return commands


def run_all(work, items):
    """Calls work(item) -> text of what is wrong, or empty; says it as soon as it is known. The exit code."""
    items = list(items)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for step in concurrent.futures.as_completed([pool.submit(work, item) for item in items]):
            if text := step.result():
                failed += 1
                print(text.rstrip(), flush=True)
    print(f"{len(items)} files, {failed} with findings")
    return 1 if failed else 0


def output_of(command, folder, text=None):
    """(exit code, stdout and stderr together)."""
    done = subprocess.run(command, cwd=folder, input=text, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout
