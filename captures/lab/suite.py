#!/usr/bin/env python3
"""Record a suite of faults and print how right `mixcni diagnose` is: `suite.py OUT [--seed N] [--count N]`.

Needs root, and the tools ip, nft, sysctl, tc and tcpdump. OUT gets a folder a recording, `KIND-SEED` with `-noisy` where
its captures suffered: in it `case/` for a diagnosis, `truth.json`, and `report.json` once it was diagnosed. What is there already
is not recorded again; `--score` only diagnoses and marks.
"""

import argparse
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from faultcase import record_fault_case
from kinds import KINDS, draw_scenario
from namespaces import LabError, remove_leftovers, require_root_and_tools
from score import Marks, calibration, judge, table

AT_ONCE: Final = 5
MIXCNI: Final = (sys.executable, "-m", "mixcni")
NAME: Final = re.compile(r"(?P<kind>[a-z-]+)-(?P<seed>\d+)(?P<noisy>-noisy)?")
TRUTH: Final = "truth.json"
REPORT: Final = "report.json"

# Kind, seed, and whether its captures suffer.
Case = tuple[str, int, bool]


def stop(number: int, _: FrameType | None) -> NoReturn:
    """Leave by way of every `with` and `finally` when a signal asks to."""
    raise SystemExit(128 + number)


def record_one(kind: str, seed: int, folder: Path, *, noisy: bool) -> float:
    """Record one case beside its place, and put it there once it is whole; how long that took, s."""
    started = time.monotonic()
    scratch = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        record_fault_case(draw_scenario(kind, seed), scratch, noisy=noisy)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return time.monotonic() - started


def plan(kinds: list[str], seed: int, count: int, noise: str) -> list[Case]:
    """The suite's cases, as kind, seed and whether noisy: the kinds in turn, each time with another seed."""
    cases = []
    for number in range(count):
        rounds = number // len(kinds)
        noisy = noise == "all" or (noise == "half" and rounds % 2 == 1)
        cases.append((kinds[number % len(kinds)], seed + rounds, noisy))
    return cases


def named(name: str) -> Case:
    """The case of a folder's name; `LabError` where no case has it."""
    match = NAME.fullmatch(name)
    if match is None or match["kind"] not in KINDS:
        near = difflib.get_close_matches(match["kind"] if match else name, KINDS, n=1)
        raise LabError(f"no case {name!r}: wanted KIND-SEED or KIND-SEED-noisy" + (f"; did you mean {near[0]}?" if near else ""))
    return match["kind"], int(match["seed"]), match["noisy"] is not None


def record(cases: list[Case], out: Path, jobs: int) -> int:
    """Record what is not there yet, several at a time; how many could not be."""
    failures = 0
    with ProcessPoolExecutor(jobs, max_tasks_per_child=1) as pool:
        waiting = {}
        for kind, seed, noisy in cases:
            folder = out / f"{kind}-{seed}{'-noisy' * noisy}"
            if not folder.exists():
                waiting[pool.submit(record_one, kind, seed, folder, noisy=noisy)] = folder.name
        for done in as_completed(waiting):
            try:
                print(f"{waiting[done]}: recorded in {done.result():.1f} s", file=sys.stderr)
            except (LabError, OSError) as error:
                failures += 1
                print(f"{waiting[done]}: {error}", file=sys.stderr)
    return failures


def diagnose(folder: Path) -> dict[str, Any]:
    """The report on a recording as the command line gives it; `OSError` with its one line of complaint where it does not."""
    done = subprocess.run((*MIXCNI, "diagnose", str(folder / "case"), "--json"), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(
            f"{folder.name}: mixcni ended with {done.returncode}: {(done.stderr.strip() or 'no message').splitlines()[-1]}"
        )
    (folder / REPORT).write_text(done.stdout)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def score(folders: Iterable[Path], jobs: int) -> tuple[str, int]:
    """Diagnose and mark recordings; the tables with the names of those that are not clean, and how many had no report."""
    marked: list[tuple[str, Marks]] = []
    complaints, failures = [], 0
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(diagnose, folder): folder for folder in folders}
        for done in as_completed(waiting):
            folder = waiting[done]
            truth = json.loads((folder / TRUTH).read_text())
            try:
                report = done.result()
            except OSError as error:
                failures += 1
                complaints.append(str(error))
                continue
            marks = judge(report, truth)
            marked.append((truth["kind"] + (" (noisy)" if truth["noisy"] else ""), marks))
            if not marks.is_clean:
                complaints.append(complaint(folder.name, marks, report, truth))
    tables = [table(marked), calibration(marks for _, marks in marked)]
    return "\n\n".join([*tables, "\n".join(sorted(complaints))]), failures


def complaint(name: str, marks: Marks, report: dict[str, Any], truth: dict[str, Any]) -> str:
    """One line on a case that is not clean: what was said, and what is true."""
    blames = [f"{'→'.join(loss['hop'])} {loss['direction']} {loss['confidence']}" for loss in report["losses"]]
    losses = "; ".join(blames) or "no loss"
    hop = f", {'→'.join(truth['hop'])} {truth['direction']}" if truth["hop"] else ""
    return (
        f"{name}: says {report['verdict']}, {losses}; true {' or '.join(truth['verdicts'])}{hop}; flows blamed rightly"
        f" {marks.blamed_rightly}/{marks.blamed}, found {marks.found}/{marks.failing};"
        f" offsets {marks.offsets[0]}/{marks.offsets[1]}, drifts {marks.drifts[0]}/{marks.drifts[1]}"
    )


def main() -> int:
    """Run the program; 0 done, 1 something could not be recorded or diagnosed, 2 wrong usage."""
    parser = argparse.ArgumentParser(description="Record a suite of faults and print how right the diagnoses are.")
    parser.add_argument("out", type=Path, nargs="?", help="the folder that gets one folder a recording")
    parser.add_argument("--seed", type=int, default=1, help="of the first round of kinds (default: %(default)s)")
    parser.add_argument("--count", type=int, default=len(KINDS), help="how many recordings (default: one a kind)")
    parser.add_argument("--case", action="append", metavar="NAME", help="only the recording of this name; repeatable")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this kind; repeatable")
    parser.add_argument("--noise", choices=("none", "half", "all"), default="half", help="which rounds of kinds suffer noise")
    parser.add_argument("--jobs", type=int, default=AT_ONCE, help="recordings at a time (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="only record")
    parser.add_argument("--score", action="store_true", help="only diagnose and mark what OUT holds")
    parser.add_argument("--list", action="store_true", help="name the kinds and end")
    options = parser.parse_args()
    if options.list:
        print("\n".join(KINDS))
        return 0
    if options.out is None:
        parser.error("say which folder gets the recordings")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    failures = 0
    try:
        if not options.score:
            planned = plan(options.kind or list(KINDS), options.seed, options.count, options.noise)
            cases = [named(name) for name in options.case] if options.case else planned
            require_root_and_tools("tc")
            options.out.mkdir(parents=True, exist_ok=True)
            remove_leftovers()
            failures += record(cases, options.out, options.jobs)
        if not options.record:
            folders = sorted(path.parent for path in options.out.glob(f"*/{TRUTH}"))
            text, missing = score(folders, 2)
            failures += missing
            print(text)
    except (LabError, OSError) as error:
        print(f"suite.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("suite.py: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
