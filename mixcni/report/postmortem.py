"""What a postmortem holds, in the order in which it is read; HTML and Markdown render nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import numpy as np

from mixcni.explain import Evidence, Finding
from mixcni.localise import Localisation
from mixcni.report.citations import Citations, CitedLine
from mixcni.report.ladder import ladder_of, ladder_text
from mixcni.report.summary import Summary, evidence_place
from mixcni.report.wireshark import conversation_filter, frames_filter
from mixcni.report.words import cause_text, outcome_text, reason_text
from mixcni.report.worst import worst_conversations
from mixcni.schema import Fate, Reason
from mixcni.words import plural

if TYPE_CHECKING:
    from mixcni.report.inputs import InputFile
    from mixcni.report.report import Report

MAX_LADDERS: Final = 6
LADDERS_EACH: Final = 2  # of one loss, or of another trouble
SURER: Final = (Reason.NO_WINDOW, Reason.CAPTURE_ENDED, Reason.ON_THE_WAY, Reason.MISS_RATE, Reason.NOT_PLACED)


@dataclass(frozen=True, slots=True)
class Fact:
    """A piece of evidence: what it says, where it stands, the lines there, and how to see its frames in Wireshark."""

    says: str
    place: str
    lines: tuple[CitedLine, ...]
    filter: str
    file: str


@dataclass(frozen=True, slots=True)
class Case:
    """A finding with its evidence looked up."""

    finding: Finding
    title: str
    filter: str
    evidence: tuple[Fact, ...]
    against: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Rungs:
    """The ladder of a conversation."""

    conversation: int
    title: str
    outcomes: tuple[str, ...]
    text: str
    filter: str


@dataclass(frozen=True, slots=True)
class Postmortem:
    """All that a postmortem shows.

    surer : what would make the answer surer, a sentence each
    """

    summary: Summary
    cases: tuple[Case, ...]
    ladders: tuple[Rungs, ...]
    surer: tuple[str, ...]
    inputs: "tuple[InputFile, ...]"
    scenario: tuple[tuple[str, str], ...]


def postmortem_of(report: "Report") -> Postmortem:
    """What a report's postmortem holds."""
    dumps = {entry.file: entry.path for entry in report.inputs if entry.packets is None}
    citations = Citations(dumps)
    localisation = report.localisation
    return Postmortem(
        summary=report.summary,
        cases=tuple(
            _case(finding, text, citations) for finding, text in zip(report.findings_found, report.summary.filters, strict=True)
        ),
        ladders=tuple(_rungs(localisation, row) for row in worst_conversations(localisation, MAX_LADDERS, LADDERS_EACH)),
        surer=tuple(dict.fromkeys(_surer(report))),
        inputs=report.inputs,
        scenario=tuple((str(name), str(value)) for name, value in report.scenario.items()),
    )


def _case(finding: Finding, display_filter: str, citations: Citations) -> Case:
    how = "Cause" if finding.is_named else "Possible"
    return Case(
        finding=finding,
        title=f"{how}: {cause_text(finding.cause)}",
        filter=display_filter,
        evidence=tuple(_fact(fact, citations) for fact in finding.evidence),
        against=tuple(_fact(fact, citations) for fact in finding.against),
    )


def _fact(fact: Evidence, citations: Citations) -> Fact:
    return Fact(
        says=fact.says,
        place=evidence_place(fact),
        lines=citations.around(fact.file, fact.line),
        filter=frames_filter(fact.frames) if fact.frames else "",
        file=PurePath(fact.file).name,
    )


def _rungs(localisation: Localisation, conversation: int) -> Rungs:
    fates = localisation.fates
    rows = np.flatnonzero((fates["conversation"] == conversation) & (fates["fate"] != Fate.ANSWERED))
    ladder = ladder_of(localisation, conversation)
    return Rungs(
        conversation=conversation,
        title=ladder.title,
        outcomes=tuple(dict.fromkeys(outcome_text(localisation, int(row)) for row in rows)),
        text=ladder_text(ladder).partition("\n")[2],
        filter=conversation_filter(localisation, conversation),
    )


def _surer(report: "Report") -> Iterator[str]:
    """What to collect: for each finding, then for exchanges that nothing decides."""
    for finding in report.findings_found:
        yield from finding.collect
    fates = report.localisation.fates
    open_ones = np.flatnonzero((fates["fate"] == Fate.UNDECIDED) & np.isin(fates["reason"], SURER))
    keys = np.stack([fates[name][open_ones].astype(np.int64) for name in ("reason", "decider", "last_seen")], axis=1)
    for key in np.unique(keys, axis=0):
        group = open_ones[(keys == key).all(axis=1)]
        yield f"{plural(group.size, 'exchange')} undecided: {reason_text(report.localisation, int(group[0]))}"
    for position, clock in enumerate(report.localisation.alignment.clocks):
        if not clock.is_known and len(report.localisation.alignment.points[position].packets):
            name = report.localisation.points[position].name
            yield f"traffic that {name} and {clock.reference} both see would put their clocks together"
