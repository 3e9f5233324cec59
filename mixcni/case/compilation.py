"""Machine code of all kernels, made ahead: so that no capture waits for it."""

import tempfile
from pathlib import Path

from mixcni.case.demo import demo_folder
from mixcni.case.diagnosis import diagnose
from mixcni.case.folder import case_of_files
from mixcni.kernels.jit import always_compiled

# A UDP datagram, heard twice, and its reply: a section, an interface of LINKTYPE_RAW, Enhanced Packet Blocks
# (draft-ietf-opsawg-pcapng).
PCAPNG = bytes.fromhex(
    "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffff ffffffff 1c000000"
    "01000000 14000000 65000000 00000000 14000000"
    + 2
    * (
        "06000000 3c000000 00000000 00000000 01000000 1c000000 1c000000"
        "4500001c 00000000 40110000 0a000001 0a000002 10002000 00080000 3c000000"
    )
    + "06000000 3c000000 00000000 00000000 02000000 1c000000 1c000000"
    "4500001c 00020000 40110000 0a000002 0a000001 20001000 00080000 3c000000"
)


def compile_kernels() -> None:
    """Run every kernel once in machine code, which makes what is not on disk yet."""
    with always_compiled(), tempfile.TemporaryDirectory() as folder:
        diagnose(demo_folder())
        capture = Path(folder) / "x.pcapng"
        capture.write_bytes(PCAPNG)
        diagnose(case_of_files({name: [capture] for name in "AB"}))
