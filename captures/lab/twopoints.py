#!/usr/bin/env python3
"""Twelve situations for two capture points, and the six recordings that they are made from: `twopoints.py [RECORDING ...]`.

Each recording is 40 connections of five requests with answers of 12 kB within a minute, kept in `captures/two-points/NAME/` as
`A.pcap.gz`, `B.pcap.gz` and `truth.json`. A situation is a recording whose captures suffer, by a seed, so that it needs no root
and is the same everywhere.
"""

import argparse
import gzip
import json
import random
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from casefolder import compact_json
from faultcase import check_outcomes, run_between_captures
from line import build_line
from namespaces import LabError, Namespaces, require_root_and_tools
from noise import NO_NOISE, PointNoise, copy_twice, suffer, write_noisy
from pcapfile import SECOND_NS, pcap_of, read_pcap
from recorder import kernel_version, tcpdump_versions
from scenario import RECOVERY_TIMEOUT_S, Scenario

FOLDER: Final = Path(__file__).resolve().parent.parent / "two-points"
SEED: Final = 20221212
AT_ONCE: Final = 3
SLOW: Final = Scenario(
    "two-points",
    SEED,
    layout=("client", "server"),
    connections=20,  # of each of the two client addresses
    requests=(5, 5),
    octets_range=(12_000, 12_000),
    pause_s=(2.0, 10.0),
    posts=0.0,
    timeout_s=2 * RECOVERY_TIMEOUT_S,
)
LOSSY: Final = replace(SLOW, element="underlay", mechanism="wire", loss=0.01)
RECORDINGS: Final = {
    "clean": SLOW,
    "loss": replace(LOSSY, direction="both"),
    "response-loss": replace(LOSSY, direction="response"),
    "tso": replace(SLOW, offload="ends"),
    "nat": replace(SLOW, carrier="both", masquerade_random=True),
    "vxlan": replace(SLOW, carrier="vxlan", port=8472, layout=("client", "node-2")),
}


@dataclass(frozen=True, slots=True)
class Situation:
    """A recording, and what its captures at A and B suffer; `twice` : A shows every frame two times."""

    title: str
    recording: str
    at_a: PointNoise = NO_NOISE
    at_b: PointNoise = NO_NOISE
    twice: bool = False


SKEWED: Final = PointNoise(offset_ns=3_700_000_000, drift_ppm=40.0)
MISSES: Final = PointNoise(missed=0.02)
SITUATIONS: Final = (
    Situation("clean", "clean"),
    Situation("1 % lost both ways", "loss"),
    Situation("1 % lost both ways, B's clock +3.7 s and +40 ppm", "loss", at_b=SKEWED),
    Situation("offload (TSO) at the ends", "tso"),
    Situation("address translation between", "nat"),
    Situation("VXLAN on port 8472 at B", "vxlan"),
    Situation("B's capture misses 2 %", "clean", at_b=MISSES),
    Situation("A's capture misses 2 %", "clean", at_a=MISSES),
    Situation("every frame twice at A", "clean", twice=True),
    Situation("1 % of responses lost, both captures miss 1 %", "response-loss", PointNoise(missed=0.01), PointNoise(missed=0.01)),
    Situation("1 % lost both ways, both miss 2 %, skewed", "loss", MISSES, replace(SKEWED, missed=0.02)),
    Situation("offload, both captures miss 2 %", "tso", MISSES, MISSES),
)


def make_situation(situation: Situation, folder: Path, seed: int = SEED) -> dict[str, Any]:
    """Write the captures of a situation into `folder`; its truth.

    Returns
    -------
    dict : `lost` segments with payload, SYN or FIN, `lost_bare` acknowledgements, `missed` records a point, and of B's clock less
        A's the true `offset_ns` in the midst of the captures and `drift_ppm`
    """
    source = FOLDER / situation.recording
    recorded = json.loads((source / "truth.json").read_text())
    dice = random.Random(f"{situation.title} {seed}")  # noqa: S311  # a repeatable case, not a secret
    missed, times = {}, []
    for point, noise in (("A", situation.at_a), ("B", situation.at_b)):
        link_type, records = read_pcap(source / f"{point}.pcap.gz")
        times += [records[0].time_ns, records[-1].time_ns]
        noisy = suffer(link_type, copy_twice(records, dice) if situation.twice and point == "A" else records, noise, dice)
        write_noisy(folder, point, noisy, noise, recorded["at_ns"])
        missed[point] = noisy.dropped
    midst = (min(times) + max(times)) // 2 - recorded["at_ns"]
    drift = situation.at_b.drift_ppm - situation.at_a.drift_ppm
    return {
        "lost": recorded["lost"],
        "lost_bare": recorded["lost_bare"],
        "missed": missed,
        "offset_ns": situation.at_b.offset_ns - situation.at_a.offset_ns + round(midst * drift * 1e-6),
        "drift_ppm": drift,
        "seconds": (max(times) - min(times)) / SECOND_NS,
    }


def record(name: str) -> str:
    """Record one pair of captures in place of an older one; its name."""
    scenario = RECORDINGS[name]
    with tempfile.TemporaryDirectory() as scratch, Namespaces() as lab:
        line = build_line(lab, scenario)
        attempts, _, _, fault, _ = run_between_captures(lab, line, Path(scratch))
        check_outcomes(scenario, attempts)
        captures = {point: read_pcap(Path(scratch, f"{point}.pcap")) for point in scenario.points}
    dropped, bare = (fault.counted.get(key, 0) for key in ("dropped_packets", "bare_acknowledgements"))
    truth = {
        "recording": name,
        "seed": SEED,
        "versions": {"kernel": kernel_version()} | tcpdump_versions(),
        "at_ns": min(records[0].time_ns for _, records in captures.values()),
        "lost": dropped - bare,
        "lost_bare": bare,
        "attempts": attempts,
    }
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for point, (link_type, records) in captures.items():
        (folder / f"{point}.pcap.gz").write_bytes(gzip.compress(pcap_of(link_type, records), 9, mtime=0))
    (folder / "truth.json").write_text(compact_json(truth))
    return name


def main() -> int:
    """Record the named pairs, or all of them; 0 done, 1 could not."""
    parser = argparse.ArgumentParser(description="Record the pairs of captures that the twelve situations are made from.")
    parser.add_argument("recording", nargs="*", help=f"one of {', '.join(RECORDINGS)}; all of them without one")
    names = parser.parse_args().recording or list(RECORDINGS)
    if unknown := [name for name in names if name not in RECORDINGS]:
        parser.error(f"no recording {unknown[0]!r}")
    try:
        require_root_and_tools()
        with ProcessPoolExecutor(AT_ONCE, max_tasks_per_child=1) as pool:
            for name in pool.map(record, names):
                print(f"{name}: recorded", file=sys.stderr)
    except (LabError, OSError) as error:
        print(f"twopoints.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
