"""Machine code of all kernels, made ahead: so that no capture waits for it."""

import tempfile
from pathlib import Path

from mixcni.case.demo import demo_folder
from mixcni.case.diagnosis import diagnose
from mixcni.decode import open_capture
from mixcni.kernels.jit import always_compiled

# The smallest file with a packet: a section, an interface, a Simple Packet Block (draft-ietf-opsawg-pcapng section 4).
PCAPNG = bytes.fromhex(
    "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffff ffffffff 1c000000"
    "01000000 14000000 01000000 00000000 14000000"
    "03000000 14000000 01000000 00000000 14000000"
)


def compile_kernels() -> None:
    """Run every kernel once in machine code, which makes what is not on disk yet."""
    with always_compiled(), tempfile.TemporaryDirectory() as folder:
        diagnose(demo_folder())
        capture = Path(folder) / "x.pcapng"
        capture.write_bytes(PCAPNG)
        open_capture(capture)
