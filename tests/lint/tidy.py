"""Runs clang-tidy over the sources of src/ and tests/: tidy.py SOURCE_ROOT BUILD_ROOT [FILE...]

A file whose text, headers and rules are those of its last clean run is not read again; BUILD_ROOT/tidy keeps that.
"""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

from sources import SKIPPED, compile_commands, output_of, run_all

# Catch2's macros expand to much that means nothing to a reader, and the analyzer takes the longest there.
# A CHECK is a loop to clang, so a move within looks like one into the next turn; fixtures need no const.
TEST_CHECKS = ("-clang-analyzer-*,-readability-function-size,-performance-*,-bugprone-unchecked-optional-access,"
               "-bugprone-use-after-move,-readability-make-member-function-const,"
               "-readability-convert-member-functions-to-static,-modernize-use-emplace")
# What the meaning of the text depends on; the rest is gcc's, and clang knows not all of it. Not NDEBUG: the analyzer
# learns from asserts.
MEANING = re.compile(r"-(I|isystem|D|U|std=|include|pthread)")
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def words_for_clang(words):
    kept = ["clang++"]
    rest = iter(words[1:])
    for word in rest:
        if not MEANING.match(word) or word == "-DNDEBUG":
            continue
        kept.append(word)
        if word in {"-I", "-isystem", "-D", "-U", "-include"}:
            kept.append(next(rest))
    return kept


def closure(file, root, seen):
    """The file and the project's headers that it includes, directly or not."""
    if file in seen or not file.is_file():
        return
    seen.add(file)
    for name in INCLUDE.findall(file.read_bytes()):
        for folder in (file.parent, root / "src", root / "tests"):
            closure((folder / name.decode()).resolve(), root, seen)


def main():
    root, build = (Path(argument).resolve() for argument in sys.argv[1:3])
    if shutil.which("clang-tidy") is None:
        print("clang-tidy is not installed")
        return SKIPPED
    commands = {file: words_for_clang(words)
                for file, words in compile_commands(root, build).items() if file.suffix == ".cc"}
    state = build / "tidy"
    state.mkdir(exist_ok=True)
    (state / "compile_commands.json").write_text(json.dumps(
        [{"directory": str(build), "file": str(file), "arguments": [*words, "-c", str(file)]}
         for file, words in commands.items()]))
    rules = output_of(["clang-tidy", "--version"], root)[1].encode() + (root / ".clang-tidy").read_bytes()

    def tidy(file):
        command = ["clang-tidy", "--quiet", f"-p={state}"]
        if file.is_relative_to(root / "tests"):
            command.append(f"--checks={TEST_CHECKS}")
        seen = set()
        closure(file, root, seen)
        digest = hashlib.sha256(rules + repr((command, commands[file])).encode())
        for part in sorted(seen):
            digest.update(str(part).encode() + b"\0" + part.read_bytes())
        stamp = state / (str(file.relative_to(root)).replace("/", "_") + ".clean")
        if stamp.is_file() and stamp.read_text() == digest.hexdigest():
            return ""
        code, text = output_of([*command, str(file)], build)
        if code == 0:
            stamp.write_text(digest.hexdigest())
            return ""
        return re.sub(r"^(\d+ warnings? .*|Suppressed .*|Use -header-filter.*)\n", "", text, flags=re.MULTILINE)

    asked = {Path(name).resolve() for name in sys.argv[3:]} or commands.keys()
    # The longest first, so that both jobs end at about the same time.
    return run_all(tidy, sorted((file for file in commands if file in asked), key=lambda file: -file.stat().st_size))


if __name__ == "__main__":
    sys.exit(main())
