"""The walls of the house: include_direction.py SOURCE_ROOT BUILD_ROOT, or --self-test

Fails on an include that points the wrong way, a library named outside of its folder, a file of src/ or tests/ that is
too long, and on machine paths or CRLF in any tracked text file. The table is that of src/README.md.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

INPUTS = "tests/fuzz/corpus"  # what strangers send, CRLF and all

MAY_INCLUDE = {
    "base": [],
    "loop": ["base"],
    "net": ["base", "loop"],
    "core": ["base"],
    "handoff": ["base", "net"],
    "relay": ["base", "loop", "net", "core", "handoff"],
    "store": ["base", "core"],
    "http": ["base", "loop", "net"],
    "api": ["base", "core", "http", "net/address.h"],  # the peer in http::Request is an Address
    "config": ["base", "core"],
    "systemd": ["base", "loop"],
}
# How a library's header begins: the folders that may name it. main.cc and daemon.cc may not either.
LIBRARIES = {
    "ares": ["net"],
    "uv.h": ["loop"],
    "uv/": ["loop"],
    "SQLiteCpp/": ["store"],
    "sqlite3": ["store"],
    "nlohmann/": ["api", "config"],
    "llhttp": ["http"],
    "systemd/": ["systemd"],
    "spdlog/": ["base"],
    "CLI/": ["config"],
}
MAX_LINES = 500
INCLUDE = re.compile(r'^\s*#\s*(?:include|include_next|import)\s*(["<])([^">]+)[">]')
# At the start of a path, so neither a part of a longer one nor of a URL.
MACHINE_PATH = re.compile(r"(?<![\w.~$}@*)-])/(?:work|home)/[\w.$*{<]")


def include_fault(root, folder, quote, name):
    """Why a file of src/`folder` may not include it ("" is src/ itself), or None."""
    # <core/x.h> reaches the same file; <systemd/...> is the library's unless we have a file of that name.
    ours = quote == '"' or (root / "src" / name).is_file()
    if ours:
        if ".." in name.split("/"):
            return "is written from src/, without `..`"
        target = name.split("/")[0] if "/" in name else ""
        if folder in ("", target) or name in MAY_INCLUDE[folder] or target in MAY_INCLUDE[folder]:
            return None
        return f"points the wrong way: {folder}/ may include {', '.join(MAY_INCLUDE[folder]) or 'nothing of ours'}"
    for prefix, homes in LIBRARIES.items():
        if name.startswith(prefix) and folder not in homes:
            return f"belongs to {' and '.join(home + '/' for home in homes)}"
    return None


def source_faults(root, path, lines):
    parts = path.parts
    if parts[0] != "src" or path.suffix not in (".h", ".hpp", ".cc", ".cpp", ".c", ".inc"):
        return
    folder = parts[1] if len(parts) > 2 else ""
    if folder and folder not in MAY_INCLUDE:
        yield f"{path}: src/{folder}/ has no row in the table"
        return
    for number, line in enumerate(lines, 1):
        if (found := INCLUDE.match(line)) and (fault := include_fault(root, folder, *found.groups())):
            yield f"{path}:{number}: {found[2]} {fault}"


def text_faults(root, path):
    content = (root / path).read_bytes()
    if b"\0" in content[:8192] or path.is_relative_to(INPUTS):
        return
    lines = content.decode(errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if line.endswith("\r"):
            yield f"{path}:{number}: ends with CRLF"
            break
    for number, line in enumerate(lines, 1):
        if found := MACHINE_PATH.search(line):
            yield f"{path}:{number}: a path of one machine: {found[0]}..."
    count = content.count(b"\n")
    if path.parts[0] in ("src", "tests") and count > MAX_LINES:
        yield f"{path}: {count} lines, more than {MAX_LINES}"
    yield from source_faults(root, path, lines)


def walked(top, build):
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in (".git", ".cache", "__pycache__")
                      and not (Path(folder) / name / "meson-private").is_dir() and Path(folder) / name != build]
        yield from (Path(folder) / name for name in names)


def files_of(root, build):
    """What git tracks, and what is new in src/ and tests/; without git every file that is not a build's."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
        paths = {root / name for name in os.fsdecode(listed).split("\0") if name}
        for top in ("src", "tests"):
            paths.update(walked(root / top, build))
    except (OSError, subprocess.CalledProcessError):
        paths = set(walked(root, build))
    return sorted(path.relative_to(root) for path in paths if path.is_file() and not path.is_symlink())


