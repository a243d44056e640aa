#!/usr/bin/env python3
"""Writes the page's files into a C++ source: embed_ui.py OUTPUT.cc FILE..."""

import pathlib
import sys

DELIMITER = "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def row(file: pathlib.Path) -> str:
    text = file.read_text(encoding="utf-8")
    if f'){DELIMITER}"' in text:
        sys.exit(f'{file}: contains ){DELIMITER}", which ends a raw string')
    return f'    UiFile{{"{file.name}", "{TYPES[file.suffix]}", R"{DELIMITER}({text}){DELIMITER}"}},\n'


def main() -> None:
    output, *files = map(pathlib.Path, sys.argv[1:])
    output.write_text(
        "// Made by embed_ui.py.\n"
        '#include "api/ui.h"\n\n'
        "#include <array>\n\n"
        "namespace sc::api {\n\n"
        "std::span<const UiFile> ui_files() {\n"
        "  static constexpr std::array kFiles{\n" + "".join(map(row, sorted(files))) + "  };\n"
        "  return kFiles;\n"
        "}\n\n"
        "}  // namespace sc::api\n",
        encoding="utf-8",
    )


main()
