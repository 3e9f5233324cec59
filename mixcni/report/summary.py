"""The facts of a report in the order in which a person wants them; text, HTML and `repr` render nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mixcni.cluster.dump import UNRECOGNISED
from mixcni.explain import Evidence, Finding
from mixcni.explain.suspects import ends_text, exchanges_text
from mixcni.glance import Glance
from mixcni.localise import Localisation, Verdict
from mixcni.report.proxied import proxied_sentences
from mixcni.report.tables import Crossing, crossings, point_rows
from mixcni.report.wireshark import finding_filter, frame_ranges
from mixcni.report.words import BESIDE, CAUSES, VERDICTS, cause_text, reason_text
from mixcni.schema import Direction, Fate
from mixcni.words import plural

if TYPE_CHECKING:
    from mixcni.report.report import Report

SHOWN_RANGES: Final = 6
SHOWN_REASONS: Final = 4
SHOWN_TRAITS: Final = 2


@dataclass(frozen=True, slots=True)
class PointLine:
    """A row of the capture-point table: what a point saw of the conversations that concern the path."""

    name: str
    where: str
    packets: int
    requests: int
    responses: int
    remark: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What every form of the report shows.

    hops : what came over each hop in each direction, and what did not
    filters : Wireshark's display filter for each finding; empty where it explains no loss
    parts : which of the exchanges have which fate, and what failed across a proxy, a sentence each
    trouble : what could not be read of the inputs, a sentence each
    """

    title: str
    verdict: str
    headline: str
    path: str
    points: tuple[PointLine, ...]
    hops: tuple[Crossing, ...]
    parts: tuple[str, ...]
    findings: tuple[Finding, ...]
    filters: tuple[str, ...]
    assumptions: tuple[str, ...]
    trouble: tuple[str, ...]

    @property
    def word(self) -> str:
        """The verdict's word: the headline's beginning."""
        return self.headline.partition(": ")[0]

    @property
    def sentence(self) -> str:
        """The headline behind the verdict's word."""
        return self.headline.partition(": ")[2]

    @property
    def glance(self) -> str:
        """The verdict, and a line a point."""
        rows = [
            (point.name, plural(point.requests, "request"), plural(point.responses, "response"), point.remark)
            for point in self.points
        ]
        return Glance(f"Report: {self.headline}", rows, right=(1, 2)).text()


def summarise(report: "Report") -> Summary:
    """The summary of a report."""
    localisation = report.localisation
    return Summary(
        title=report.title,
        verdict=str(localisation.verdict),
        headline=_headline(localisation, report.findings_found, has_dumps=bool(report.cluster.dumps)),
        path=" → ".join(point.name for point in localisation.points),
        points=tuple(_point_line(row) for row in point_rows(localisation)),
        hops=tuple(crossings(localisation)),
        parts=(*_parts(localisation), *proxied_sentences(localisation, report.proxy_links)),
        findings=report.findings_found,
        filters=tuple(finding_filter(localisation, finding) for finding in report.findings_found),
        assumptions=report.assumptions,
        trouble=tuple(_trouble(report)),
    )


def evidence_place(fact: Evidence) -> str:
    """Where a fact stands: file and line, or file and frames; empty where it rests on nothing that is there."""
    if not fact.file:
        return ""
    if fact.line is not None:
        return f"{fact.file}:{fact.line}"
    if not fact.frames:
        return fact.file
    ranges = frame_ranges(fact.frames)
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges[:SHOWN_RANGES])
    more = fact.more + sum(last - first + 1 for first, last in ranges[SHOWN_RANGES:])
    return f"{fact.file}, {'frame' if len(fact.frames) == 1 else 'frames'} {shown}{f' and {more:,} more' if more else ''}"


def _headline(localisation: Localisation, findings: Sequence[Finding], *, has_dumps: bool) -> str:
    fates = localisation.fates
    verdict = VERDICTS[localisation.verdict]
    if localisation.losses:
        loss = localisation.losses[0]
        near, far = localisation.points[loss.near].name, localisation.points[loss.far].name
        what = exchanges_text(localisation, loss.fates)
        refused = bool((fates["fate"][loss.fates] == Fate.REFUSED).all())
        verb = (
            "refused"
            if refused
            else "lost"
            if loss.direction == Direction.FORWARD
            else "left without their responses, which were lost"
        )
        way = "to the responder" if loss.direction == Direction.FORWARD else "back to the initiator"
        cause = next((finding for finding in findings if finding.loss == 0 and finding.is_named), None)
        unnamed = "no cause is named by the dumps" if has_dumps else "without dumps no cause is named"
        why = cause_text(cause.cause) if cause else unnamed
        ends = ends_text(localisation, loss.fates)
        return f"{verdict}: {what} {ends} {verb} between {near} and {far} on the way {way}: {why}"
    if localisation.verdict == Verdict.NO_LOSS:
        answered = np.flatnonzero(fates["fate"] == Fate.ANSWERED)
        count = np.unique(fates["conversation"][answered]).size
        rest = len(fates) - answered.size
        what = exchanges_text(localisation, answered)
        tail = f"; {rest:,} had no response for other reasons than the network between the points" if rest else ", every one"
        return f"{verdict}: {what} in {plural(count, 'conversation')} answered{tail}{_unwatched_text(localisation)}"
    undecided = np.flatnonzero(fates["fate"] == Fate.UNDECIDED)
    if not undecided.size:
        return f"{verdict}: the captures have no request to follow"
    causes = CAUSES.keys() - BESIDE
    named = next((finding for finding in findings if finding.is_named and finding.loss is None and finding.cause in causes), None)
    why = f"; by the dumps they are {cause_text(named.cause)}" if named else ""
    what = exchanges_text(localisation, undecided)
    return f"{verdict}: {what} {ends_text(localisation, undecided)} cannot be followed to the end{why}"


