#!/usr/bin/env python3
"""Coverage-guided fuzzing of capture reading and decoding: `captures.py [CORPUS] [libFuzzer options]`, with atheris.

Any octets at all must give a packet table or a CaptureError. Kernels run in their plain form over memoryviews, where every index
is checked. The seeds are the capture samples of the tests; what libFuzzer finds is kept in CORPUS, if one is given.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"

import atheris

with atheris.instrument_imports(include=["mixcni"]):
    from mixcni.decode import decode_packets
    from mixcni.errors import CaptureError
    from mixcni.read import CaptureFile

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "samples" / "pcaps"
LARGEST_SEED = 8192  # octets; larger ones only slow the search down


def decode(octets: bytes) -> None:
    """Decode a capture of these octets, strict and lax; anything raised but a CaptureError is a find."""
    descriptor = os.memfd_create("capture")
    try:
        os.write(descriptor, octets)
        path = Path(f"/proc/self/fd/{descriptor}")
        for strict in (False, True):
            try:
                decode_packets([CaptureFile(path, strict=strict)])
            except CaptureError:
                continue
    finally:
        os.close(descriptor)


def main() -> None:
    """Fuzz until libFuzzer's limits are met."""
    with tempfile.TemporaryDirectory() as seeds:
        for sample in SAMPLES.iterdir():
            if sample.suffix not in {".md", ".jsonl"} and sample.stat().st_size <= LARGEST_SEED:
                Path(seeds, sample.name).write_bytes(sample.read_bytes())
        arguments = sys.argv[1:]
        corpus = [argument for argument in arguments if not argument.startswith("-")]
        options = [argument for argument in arguments if argument.startswith("-")]
        atheris.Setup([sys.argv[0], *(corpus or [seeds]), *([seeds] if corpus else []), *options], decode)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
