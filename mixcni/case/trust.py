"""Whether captures can be trusted: when each ran, what it dropped and missed, how its clock goes, and what limits conclusions."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from mixcni.case.diagnosis import diagnose
from mixcni.case.folder import Case, open_case
from mixcni.case.loading import Progress
from mixcni.errors import CaptureError
from mixcni.localise import Localisation
from mixcni.read import CaptureFile
from mixcni.report import Report
from mixcni.schema import Direction
from mixcni.words import WIDTH, item, listed, plural, printable

SHOWN_MISS_RATE: Final = 0.01  # a lower bound beyond it is worth a warning
OVERLAP: Final = 0.5  # of the shorter capture's time that two captures have in common, below which it is said


@dataclass(frozen=True, slots=True)
class PointTrust:
    """How far the capture at one point can be trusted.

    window_ns : (first, last) on the common clock; None where nothing tells; window_given : by the case, else from the packets
    dropped : packets that the capture itself lost, by pcapng's counters; None where the files have none
    miss_rate : share of what is proven to have passed and is not in the capture, as an interval of 95 %
    offset_ns, uncertainty_ns, drift_ppm : the clock less the common one; None where not known
    steps_ns : by how much the clock was set while capturing
    forward, reverse : packets of the conversations that concern the path, by direction
    warnings : what to beware of, a sentence each
    """

    point: str
    packets: int
    window_ns: tuple[int, int] | None
    window_given: bool
    dropped: int | None
    miss_rate: tuple[float, float]
    offset_ns: int | None
    uncertainty_ns: int | None
    drift_ppm: float | None
    steps_ns: tuple[int, ...]
    snaplen_cut: int
    not_decoded: int
    super_segments: int
    copies: int
    forward: int
    reverse: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """All points of a case. `print(trust)` shows a table and the warnings.

    reference : the point whose clock is the common one
    missing : what the case lacks, a sentence each
    """

    title: str
    points: tuple[PointTrust, ...]
    reference: str
    missing: tuple[str, ...]

    @property
    def headline(self) -> str:
        """How many points have no warning."""
        warned = [point.point for point in self.points if point.warnings]
        if not warned and not self.missing:
            return f"captures: nothing speaks against any of {plural(len(self.points), 'point')}"
        if warned:
            return f"captures: beware at {listed(warned)}"
        return "captures: nothing speaks against them, but not all is known"

    def text(self, width: int = WIDTH) -> str:
        """The table and the warnings; sentences are no longer than `width` columns."""
        headings = ("point", "packets", "from", "to", "dropped", "missed", f"clock to {printable(self.reference)}", "drift")
        rows = [headings, *(_cells(point) for point in self.points)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(headings))]
        lines = [*item(self.headline[:1].upper() + self.headline[1:], width, ""), ""]
        lines.extend("  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows)
        notes = [f"{point.point}: {warning}" for point in self.points for warning in point.warnings]
        for title, sentences in (("Beware", notes), ("Not known", list(self.missing))):
            if sentences:
                lines += ["", title, *(line for sentence in sentences for line in item(sentence, width))]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def judge_captures(case: Case | str | Path, *, progress: Progress | None = None) -> Trust:
    """How far each capture of a case can be trusted.

    Raises
    ------
    CaseError : `case` is a path, and no case is there
    CaptureError : a capture cannot be opened or is none
    """
    if not isinstance(case, Case):
        case = open_case(case)
    report = diagnose(case, progress=progress)
    localisation = report.localisation
    judged = tuple(_judge(report, position) for position in range(len(localisation.points)))
    clocks = localisation.alignment.clocks
    missing = [*case.notes, *_missing(judged, localisation)]
    return Trust(case.title, judged, clocks[0].reference if clocks else "", tuple(missing))


def dropped_by_capture(paths: tuple[Path, ...]) -> int | None:
    """Packets that the captures themselves lost, by the counters in their files; None where no file has any."""
    counts: list[int] = []
    for path in paths:
        file = CaptureFile(path)
        try:
            for _ in file.blocks():
                pass
        except CaptureError:
            continue  # whoever decodes it says why
        counts.extend(interface.dropped for interface in file.interfaces if interface.dropped is not None)
    return sum(counts) if counts else None


def _judge(report: Report, position: int) -> PointTrust:
    localisation = report.localisation
    point, clock = localisation.points[position], localisation.alignment.clocks[position]
    flows = localisation.alignment.points[position]
    packets, segments = flows.packets, flows.segments
    crossing = np.zeros(len(flows) + 1, dtype=np.bool_)
    own = localisation.alignment.conversations.flow_of[:, position]
    crossing[own[(own >= 0) & localisation.crossing]] = True
    concerned = crossing[segments["flow"]]
    forward = int((concerned & (segments["direction"] == Direction.FORWARD)).sum())
    reverse = int((concerned & (segments["direction"] == Direction.REVERSE)).sum())
    watch = localisation.sights.windows[position]
    judged = PointTrust(
        point=point.name,
        packets=len(packets),
        window_ns=None if watch is None else (watch.first, watch.last),
        window_given=point.window is not None,
        dropped=dropped_by_capture(point.captures),
        miss_rate=localisation.rates[position].interval,
        offset_ns=clock.offset_ns if clock.is_known else None,
        uncertainty_ns=clock.uncertainty_ns,
        drift_ppm=clock.drift_ppm,
        steps_ns=clock.steps_ns,
        snaplen_cut=int((packets["captured_length"] < packets["original_length"]).sum()),
        not_decoded=int(packets.not_decoded.sum()),
        super_segments=int(flows["super_segments_forward"].sum() + flows["super_segments_reverse"].sum()),
        copies=int((segments["copy_of"] >= 0).sum()),
        forward=forward,
        reverse=reverse,
        warnings=(),
    )
    damage = [entry for entry in report.inputs if entry.damage and entry.path in point.captures]
    warnings = [*_warnings(judged, localisation, position)]
    warnings += [f"{entry.file} is damaged: what could not be read of it was not seen" for entry in damage]
    return replace(judged, warnings=tuple(warnings))


def _warnings(judged: PointTrust, localisation: Localisation, position: int) -> Iterator[str]:
    if not judged.packets:
        ran = "it ran, by the case, and saw nothing" if judged.window_given else "nothing tells whether it ran"
        yield f"no packets: {ran}"
        return
    if judged.dropped:
        share = judged.dropped / (judged.dropped + judged.packets)
        lost = f"{plural(judged.dropped, 'packet')} ({share:.1%})"
        yield f"the capture itself dropped {lost}: what is missing here may have passed"
    low, high = judged.miss_rate
    if low > SHOWN_MISS_RATE:
        yield f"it lacks {low:.1%} to {high:.1%} of what is proven to have passed"
    if judged.snaplen_cut:
        cut = f"{plural(judged.snaplen_cut, 'packet')} of {judged.packets:,}"
        yield f"{cut} cut by the snaplen: of their payload the length is known, not the octets"
    if judged.not_decoded:
        unread = f"{plural(judged.not_decoded, 'packet')} of {judged.packets:,}"
        yield f"{unread} of a link type that is not decoded: what they carry was not seen"
    if judged.super_segments:
        long = plural(judged.super_segments, "segment")
        yield f"{long} longer than the MSS: captured before or after offload, not as on the wire"
    if judged.copies:
        yield f"{plural(judged.copies, 'packet')} captured twice here (several interfaces or a mirror): counted once"
    if judged.forward and not judged.reverse:
        elsewhere = [p.name for at, p in enumerate(localisation.points) if at != position and _has_reverse(localisation, at)]
        if elsewhere:
            there = plural(judged.forward, "packet")
            yield f"{there} to the responder and none back, though {listed(elsewhere)} saw some: does it capture both directions?"
    elif judged.reverse and not judged.forward:
        back = plural(judged.reverse, "packet")
        yield f"{back} back to the initiator and none to the responder: does it capture both directions?"
    if judged.steps_ns:
        yield f"its clock was set while capturing: {listed([f'{step / 1e6:+.3f} ms' for step in judged.steps_ns])}"
    clock = localisation.alignment.clocks[position]
    if clock.shares and not clock.segments:
        node = localisation.points[position].node
        yield f"its clock is taken to be that at {printable(clock.shares)}: both are on {printable(node)}"
    elif clock.beside:
        apart = f"not to that at {printable(clock.reference)}: no segment was seen at both"
        yield f"its clock is joined to that at {printable(clock.beside)}, and {apart}"
    elif judged.offset_ns is None:
        yield "its clock is not joined to the others': no segment was seen at both"
    elif clock.through:
        yield f"its clock is measured against that at {printable(clock.through)}, which is taken to be another's of its node"
    elif judged.uncertainty_ns is None:
        yield "its clock is bounded from one side only: segments seen at both points went one way"


def _has_reverse(localisation: Localisation, position: int) -> bool:
    table = localisation.alignment.transmissions
    crossing = localisation.crossing[table["conversation"]]
    return bool((crossing & (table["point"] == position) & (table["direction"] == Direction.REVERSE)).any())


def _missing(judged: tuple[PointTrust, ...], localisation: Localisation) -> Iterator[str]:
    names = [point.name for point in localisation.points]
    if len(names) < 2:
        yield "one point only: where between two points something is lost needs two"
    if any(point.forward for point in judged) and not any(point.reverse for point in judged):
        yield "no point has a packet back to the initiator: that none came looks the same as captures of one direction"
    for point in localisation.points:
        lacking = [word for word, value in (("kind", point.kind), ("scope", point.scope)) if not value]
        if lacking == ["kind", "scope"]:
            yield f"{point.name}: neither what kind of point it is nor whose traffic must pass it; case.toml can say it"
    windows = [(point.point, point.window_ns) for point in judged if point.window_ns is not None]
    for (near, first), (far, second) in itertools.pairwise(windows):
        common = min(first[1], second[1]) - max(first[0], second[0])
        shorter = min(first[1] - first[0], second[1] - second[0])
        if common < OVERLAP * shorter:
            how = "do not overlap in time" if common <= 0 else f"have {common / 1e9:.1f} s in common"
            yield f"{near} and {far} {how}: what passed outside it cannot be compared"


def _cells(judged: PointTrust) -> tuple[str, ...]:
    times = ["-", "-"] if judged.window_ns is None else [_time_text(at) for at in judged.window_ns]
    low, high = judged.miss_rate
    return (
        printable(judged.point),
        f"{judged.packets:,}",
        *times,
        "-" if judged.dropped is None else f"{judged.dropped:,}",
        f"{low:.1%}-{high:.1%}",
        _clock_text(judged),
        "-" if judged.drift_ppm is None else f"{judged.drift_ppm:+.2f} ppm",
    )


def _clock_text(judged: PointTrust) -> str:
    if judged.offset_ns is None:
        return "-"
    sure = "one-sided" if judged.uncertainty_ns is None else f"± {judged.uncertainty_ns / 1e6:.3f}"
    return f"{judged.offset_ns / 1e6:+.3f} {sure} ms"


def _time_text(ns: int) -> str:
    return str(np.datetime64(ns, "ns").astype("datetime64[ms]")).split("T")[1]
