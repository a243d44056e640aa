#!/usr/bin/env python3
"""Writes migrations/*.sql into a C++ source: embed_migrations.py OUTPUT.cc FILE.sql..."""

import pathlib
import sys

DELIMITER = "migration"


def main() -> None:
    output, *files = map(pathlib.Path, sys.argv[1:])
    entries = []
    for file in sorted(files, key=lambda path: path.name):
        sql = file.read_text(encoding="utf-8")
        if f'){DELIMITER}"' in sql:
            sys.exit(f'{file}: contains ){DELIMITER}", which ends a raw string')
        entries.append(f'    {{"{file.name}", R"{DELIMITER}({sql}){DELIMITER}"}},\n')
    output.write_text(
        "// Made by embed_migrations.py.\n"
        '#include "store/migrations.h"\n\n'
        "namespace sc::store {\n\n"
        "std::span<const Migration> embedded_migrations() {\n"
        f"  static constexpr Migration kMigrations[] = {{\n{''.join(entries)}  }};\n"
        "  return kMigrations;\n"
        "}\n\n"
        "}  // namespace sc::store\n",
        encoding="utf-8",
    )


main()
