"""`hubble observe` in text: compact, table and dictionary form.

Compact lines are read from the right, because a type may have several words and a summary may hold anything: `(SUMMARY)`,
the verdict before it, the type before that. A reply is printed turned round, `client <- server`.
"""

import re
from typing import Any, Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.events.hubbleflow import VERDICTS, HubbleFlow
from mixcni.cluster.events.lost import BlindTimes, LostEvents
from mixcni.cluster.events.monitorevent import identity_number
from mixcni.cluster.events.packets import flags_in, parse_end
from mixcni.cluster.events.times import time_of

_TIME = r"[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*"
_HEAD = re.compile(rf"({_TIME}|N/A)(?: \[([^\]]*)\])?:\s+(.*)", re.ASCII)
_ENDS = re.compile(r"(.{0,400}?)\s*(->|<-|<>)\s+(\S.*)")
_END = re.compile(r"(\S*)(?:\s+\(([^()]{1,80})\))?")
_VERDICT = re.compile(rf"(?:^|\s)({'|'.join(VERDICTS)})(?= \(|\s*$| BY )")
_VERDICT_CELL = re.compile(rf"(?:^|\s)({'|'.join(VERDICTS)})(?=\s|$)")
_LOST_CPU = re.compile(r"CPU\((?:<nil>|(\d{1,9}))\)\s*-?\s*(\d{1,18})?")
_NODE_EVENT = re.compile(r"(?:Receiving flows from|\d+ nodes (?:are unavailable|removed)|Error \")")
_KEY = re.compile(r"([A-Z][A-Z ]{2,20}): ?(.*)")
_NEEDED: Final = frozenset({"TIMESTAMP", "SOURCE", "DESTINATION", "TYPE", "VERDICT"})
_DIRECTIONS: Final = {"INGRESS": "ingress", "EGRESS": "egress"}
_WHERE = re.compile(r"(?:to|from)-[a-z]+|(?:http|dns|kafka|l7)-\S+.*|(?:pre|post)-xlate-(?:fwd|rev)|policy-verdict.*|[A-Z_]{8,}")


def read_hubble(section: Section) -> Parsed:
    """The flows of `hubble observe` in text, and the losses that it told."""
    reader = _Reader(section)
    for number, line in section.numbered():
        reader.take(number, line)
    reader.finish()
    return Parsed(reader.flows, reader.unparsed, extras=reader.blind.found)


