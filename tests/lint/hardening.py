"""Whether a build is hardened: hardening.py SOURCE BUILD, or --self-test

hardening-check(1) looks at the executable: position independent, stack protector, _FORTIFY_SOURCE, relocations that
are read-only and bound at start. It cannot see -fcf-protection there, as the start files of Debian 12's libc have no
mark for it, without which the linker leaves the mark out. So the marks of our own objects are looked for.
"""

import re
import sys
import tempfile
from pathlib import Path

from sources import output_of

MARKS = {"Advanced Micro Devices X86-64": "x86 feature: IBT, SHSTK", "AArch64": "AArch64 feature: BTI, PAC"}


def of_executable(path):
    """Lines of hardening-check about what is missing."""
    code, text = output_of(["hardening-check", "--nocfprotection", str(path)], path.parent)
    missing = [f"{path.name}:{line}" for line in text.splitlines()
               if re.search(r": (no|unknown)\b", line) and not line.endswith("(ignored)")]
    return missing or ([] if code == 0 else [f"{path.name}: hardening-check fails: {text}"])


def of_objects(paths):
    """Which objects code could be jumped into at any place."""
    faults = []
    for path in paths:
        text = output_of(["readelf", "--wide", "--file-header", "--notes", str(path)], path.parent)[1]
        machine = re.search(r"^\s*Machine:\s+(.*)$", text, re.MULTILINE)
        mark = MARKS.get(machine[1] if machine else "")
        if machine is None or (mark and mark not in text):
            faults.append(f"{path}: no mark of -fcf-protection or -mbranch-protection")
    return faults


def faults(build):
    objects = sorted((build / "src").rglob("*.o")) + sorted(build.glob("stream-conductor.p/*.o"))
    if not objects:
        return [f"{build} has no objects"]
    return of_executable(build / "stream-conductor") + of_objects(objects)


def self_test():
    plain = ["-no-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-fcf-protection=none", "-mbranch-protection=none",
             "-Wl,-z,norelro,-z,lazy"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare.c").write_text(
            "#include <stdio.h>\n#include <string.h>\n"
            "int main(int count, char **words) { char copy[64]; strcpy(copy, words[count - 1]); return puts(copy); }\n")
        usable = [option for option in plain
                  if output_of(["cc", option, "bare.c", "-o", "bare"], folder)[0] == 0]
        code, text = output_of(["cc", "-O2", *usable, "-c", "bare.c"], folder)
        assert code == 0, text
        code, text = output_of(["cc", *usable, "bare.o", "-o", "bare"], folder)
        assert code == 0, text
        missing = "\n".join(of_executable(folder / "bare"))
        for what in ("Position Independent", "Stack protected", "Fortify Source", "Read-only", "Immediate binding"):
            assert what in missing, f"{what} is not missed: {missing}"
        assert of_objects([folder / "bare.o"]), "the object's mark is not missed"
        assert faults(folder) == [f"{folder} has no objects"], faults(folder)


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    found = faults(Path(sys.argv[2]))
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
