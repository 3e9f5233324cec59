"""One case of the library of faults: its network, its traffic, its captures with their noise, and its truth."""

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from addresses import addresses_of
from apps import Apps
from casefolder import compact_json
from fault import Fault
from faulttruth import Attempt, Conversation, name_conversations, truth_of
from innermost import segments
from line import Line, build_line
from namespaces import LabError, Namespaces
from noise import NO_NOISE, draw_noise, suffer, write_noisy
from pcapfile import read_pcap
from recorder import BUFFER_KIB, CaptureSummary, IncompleteCapture, Recorder, kernel_version, tcpdump_versions
from scenario import TUNNELS, Scenario

# How long probes run alone before and after the clients.
MARGIN_S: Final = 0.5
LARGEST_FRAME: Final = 2_048
# An IPv4 packet of the largest length in a frame with tunnel headers around it.
LARGEST_SUPERSEGMENT: Final = 66_000
KINDS_OF_PLACE: Final = {"client": "pod", "node-1": "node", "node-2": "node", "any-2": "any", "server": "pod"}
NODE_OF_PLACE: Final = {"client": "node-1", "node-1": "node-1", "node-2": "node-2", "any-2": "node-2", "server": "node-2"}
TRIES: Final = 4


class NotAsPlanned(LabError):
    """The applications did not see what the case is about."""


def record_fault_case(scenario: Scenario, folder: Path, *, noisy: bool) -> None:
    """Record one case: `folder/case`, which a diagnosis gets, and `folder/truth.json`, which it does not."""
    for left in range(TRIES - 1, -1, -1):
        try:
            _record(scenario, folder, noisy=noisy)
        except (NotAsPlanned, IncompleteCapture):
            if not left:
                raise
        else:
            return


def _record(scenario: Scenario, folder: Path, *, noisy: bool) -> None:
    clean = folder / "clean"
    clean.mkdir(parents=True, exist_ok=True)
    with Namespaces() as lab:
        line = build_line(lab, scenario)
        attempts, probes, apps, fault, summaries = run_between_captures(lab, line, clean)
    check_outcomes(scenario, attempts)
    captures = {point: read_pcap(clean / f"{point}.pcap") for point in scenario.points}
    for path in clean.iterdir():
        path.unlink()
    clean.rmdir()
    at_ns = min(records[0].time_ns for _, records in captures.values() if records)
    dice = random.Random(f"noise {scenario.kind} {scenario.seed}")  # noqa: S311  # a repeatable case, not a secret
    nodes = {point: NODE_OF_PLACE[place] for point, place in scenario.points.items()}
    wrapped = [point for point, place in scenario.points.items() if "-" in place and scenario.carrier in TUNNELS]
    noise = draw_noise(nodes, dice, wrapped=wrapped) if noisy else dict.fromkeys(nodes, NO_NOISE)
    case = folder / "case"
    case.mkdir(exist_ok=True)
    suffered = {point: suffer(*captures[point], noise[point], dice) for point in scenario.points}
    files = {point: write_noisy(case, point, suffered[point], noise[point], at_ns) for point in scenario.points}
    if scenario.manifest:
        (case / "case.toml").write_text(_manifest(scenario, files))
    conversations = name_conversations(attempts, {point: list(segments(*capture)) for point, capture in captures.items()})
    kept = {point: list(segments(capture.link_type, capture.records)) for point, capture in suffered.items()}
    record = {
        "kind": scenario.kind,
        "seed": scenario.seed,
        "noisy": noisy,
        "scenario": scenario.said() | {"layout": scenario.layout},
        "versions": {"kernel": kernel_version()} | tcpdump_versions(),
        **truth_of(scenario, conversations, suffered, kept, noise, at_ns),
        "counted": fault.counted,
        "captures": {name: asdict(summary) for name, summary in summaries.items()},
        "attempts": [
            attempt | {"names": conversation.names} for attempt, conversation in zip(attempts, conversations, strict=True)
        ],
        "server": apps.log.entries,
        "probes": probes,
    }
    (folder / "truth.json").write_text(compact_json(record))


def run_between_captures(
    lab: Namespaces, line: Line, folder: Path
) -> tuple[list[Attempt], list[Attempt], Apps, Fault, dict[str, CaptureSummary]]:
    """Carry out a case's traffic under its fault, between captures that see all of it."""
    scenario = line.scenario
    fault, apps = Fault(line), Apps(line)
    if scenario.mechanism == "wire":
        fault.install()
    largest, buffer_kib = (LARGEST_SUPERSEGMENT, 3 * BUFFER_KIB) if scenario.offload else (LARGEST_FRAME, BUFFER_KIB)
    recorders = {
        point: Recorder(lab, *line.interface(place), folder / f"{point}.pcap", largest=largest, buffer_kib=buffer_kib)
        for point, place in scenario.points.items()
    }
    apps.start()
    time.sleep(MARGIN_S)
    with ExitStack() as stack:
        if scenario.begins_s:
            stack.enter_context(_Schedule(fault, scenario.begins_s, scenario.lasts_s))
        elif scenario.mechanism not in {"", "wire"}:
            fault.install()
        attempts = apps.run_clients(scenario.seed)
    time.sleep(MARGIN_S)
    probes = apps.stop()
    summaries = {point: recorder.stop(wait=False) for point, recorder in recorders.items()}
    if scenario.mechanism and not fault.counted:
        fault.remove()
    return attempts, probes, apps, fault, summaries


class _Schedule:
    """A fault that comes after a while, and goes again where it is to last only so long."""

    def __init__(self, fault: Fault, begins_s: float, lasts_s: float) -> None:
        self._fault, self._begins_s, self._lasts_s = fault, begins_s, lasts_s
        self._error: LabError | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            time.sleep(self._begins_s)
            self._fault.install()
            if self._lasts_s:
                time.sleep(self._lasts_s)
                self._fault.remove()
        except LabError as error:
            self._error = error


def check_outcomes(scenario: Scenario, attempts: Sequence[Attempt]) -> None:
    """Raise `NotAsPlanned` where the applications did not see what the case is about, so that it is never kept."""
    failed = sum(Conversation(attempt).failed for attempt in attempts)
    fails = scenario.verdict == "loss" or scenario.is_servers_own
    if fails != (failed > 0):
        raise NotAsPlanned(
            f"{scenario.kind} {scenario.seed}: {failed} of {len(attempts)} attempts failed, which was not the plan"
        )


def _manifest(scenario: Scenario, files: Mapping[str, Sequence[str]]) -> str:
    """`case.toml`: only what an engineer who took these captures would know."""
    there = [point for point, names in files.items() if names]
    lines = [f"title = {json.dumps('some requests get no answer')}", ""]
    for point in there:
        place = scenario.points[point]
        lines += ["[[point]]", f'name = "{point}"', f"captures = {json.dumps(files[point])}"]
        lines += [f'node = "{NODE_OF_PLACE[place]}"', f'kind = "{KINDS_OF_PLACE[place]}"']
        if scenario.scope and place in {"client", "server"}:
            known = addresses_of(scenario)
            server = [known.server, *([known.service] if scenario.calls_service else [])]
            lines += [f"scope = {json.dumps([*known.clients] if place == 'client' else server)}"]
        lines += [""]
    lines += ["[path]", f"request = {json.dumps(there)}"]
    if scenario.asymmetric:
        back = [point for point in there if scenario.position(point, "response") is not None]
        lines += [f"response = {json.dumps(back[::-1])}"]
    return "\n".join(lines) + "\n"
