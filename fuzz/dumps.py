#!/usr/bin/env python3
"""Coverage-guided fuzzing of every reader of dumps: `dumps.py [CORPUS] [libFuzzer options]`, with atheris.

Any octets at all must give dumps: entries that cite a line of the file, and lines that were not understood. The seeds are the
samples of the tests; what libFuzzer finds is kept in CORPUS, if one is given.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mixcni"]):
    from mixcni.cluster import ClusterState
    from mixcni.cluster.loading import read_octets
    from mixcni.cluster.ofnode import with_nodes
    from mixcni.cluster.plain import plain_entry

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "cluster" / "samples"
LARGEST_SEED = 8192  # octets; larger ones only slow the search down


def read(octets: bytes) -> None:
    """Read a file of these octets; anything raised, or an entry outside its dump, is a find."""
    found = with_nodes(read_octets(octets, "dump.txt"))
    for each in found:
        for entry in each.entries:
            if not each.dump.holds(entry.file, entry.line):
                raise AssertionError(entry)
            plain_entry(each.dump.kind, entry)
    repr(ClusterState.of(found))


def fuzz(samples: Iterable[bytes]) -> None:
    """Fuzz from these seeds until libFuzzer's limits are met."""
    with tempfile.TemporaryDirectory() as seeds:
        for number, sample in enumerate(samples):
            if len(sample) <= LARGEST_SEED:
                Path(seeds, str(number)).write_bytes(sample)
        arguments = sys.argv[1:]
        corpus = [argument for argument in arguments if not argument.startswith("-")]
        options = [argument for argument in arguments if argument.startswith("-")]
        atheris.Setup([sys.argv[0], *(corpus or [seeds]), *([seeds] if corpus else []), *options], read)
        atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sample.read_bytes() for sample in sorted(SAMPLES.iterdir()) if sample.name != "README.md")
