#!/usr/bin/env python3
"""Rebuild the incident's network from namespaces and record its cases: `record.py [CASE ...] [--out DIR] [--seed N]`.

Needs root, and the tools ip, nft, sysctl and tcpdump. Each case takes up to 20 s and is written to a folder of its
name; a folder that is there already is replaced once the new one is whole.
"""

import argparse
import difflib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from casefolder import manifest, truth
from cases import CASES, Case
from cluster import SHOP
from dumps import write_dumps
from namespaces import LabError, Namespaces, is_running, require_root_and_tools
from network import POD_INTERFACE, UPLINK, build_network
from recorder import Recorder
from traffic import check_outcomes, run_traffic

SEED: Final = 20221212
SCRATCH: Final = ".recording-"
CAPTURES: Final = Path(__file__).resolve().parent.parent


def record_case(case: Case, folder: Path, seed: int) -> None:
    """Record one case into `folder`, which is there and empty."""
    with Namespaces() as lab:
        network = build_network(lab)
        if case.network_policy:
            network.enforce_policy()
        recorders = {
            "A": Recorder(lab, network.at(case.initiator), POD_INTERFACE, folder / "A.pcap"),
            "B": Recorder(lab, network.on(case.uplink_node), UPLINK, folder / "B.pcap"),
            "C": Recorder(lab, network.at(case.responder), POD_INTERFACE, folder / "C.pcap"),
        }
        attempts, probes = run_traffic(lab, network, case, seed)
        summaries = {name: recorder.stop() for name, recorder in recorders.items()}
        denied = network.remove_policy() if case.network_policy else 0
    check_outcomes(case, attempts, probes)
    shop_capture = folder / ("C.pcap" if case.responder is SHOP else "A.pcap")
    write_dumps(folder / "cilium", shop_capture, seed, network_policy=case.network_policy)
    (folder / "case.toml").write_text(manifest(case))
    (folder / "truth.json").write_text(truth(case, seed, attempts, probes, summaries, denied))


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A folder beside the finished ones, gone afterwards; those of labs that were killed go as well."""
    for old in out.glob(f"{SCRATCH}*"):
        owner = old.name.removeprefix(SCRATCH)
        if owner.isdecimal() and not is_running(int(owner)):
            shutil.rmtree(old)
    folder = out / f"{SCRATCH}{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def replace_folder(new: Path, old: Path) -> None:
    """Put a finished folder where an older one may be."""
    if old.exists():
        shutil.rmtree(old)
    shutil.move(new, old)


def chosen_cases(names: list[str]) -> list[Case]:
    """The cases of these names, all of them for no name."""
    by_name = {case.name: case for case in CASES}
    for name in names:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=1)
            raise LabError(f"no case {name!r}" + (f"; did you mean {near[0]}?" if near else "; --list names them"))
    return [by_name[name] for name in names] or list(CASES)


def stop(number: int, _: FrameType | None) -> NoReturn:
    """Leave by way of every `with` and `finally` when a signal asks to."""
    raise SystemExit(128 + number)


def main() -> int:
    """Run the program; 0 done, 1 could not, 2 wrong usage."""
    parser = argparse.ArgumentParser(description="Record the incident's cases from a network of namespaces.")
    parser.add_argument("case", nargs="*", help="a case to record; all of them without one")
    parser.add_argument("--out", type=Path, default=CAPTURES, help="the folder that gets one folder a case")
    parser.add_argument("--seed", type=int, default=SEED, help="of the traffic's plan (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{case.name:34}{case.title}" for case in CASES))
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        cases = chosen_cases(options.case)
        require_root_and_tools()
        options.out.mkdir(parents=True, exist_ok=True)
        for case in cases:
            started = time.monotonic()
            with scratch_folder(options.out) as scratch:
                folder = scratch / case.name
                folder.mkdir()
                record_case(case, folder, options.seed)
                replace_folder(folder, options.out / case.name)
            print(f"{case.name}: recorded in {time.monotonic() - started:.1f} s", file=sys.stderr)
    except (LabError, OSError) as error:
        print(f"record.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("record.py: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
