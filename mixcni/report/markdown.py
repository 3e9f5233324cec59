"""The postmortem as Markdown for a ticket, in the dialect of GitHub and GitLab.

Whatever came from a capture or a dump is shown as it is: no markup of it takes effect, nobody is mentioned, no issue is linked.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from mixcni.report.postmortem import Case, Fact, Postmortem, postmortem_of
from mixcni.words import plural, printable

if TYPE_CHECKING:
    from mixcni.report.report import Report

SPECIAL: Final = re.compile(r"[\\`*_\[\]<>#|~$&]")
LEADING: Final = re.compile(r"^(?=[-+=:]|\d+[.)])")  # what would make a list or a rule of a sentence
LINKED: Final = re.compile(r"@|#(?=\d)|(?<=[a-z])://|(?<=www)\.|(?<=gh)-(?=\d)", re.IGNORECASE)  # mentions, issues, addresses
TICKS: Final = re.compile(r"`+")
JOINER: Final = "&#8203;"  # a zero-width space: parts what would be linked, and shows nothing
PART: Final = "\x00"  # stands for it: no printable text has one


def postmortem_markdown(report: "Report") -> str:
    """A report's postmortem as Markdown."""
    return "\n".join(_lines(postmortem_of(report))) + "\n"


def literal(text: str) -> str:
    """Text that no Markdown takes for markup, on one line.

    Characters that are markup become references, and what GitHub links of plain text (mentions, issues, addresses) is parted.
    """
    text = LINKED.sub(lambda match: match[0] + PART if match[0] in "@#" else PART + match[0], printable(text).lstrip())
    text = SPECIAL.sub(lambda match: f"&#{ord(match[0])};" if match[0] in "<>&|" else f"\\{match[0]}", text)
    return LEADING.sub(JOINER, text).replace(PART, JOINER)


def code(text: str) -> str:
    """Text in a code span whose ticks are more than any within it; with a pipe, which would end a cell, as HTML."""
    text = printable(text)
    if "|" in text:
        return f"<code>{literal(text)}</code>"
    ticks = "`" * (max((len(run) for run in TICKS.findall(text)), default=0) + 1)
    gap = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{gap}{text}{gap}{ticks}"


def block(text: str, language: str = "") -> Iterator[str]:
    """Text as a fenced block, its fence longer than any within it."""
    lines = [printable(line) for line in text.splitlines()]
    fence = "`" * max(3, *(len(run) + 1 for line in lines for run in TICKS.findall(line)), 3)
    yield from (f"{fence}{language}", *lines, fence)


def _lines(mortem: Postmortem) -> Iterator[str]:
    summary = mortem.summary
    yield f"## {literal(summary.word.upper())}: {literal(summary.sentence)}"
    if summary.title:
        yield from ("", f"*{literal(summary.title)}*")
    yield from ("", "| point | where | packets | requests | responses | |", "|---|---|--:|--:|--:|---|")
    for point in summary.points:
        cells = [literal(point.name), literal(point.where), *(f"{n:,}" for n in (point.packets, point.requests, point.responses))]
        yield f"| {' | '.join(cells)} | {literal(point.remark)} |"
    yield from ("", "A handshake counts as a request, its SYN, and a response, its SYN-ACK.", "")
    yield from _items(summary.parts)
    for case in mortem.cases:
        yield from _case(case)
    if mortem.ladders:
        yield from ("", "### The worst conversations")
    for ladder in mortem.ladders:
        outcome = f": {'; '.join(map(literal, ladder.outcomes[:3]))}" if ladder.outcomes else ""
        yield from ("", f"**{literal(ladder.title)}**{outcome}", "", *block(ladder.text), "", f"Wireshark: {code(ladder.filter)}")
    for title, sentences in (
        ("What would make the answer surer", mortem.surer),
        ("Assumed", summary.assumptions),
        ("Not read", summary.trouble),
    ):
        if sentences:
            yield from ("", f"### {title}", "", *_items(sentences))
    yield from ("", "<details><summary>Inputs</summary>", "", "| file | packets | damage | SHA-256 |", "|---|--:|---|---|")
    for entry in mortem.inputs:
        packets = "dump" if entry.packets is None else f"{entry.packets:,}"
        damage = "" if entry.packets is None else plural(len(entry.damage), "place") if entry.damage else "none"
        checksum = code(entry.sha256) if entry.sha256 else "gone since"
        yield f"| {literal(entry.file)} | {packets} | {damage} | {checksum} |"
    yield from ("", "</details>")


def _items(sentences: Iterable[str], mark: str = "-") -> Iterator[str]:
    return (f"{mark} {literal(sentence)}" for sentence in sentences)


def _case(case: Case) -> Iterator[str]:
    finding = case.finding
    yield from ("", f"### {literal(case.title)}", "")
    yield f"{code(finding.cause)}, confidence {finding.confidence:g}. {literal(finding.sentence)}."
    if case.filter:
        yield from ("", f"Wireshark: {code(case.filter)}")
    for title, facts in (("For it", case.evidence), ("Against it", case.against)):
        if facts:
            yield from ("", f"{title}:", "", *(line for fact in facts for line in _fact(fact)))
    if finding.remedies:
        yield from ("", "What to do:", "")
    for number, remedy in enumerate(finding.remedies, 1):
        checked = "" if remedy.would_pass is None else f" **{remedy.would_pass:,} of the {remedy.of:,} that failed would pass.**"
        yield f"{number}. {literal(remedy.sentence)}.{checked}"
        if remedy.yaml:
            yield from ("", *(f"   {line}" for line in block(remedy.yaml, "yaml")), "")


def _fact(fact: Fact) -> Iterator[str]:
    place = f" ({code(fact.place)})" if fact.place else ""
    yield f"- {literal(fact.says)}{place}"
    cited = [line.text for line in fact.lines if line.is_cited]
    if cited:
        yield from (f"  {line}" for line in block("\n".join(cited)))
