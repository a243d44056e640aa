#!/usr/bin/env python3
"""Writes openapi.json into a C++ source: embed_document.py OUTPUT.cc openapi.json"""

import json
import pathlib
import sys

DELIMITER = "document"


def main() -> None:
    output, file = map(pathlib.Path, sys.argv[1:])
    text = file.read_text(encoding="utf-8")
    json.loads(text)  # a build that serves a broken document is no build
    if f'){DELIMITER}"' in text:
        sys.exit(f'{file}: contains ){DELIMITER}", which ends a raw string')
    output.write_text(
        "// Made by embed_document.py.\n"
        '#include "api/v1.h"\n\n'
        "namespace sc::api {\n\n"
        "std::string_view openapi_document() {\n"
        f'  return R"{DELIMITER}({text}){DELIMITER}";\n'
        "}\n\n"
        "}  // namespace sc::api\n",
        encoding="utf-8",
    )


main()
