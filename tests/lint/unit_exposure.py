"""What systemd thinks of our units: unit_exposure.py SERVICE SOCKET, or --self-test

Fails when the service's exposure (systemd-analyze(1), `security`) is over 2.0, when `verify` finds fault with a line
of either unit, or when the service brings a socket unit along that the operator has disabled.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from sources import SKIPPED, output_of

THRESHOLD = 20  # tenths
SERVICE = "stream-conductor.service"
SOCKET = "stream-conductor.socket"
# Says nothing of the unit: the binary and its manual are not installed where it is built.
NOT_INSTALLED = re.compile(r"is not executable: No such file|Command 'man .*' failed")


def exposure_fault(unit):
    code, text = output_of(["systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}",
                            "--no-pager", str(unit)], unit.parent)
    overall = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", text)
    if overall is None:
        return f"systemd-analyze security does not say how exposed it is:\n{text}"
    print(overall[0])
    if code == 0 and float(overall[1]) * 10 <= THRESHOLD:
        return ""
    open_doors = [line for line in text.splitlines() if line.startswith("✗")]
    return "\n".join([f"exposure {overall[1]} is over {THRESHOLD / 10}", *open_doors])


def verify_faults(units):
    # Only what is about our units: the host's own may have faults too.
    text = output_of(["systemd-analyze", "verify", *map(str, units)], units[0].parent)[1]
    return [line for line in text.splitlines()
            if any(unit.name in line for unit in units) and not NOT_INSTALLED.search(line)]


def drawn_in(service):
    """What starts or enables the socket unit wherever the service is."""
    return [f"{line}: a disabled socket unit would be started all the same" for line in service.splitlines()
            if re.match(r"(Wants|Requires|BindsTo|Upholds|Sockets|Also)=.*\.socket", line)]


def faults(service, socket):
    """Both are looked at under their own names in one folder, as they are installed."""
    with tempfile.TemporaryDirectory() as folder:
        units = [Path(folder) / SERVICE, Path(folder) / SOCKET]
        units[0].write_text(service)
        units[1].write_text(socket)
        return [*filter(None, [exposure_fault(units[0])]), *verify_faults(units), *drawn_in(service)]


def self_test():
    bare = "[Service]\nExecStart=/bin/true\n"
    shut = ("DynamicUser=yes\nPrivateNetwork=yes\nPrivateUsers=yes\nPrivateDevices=yes\nProtectHome=yes\n"
            "CapabilityBoundingSet=\nSystemCallFilter=@basic-io\nSystemCallArchitectures=native\nProtectClock=yes\n"
            "ProtectKernelLogs=yes\nProtectKernelModules=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes\n"
            "RestrictNamespaces=yes\nRestrictAddressFamilies=none\nRestrictRealtime=yes\nLockPersonality=yes\n"
            "MemoryDenyWriteExecute=yes\nProtectHostname=yes\nProtectProc=invisible\nProcSubset=pid\nUMask=0077\n")
    socket = "[Socket]\nListenStream=5000\n"
    cases = [
        ("nothing hardened", bare, socket, "is over 2.0"),
        ("everything shut", bare + shut, socket, None),
        ("a key that does not exist", bare + shut + "RestartSeconds=1\n", socket, "RestartSeconds"),
        ("a socket unit without a socket", bare + shut, "[Socket]\n", SOCKET),
        ("a socket unit that is wanted", bare + shut + "[Unit]\nWants=" + SOCKET, socket, "Wants="),
        ("a socket unit that is enabled along", bare + shut + "[Install]\nAlso=" + SOCKET, socket, "Also="),
        ("a socket unit that is waited for", bare + shut + "[Unit]\nAfter=" + SOCKET, socket, None),
    ]
    failed = 0
    for title, service, socket_text, wanted in cases:
        found = faults(service, socket_text)
        if (found != []) if wanted is None else not any(wanted in fault for fault in found):
            print(f"{title}: wanted {wanted!r}, got {found}", file=sys.stderr)
            failed += 1
    print(f"{len(cases)} cases, {failed} failed")
    return 1 if failed else 0


def main():
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not installed")
        return SKIPPED
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    found = faults(*(Path(argument).read_text(encoding="utf-8") for argument in sys.argv[1:3]))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