def _unwatched_text(localisation: Localisation) -> str:
    """That the captures tell of the way behind the first point that watched alone; "" where that is the path's first."""
    first = next((position for position, window in enumerate(localisation.sights.windows) if window), 0)
    return f"; what was lost before {localisation.points[first].name} no capture shows" if first else ""


def _point_line(row: dict[str, object]) -> PointLine:
    """A row of `point_rows` in words."""
    remarks = []
    for direction, name in (("requests", "request"), ("responses", "response")):
        lost = int(str(row[f"{direction}_lost_after"]))
        if lost:
            remarks.append(f"{plural(lost, name)} lost after here")
    other, answered = int(str(row["other_conversations"])), int(str(row["other_answered"]))
    if other:
        how = "all answered" if other == answered else f"{answered:,} answered"
        remarks.append(f"{plural(other, 'other conversation')}, {how}")
    if not row["packets"]:
        remarks.append("no packets")
    where = " ".join(str(part) for part in (row["node"], row["kind"]) if part)
    return PointLine(
        name=str(row["point"]),
        where=where,
        packets=int(str(row["packets"])),
        requests=int(str(row["requests"])),
        responses=int(str(row["responses"])),
        remark="; ".join(remarks),
    )


def _parts(localisation: Localisation) -> list[str]:
    """How many exchanges have which fate, the trouble first, with the reason where it is not the network's loss."""
    fates = localisation.fates
    sentences = []
    for loss in localisation.losses:
        near, far = localisation.points[loss.near].name, localisation.points[loss.far].name
        word = "requests" if loss.direction == Direction.FORWARD else "responses"
        verb = "refused" if bool((fates["fate"][loss.fates] == Fate.REFUSED).all()) else "lost"
        sentences.append(
            f"{verb} between {near} and {far}, {word}: {exchanges_text(localisation, loss.fates)} "
            f"in {plural(loss.conversations, 'conversation')}, confidence {loss.confidence:.3f}"
        )
        sentences.extend(
            f"what they have in common: {trait.what} {trait.value} ({trait.failing:,} that failed, {trait.others:,} that passed; "
            f"by accident with a chance of {trait.chance:.2g})"
            for trait in loss.traits[:SHOWN_TRAITS]
        )
    for fate, word in ((Fate.REFUSED, "refused"), (Fate.SILENT, "silent"), (Fate.UNDECIDED, "undecided")):
        rows = np.flatnonzero((fates["fate"] == fate) & (fates["near"] < 0))
        keys = np.stack([fates[name][rows].astype(np.int64) for name in ("reason", "decider", "last_seen")], axis=1)
        groups = [rows[(keys == key).all(axis=1)] for key in np.unique(keys, axis=0)]
        for group in sorted(groups, key=lambda members: -members.size)[:SHOWN_REASONS]:
            why = reason_text(localisation, int(group[0]))
            if fate == Fate.SILENT:
                why = "they arrived at the last point, and nothing came back"
            sentences.append(f"{word}: {exchanges_text(localisation, group)}{f', {why}' if why else ''}")
    answered = np.flatnonzero(fates["fate"] == Fate.ANSWERED)
    if answered.size:
        sentences.append(f"answered: {exchanges_text(localisation, answered)}")
    recovered = sum(hop.recovered for hop in localisation.hops)
    if recovered:
        sentences.append(f"lost on the way and made up for by retransmission: {plural(recovered, 'segment')}")
    return sentences


def _trouble(report: "Report") -> list[str]:
    sentences: list[str] = []
    for entry in report.inputs:
        sentences.extend(
            f"{entry.file}, octet {damage['offset']}: {damage['what']} needs {damage['wanted']} octets, has {damage['had']}; "
            f"{damage['skipped']:,} octets from there on were not read"
            for damage in entry.damage
        )
    for dump in report.cluster.dumps:
        place = f"{dump.file}:{dump.line}"
        if dump.unavailable:
            sentences.append(f"{place}: {dump.kind} is not available: {dump.unavailable}")
        if dump.kind == UNRECOGNISED:
            sentences.append(f"{place}: no dump that mixcni knows{f' ({dump.note})' if dump.note else ''}")
        elif dump.unparsed:
            first = dump.unparsed[0]
            lines = plural(len(dump.unparsed), "line")
            sentences.append(f"{dump.file}:{first.line}: {lines} of {dump.kind} not understood, the first because {first.why}")
    return sentences