class _Reader:
    """Takes the lines of a section; knows the columns of its table and the block that is open."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.flows: list[HubbleFlow] = []
        self.unparsed: list[Unparsed] = []
        self.blind = BlindTimes()
        self._columns: tuple[str, ...] = ()
        self._block: dict[str, str] = {}
        self._lines: list[tuple[int, str]] = []

    def take(self, number: int, line: str) -> None:
        text = line.strip()
        if match := _KEY.match(text):
            if match[1] in self._block:
                self.finish()
            self._block[match[1]] = match[2].strip()
            self._lines.append((number, line))
            return
        self.finish()
        if text.startswith("TIMESTAMP "):
            self._columns = tuple(text.split())
        elif "EVENTS LOST" in text[:2000]:
            self._lost(number, text)
        elif head := _HEAD.match(text):
            self._compact(number, line, head)
        elif self._columns:
            self._row(number, line)
        else:
            self.unparsed.append(Unparsed(number, line, "no flow of hubble observe: wanted a time, two ends and a verdict"))

    def finish(self) -> None:
        """The open block of the dictionary form is whole."""
        block, lines = self._block, self._lines
        self._block, self._lines = {}, []
        if not lines:
            return
        if "SOURCE" not in block or "DESTINATION" not in block:
            if "EVENTS LOST" in block.get("TYPE", ""):
                self._lost(lines[0][0], " ".join(f"{block.get(key, '')}" for key in ("TIMESTAMP", "TYPE", "SUMMARY")))
            elif "STATE" not in block:
                self.unparsed.extend(Unparsed(number, line, "a block without SOURCE and DESTINATION") for number, line in lines)
            return
        if "EVENTS LOST" in block.get("TYPE", ""):
            self._lost(lines[0][0], f"{block.get('TIMESTAMP', '')} {block['TYPE']} {block.get('SUMMARY', '')}")
            return
        self._add(
            lines[0][0], block.get("TIMESTAMP", ""), block.get("NODE"), block["SOURCE"], "->", block["DESTINATION"],
            block.get("TYPE", ""), block.get("VERDICT"), block.get("SUMMARY", ""), is_reply=None,
        )  # fmt: skip

    def _lost(self, number: int, text: str) -> None:
        where = _LOST_CPU.search(text)
        head = _HEAD.match(text)
        source = next((word for word in text.split() if "BUFFER" in word or "QUEUE" in word), "")
        self.blind.lost(
            LostEvents(
                f"hubble {source}".strip(),
                int(where[2]) if where and where[2] else None,
                head[2] if head and head[2] else self.section.node,
                int(where[1]) if where and where[1] else None,
                until_ns=time_of(text),
                is_timed=any(flow.time_ns is not None for flow in self.flows[-1:]) or time_of(text) is not None,
                file=self.section.file,
                line=number,
            )
        )

    def _compact(self, number: int, line: str, head: re.Match[str]) -> None:
        when, node, rest = head.groups()
        ends = _ENDS.match(rest)
        # The first such word behind the ends: a summary may hold one too.
        found = _VERDICT.search(rest, ends.end(2)) if ends else None
        if ends is None or found is None:
            if not _NODE_EVENT.match(rest):
                self.unparsed.append(Unparsed(number, line, "no flow: wanted two ends, a type and a verdict"))
            return
        right = _END.match(rest[ends.start(3) : found.start(1)].strip())
        kind = rest[ends.start(3) : found.start(1)].strip()[right.end() :].strip() if right else ""
        summary = rest[found.end() :].strip()
        summary = summary[1:-1] if summary[:1] == "(" and summary[-1:] == ")" else summary
        is_reply = {"->": False, "<-": True}.get(ends[2])
        destination = right[0] if right else ""
        self._add(number, when, node, ends[1], ends[2], destination, kind, found[1], summary, is_reply=is_reply)

    def _row(self, number: int, line: str) -> None:
        cells = [cell for cell in re.split(r"\s{2,}", line.strip()) if cell]
        values = _by_column(self._columns, cells)
        if values is None or not values.keys() >= _NEEDED:
            wanted = self._columns if values is None else sorted(_NEEDED)
            self.unparsed.append(Unparsed(number, line, f"wanted the columns {' '.join(wanted)}"))
            return
        self._add(
            number, values["TIMESTAMP"], values.get("NODE"), values["SOURCE"], "->", values["DESTINATION"], values["TYPE"],
            values["VERDICT"], values.get("SUMMARY", ""), is_reply=None,
        )  # fmt: skip

    def _add(
        self,
        number: int,
        when: str,
        node: str | None,
        left: str,
        arrow: str,
        right: str,
        kind: str,
        verdict: str | None,
        summary: str,
        *,
        is_reply: bool | None,
    ) -> None:
        book = self.section.addresses
        ends = [_end_fields("source", left, book), _end_fields("destination", right, book)]
        if arrow == "<-":
            ends = [_end_fields("source", right, book), _end_fields("destination", left, book)]
        time_ns = time_of(when)
        node = node or self.section.node
        self.blind.event(node, time_ns)
        fields = {
            "time_ns": time_ns, "when": when, "node": node, "verdict": verdict, "is_reply": is_reply,
            **ends[0], **ends[1], **_type_fields(kind, verdict), **_summary_fields(summary),
        }  # fmt: skip
        self.flows.append(HubbleFlow(**fields, file=self.section.file, line=number))


def _by_column(columns: tuple[str, ...], cells: list[str]) -> dict[str, str] | None:
    """The cells by their titles; of a table whose blanks were folded by what they look like."""
    if len(cells) in (len(columns), len(columns) - 1):
        return dict(zip(columns, cells, strict=False))
    text = " ".join(cells)
    head = re.match(rf"({_TIME})\s+(.*)", text)
    found = _VERDICT_CELL.search(text, head.start(2)) if head else None
    if head is None or found is None:
        return None
    words = text[head.start(2) : found.start(1)].split()
    node = words.pop(0) if "NODE" in columns and words else ""
    if len(words) < 2:
        return None
    values = {"TIMESTAMP": head[1], "SOURCE": words[0], "DESTINATION": words[1], "TYPE": " ".join(words[2:])}
    return values | {"VERDICT": found[1], "SUMMARY": text[found.end() :].strip()} | ({"NODE": node} if node else {})


def _end_fields(side: str, text: str, book: AddressBook) -> dict[str, Any]:
    match = _END.match(text.strip())
    name, identity = (match[1], match[2]) if match else (text, None)
    end = parse_end(name, book)
    number = identity_number(identity.removeprefix("ID:")) if identity else None
    return {
        side: end.address,
        f"{side}_port": end.port,
        f"{side}_name": None if end.address is not None else end.name or None,
        f"{side}_identity": number,
    }


def _type_fields(kind: str, verdict: str | None) -> dict[str, Any]:
    words = kind.split()
    direction = next((_DIRECTIONS[word] for word in words[1:] if word in _DIRECTIONS), None)
    if kind.startswith("policy-verdict"):
        return {"type": words[0], "direction": direction}
    if verdict == "DROPPED" and not _WHERE.match(kind):
        return {"type": "drop", "drop_reason": kind}
    return {"type": kind, "direction": direction}


def _summary_fields(summary: str) -> dict[str, Any]:
    if summary.startswith("TCP Flags:"):
        flags, _, rest = summary[10:].partition(";")
        return {"protocol": "TCP", "tcp_flags": flags_in(flags), "says": rest.strip()}
    first = summary.split(" ", maxsplit=1)[0]
    protocol = {"UDP": "UDP", "SCTP": "SCTP", "ICMPv4": "ICMP", "ICMPv6": "ICMPv6"}.get(first)
    if protocol is None and first.startswith(("HTTP/", "DNS")):
        return {"protocol": "TCP" if first.startswith("HTTP/") else None, "says": summary}
    return {"protocol": protocol, "says": summary if protocol is None else summary[len(first) :].strip()}
