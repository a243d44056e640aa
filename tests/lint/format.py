"""Fails on a C++ file that clang-format would write otherwise: format.py SOURCE_ROOT BUILD_ROOT"""

import shutil
import sys
from pathlib import Path

from sources import SKIPPED, output_of, sources


def main():
    root = Path(sys.argv[1]).resolve()
    if shutil.which("clang-format") is None:
        print("clang-format is not installed")
        return SKIPPED
    files = [str(path) for path in sources(root, ".h", ".cc")]
    code, text = output_of(["clang-format", "--dry-run", "-Werror", "--ferror-limit=3", *files], root)
    print(text, f"{len(files)} files", sep="")
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