def faults(root, build):
    return [fault for path in files_of(root, build) for fault in text_faults(root, path)]


# Self-test ------------------------------------------------------------------------------------------------------------

def check(title, files, wanted):
    """The made-up tree gives one fault that says `wanted`, or none where that is None."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode())
        found = faults(root, root / "build")
    good = found == [] if wanted is None else len(found) == 1 and wanted in found[0]
    if not good:
        print(f"{title}: wanted {wanted!r}, got {found}", file=sys.stderr)
    return good


def self_test():
    home = "/ho" + "me/"  # not to be a fault here
    work = "/wo" + "rk/"
    cases = [
        ("own header, own folder, system headers",
         {"src/loop/poll.cc": '#include "loop/poll.h"\n#include <uv.h>\n#include <net/if.h>\n'}, None),
        ("everything at the top", {"src/daemon.h": '#include "api/v1.h"\n#include "store/database.h"\n'}, None),
        ("one header of net in api", {"src/api/auth.h": '#include "net/address.h"\n'}, None),
        ("another header of net in api", {"src/api/auth.h": '#include "net/socket.h"\n'}, "src/api/auth.h:1: net/socket.h"),
        ("core into net", {"src/core/a.h": "\n#  include \"net/address.h\"\n"}, "src/core/a.h:2: net/address.h points"),
        ("a folder into the top", {"src/config/a.cc": '#include "version.h"\n'}, "wrong way"),
        ("in angle brackets", {"src/base/a.h": "#include <core/b.h>\n", "src/core/b.h": ""}, "wrong way"),
        ("relative", {"src/relay/a.h": '#include "../net/b.h"\n'}, "without `..`"),
        ("a folder without a row", {"src/utils/a.h": ""}, "no row"),
        ("501 lines", {"tests/a_test.cc": "\n" * 501}, "501 lines"),
        ("500 lines", {"tests/a_test.cc": "\n" * 500}, None),
        ("a long document", {"docs/a.md": "\n" * 501}, None),
        ("CRLF", {"README.md": "a\r\nb\r\n"}, "README.md:1: ends with CRLF"),
        ("a fuzz target's input", {"tests/fuzz/corpus/http/get": "GET / HTTP/1.1\r\n\r\n"}, None),
        ("a machine path", {"README.md": f"see {work}main/x\n"}, "README.md:1: a path of one machine"),
        ("another", {"tools/run": f'\nstate="{home}someone/state"\n'}, "tools/run:2: a path of one machine"),
        ("no machine path", {"README.md": f"https://host{home}x src{work}x $root{work}x {home}, ProtectHome\n"}, None),
        ("a build folder", {"out/meson-private/x": "", "out/a.txt": f"{work}main\r\n"}, None),
        ("a binary file", {"a.png": f"\0 {work}main\r\n"}, None),
    ]
    for name, allowed in MAY_INCLUDE.items():
        for other in MAY_INCLUDE:
            fine = other == name or other in allowed
            cases.append((f"{name} into {other}", {f"src/{name}/a.h": f'#include "{other}/b.h"\n'},
                          None if fine else "points the wrong way"))
    for header, homes in LIBRARIES.items():
        header += "x.h" if header.endswith("/") else "" if header.endswith(".h") else ".h"
        for folder in ["", *MAY_INCLUDE]:
            file = f"src/{folder}/a.cc" if folder else "src/main.cc"
            cases.append((f"<{header}> in {file}", {file: f"#include <{header}>\n"},
                          None if folder in homes else "belongs to"))
    results = [check(*case) for case in cases]
    print(f"{len(results)} cases, {results.count(False)} failed")
    return 0 if all(results) else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root, build = (Path(argument).resolve() for argument in sys.argv[1:3])
    found = faults(root, build)
    print(*found, f"{len(found)} faults", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
