"""Compiles each header of src/ and tests/ alone: headers_alone.py SOURCE_ROOT BUILD_ROOT

A header that lacks an include of its own works only behind others, until somebody sorts them. What a source file
of the build includes first the build has compiled alone. Each other one is compiled with the flags of a source file
beside it, so that it also sees no more libraries than its folder does.
"""

import re
import sys
from pathlib import Path

from sources import compile_commands, output_of, run_all, sources

WITH_A_VALUE = {"-o", "-MF", "-MQ", "-MT"}
FIRST_DIRECTIVE = re.compile(r"^\s*#(.*)$", re.MULTILINE)
OWN = re.compile(r'\s*include\s*"([^"]+)"')


def included_first(source, root):
    """The header of the project that the file begins with."""
    directive = FIRST_DIRECTIVE.search(source.read_text(encoding="utf-8"))
    own = directive and OWN.match(directive[1])
    places = [folder / own[1] for folder in (source.parent, root / "src", root / "tests")] if own else []
    return next((place.resolve() for place in places if place.is_file()), None)


def flags_only(words, source):
    """The compiler and its flags, without the files that it reads and writes."""
    kept = []
    rest = iter(words)
    for word in rest:
        if word in WITH_A_VALUE:
            next(rest)
        elif word not in {"-c", "-MD", "-MMD"} and Path(word).name != source.name:
            kept.append(word)
    return kept


def neighbour(header, commands, root):
    """A source file from the header's folder, else from the nearest folder above it that has any below."""
    for folder in header.parents:
        beside = [file for file in commands if file.parent == folder and file.suffix == ".cc"]
        below = [file for file in commands if file.is_relative_to(folder) and file.suffix == ".cc"]
        if beside or below:
            return min(beside or below)
        if folder == root:
            break
    return None


def main():
    root, build = (Path(argument).resolve() for argument in sys.argv[1:3])
    commands = compile_commands(root, build)

    def compile_alone(header):
        source = neighbour(header, commands, root)
        if source is None:
            return f"{header}: no entry of compile_commands.json to take flags from"
        command = [*flags_only(commands[source], source), "-Werror", "-fsyntax-only", "-x", "c++", "-"]
        code, text = output_of(command, build, f'#include "{header}"\n')
        return f"{header.relative_to(root)} does not compile alone:\n{text}" if code else ""

    built = {included_first(file, root) for file in commands if file.suffix == ".cc"}
    return run_all(compile_alone, [header for header in sources(root, ".h") if header not in built])


if __name__ == "__main__":
    sys.exit(main())
