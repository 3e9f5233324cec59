"""`cilium monitor`: drops, policy verdicts, traces, L7 requests and agent messages as the node's datapath told them.

Text has no times: an event can be pinned to a conversation by its addresses and ports alone. Drops are told one by one;
traces are aggregated, so that a missing trace proves nothing. Forms of Cilium 1.0 to 1.19, plain, `-v` and `--hex`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.events.lost import TABLE, LostEvents
from mixcni.cluster.events.monitorevent import MonitorEvent, identity_number
from mixcni.cluster.events.monitorjson import read_monitor_json
from mixcni.cluster.events.monitorverbose import details_of, is_detail, verbose_event
from mixcni.cluster.events.packets import parse_end, parse_summary
from mixcni.cluster.kind import Kind
from mixcni.cluster.wrapping import joined, width_of

MAX_LINES: Final = 40  # of one event: a wrapped line, a dissected packet, a hex dump of 128 octets

_WHERE = r"(?:endpoint[ ]+\d+|proxy(?:[ ]port[ ]\d+)?|host(?:[ ]from)?|stack|overlay|network|crypto)"
_TRACE = re.compile(
    rf"(->|<-)\s+({_WHERE}) flow 0x[\da-f]+\s*,?\s*(?:identity (\S+?)->(\S+) )?(?:state (\S+) )?"
    r"(?:ifindex (\S+?) ?)?(?:orig-ip (\S+?))?(?: \[ ip-trace-id = \d+ \])?:\s*(.*)"
)
_DROP_HEAD = re.compile(r"xx drop \((.*)\) (?:flow (?:0x[\da-f]+) )?to endpoint (\d{1,10})(.*)")
_PLACE = re.compile(r"\bfile (\S+?:\d+)")
_IFINDEX = re.compile(r"\bifindex ([^\s,]+)")
_IDENTITY = re.compile(r"\bidentity ([^\s,]+?)->([^\s,:]+(?::[^\s,:]+)*)")
_VERDICT = re.compile(r"Policy verdict log: flow 0x[\da-f]+ local EP ID (\d{1,10}), remote ID ([^,]+), (.*)")
_L7 = re.compile(r"(->|<-)\s*(Request|Response) (\S+) (from|to) (\d{1,10})\s?\((.*)")
_L7_PEER = re.compile(r"\) (?:to|from) (\d{1,10})\s?\(")
_L7_TAIL = re.compile(r"\), identity ([^\s,]+?)->([^\s,]+), verdict (\w+)(.*)")
_CAPTURE = re.compile(r"(?:->|<-|==|=>|<=) (\S{1,40}): (.*)")
_AGENT = re.compile(r">> ([A-Z][^:{]{0,60}): ?(.*)")
_LOST = re.compile(r"CPU (\d{1,5}): Lost (\d{1,18}) events?\b|Lost (\d{1,18}) (?:notifications|events)\b")
_PREAMBLE = re.compile(
    r"Listening for events\b|Press Ctrl-C\b|Received an interrupt\b|Connection to monitor\b|Disconnected from\b"
    r"|\^C|Ending monitor\b"
)
_START = re.compile(
    rf"xx\ drop\b|Policy\ verdict\ log:|(?:->|<-)\s*(?:{_WHERE}|Request|Response)\b|(?:->|<-|==|=>|<=)\ \S{{1,40}}:\s"
    r"|CPU\ \d+:|>>\ [A-Z]|\^\^\ conntrack|Lost\ \d",
    re.VERBOSE,
)


def read_monitor(section: Section) -> Parsed:
    """The events of `cilium monitor` in text, and the losses that it told."""
    events: list[MonitorEvent] = []
    lost: list[LostEvents] = []
    unparsed: list[Unparsed] = []
    whole = joined(section.lines, width_of(section.lines, _begins_or_details, fewest=1), _begins_or_details)
    for lines in _records((number, line) for number, line in enumerate(whole, section.first_line) if line):
        number, text = lines[0]
        if match := _LOST.match(text):
            count = int(match[2] or match[3])
            cpu = int(match[1]) if match[1] else None
            lost.append(LostEvents("monitor", count, section.node, cpu, is_timed=False, file=section.file, line=number))
            continue
        event = _event(lines, section)
        if event is not None:
            events.append(event)
        else:
            unparsed.extend(Unparsed(number, text, "no event of cilium monitor") for number, text in lines)
    return Parsed(events, unparsed, extras=lost)


def _records(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """The lines of each event: the one that begins it, and those below it that go on with it."""
    record: list[tuple[int, str]] = []
    for number, line in lines:
        text = line.strip()
        if _PREAMBLE.match(text):
            continue
        if record and len(record) < MAX_LINES and _goes_on(record[0][1], text):
            record.append((number, text))
            continue
        if record:
            yield record
        record = [(number, text)]
    if record:
        yield record


def _goes_on(first: str, text: str) -> bool:
    """Whether a line belongs to the event that `first` begins: the packet of a verbose one, the rest of a wrapped one."""
    if is_detail(text):
        return first.startswith("CPU ")
    return not _START.match(text) and _START.match(first) is not None and _is_incomplete(first)


def _begins_or_details(line: str) -> bool:
    """Whether a line is an event's first one, or one of its packet's, and not the rest of a line that a terminal broke."""
    text = line.strip()
    return any(sign(text) for sign in (_START.match, _PREAMBLE.match, is_detail))


def _is_incomplete(text: str) -> bool:
    """Whether a summary lacks its second half."""
    if text.startswith(("xx drop", "Policy verdict log:", "-> ", "<- ")) and " Request " not in text and " Response " not in text:
        tail = text.rpartition(": ")[2] if ": " in text else ""
        return " -> " not in text[3:] and "[unknown]" not in tail
    return False


def _event(lines: Sequence[tuple[int, str]], section: Section) -> MonitorEvent | None:
    number, first = lines[0]
    book = section.addresses
    found: dict[str, Any] | None
    if first.startswith("CPU "):
        found = verbose_event(first, book)
        if found is not None and len(lines) > 1:
            found |= details_of([text for _, text in lines[1:]])
    else:
        text = " ".join(text for _, text in lines)
        found = _l7(text) or _agent(text)
        if found is None:
            readers = (_drop, _verdict, _trace, _capture)
            found = next((made for reader in readers if (made := reader(text, book)) is not None), None)
    return None if found is None else MonitorEvent(**found, file=section.file, line=number)


def _packet(summary: str, book: AddressBook) -> dict[str, Any]:
    """The fields of a summary; of one that was cut what is there."""
    packet = parse_summary(summary, book)
    if packet is None:
        end = parse_end(summary.split(" ", maxsplit=1)[0], book)
        return {"source": end.address, "source_port": end.port, "says": summary}
    return packet._asdict()


def _drop(text: str, book: AddressBook) -> dict[str, Any] | None:
    match = _DROP_HEAD.match(text)
    if match is None:
        return None
    rest = match[3]
    identities = _IDENTITY.search(rest)
    head_end = identities.end() if identities else 0
    at = rest.find(": ", head_end)
    head, summary = (rest, "") if at < 0 else (rest[:at], rest[at + 2 :])
    place, interface = _PLACE.search(head), _IFINDEX.search(head)
    return {
        "type": "drop",
        "reason": match[1],
        "endpoint_id": int(match[2]),
        "source_identity": identity_number(identities[1]) if identities else None,
        "destination_identity": identity_number(identities[2]) if identities else None,
        "interface": interface[1] if interface else None,
        "code_place": place[1] if place else None,
        **_packet(summary, book),
    }


def _verdict(text: str, book: AddressBook) -> dict[str, Any] | None:
    match = _VERDICT.match(text)
    if match is None:
        return None
    direction = action = rule = None
    rest = match[3]
    while rest:
        item, comma, after = rest.partition(", ")
        if item.startswith("match "):
            rule, rest = item[6:], after
            break
        if item.startswith("action "):
            action = item[7:]
        elif item.split(" ")[0] in ("ingress", "egress"):
            direction = "egress" if item == "ingress false" else item.split(" ")[0]
        elif " -> " in item or not comma:
            break
        rest = after
    remote = identity_number(match[2])
    return {
        "type": "verdict",
        "action": action,
        "match": rule,
        "direction": direction,
        "endpoint_id": int(match[1]),
        "source_identity": remote if direction == "ingress" else None,
        "destination_identity": remote if direction == "egress" else None,
        **_packet(rest, book),
    }


def _trace(text: str, book: AddressBook) -> dict[str, Any] | None:
    match = _TRACE.match(text)
    if match is None:
        return None
    arrow, where, source_identity, destination_identity, state, interface, origin, summary = match.groups()
    place, _, rest = where.partition(" ")
    endpoint = int(rest) if place == "endpoint" else None
    fields = _packet(summary, book)
    address = book[origin] if origin else None
    if address is not None and not address.is_unspecified:
        fields["says"] = ", ".join(filter(None, (fields.get("says", ""), f"orig-ip {address}")))
    return {
        "type": "trace",
        "observed": f"{'to' if arrow == '->' else 'from'}-{place}",
        "state": state,
        "endpoint_id": endpoint if arrow == "->" else None,
        "from_endpoint_id": endpoint if arrow == "<-" else None,
        "source_identity": identity_number(source_identity or ""),
        "destination_identity": identity_number(destination_identity or ""),
        "interface": None if interface in (None, "0") else interface,
        **fields,
    }


def _l7(text: str) -> dict[str, Any] | None:
    match = _L7.match(text)
    if match is None:
        return None
    rest = match[6]
    peer, tail = _L7_PEER.search(rest), _L7_TAIL.search(rest)
    first, second = int(match[5]), int(peer[1]) if peer else None
    sender, receiver = (first, second) if match[4] == "from" else (second, first)
    return {
        "type": "l7",
        "observed": f"{match[3]}-{match[2].lower()}",
        "action": tail[3] if tail else None,
        "from_endpoint_id": sender,
        "endpoint_id": receiver,
        "source_identity": identity_number(tail[1]) if tail else None,
        "destination_identity": identity_number(tail[2]) if tail else None,
        "says": tail[4].strip() if tail else "",
    }


def _agent(text: str) -> dict[str, Any] | None:
    match = _AGENT.match(text)
    return {"type": "agent", "says": f"{match[1]}: {match[2]}".rstrip(": ")} if match else None


def _capture(text: str, book: AddressBook) -> dict[str, Any] | None:
    match = _CAPTURE.match(text)
    packet = parse_summary(match[2], book) if match else None
    if match is None or packet is None:
        return None
    return {"type": "capture", "interface": None if match[1] == "0" else match[1], **packet._asdict()}


KIND: Final = Kind(
    name="monitor",
    entry=MonitorEvent,
    read=read_monitor,
    read_json=read_monitor_json,
    extras=((TABLE, LostEvents),),
    rows=rf"""
        xx\ drop\b|Policy\ verdict\ log:
        |(?:->|<-)\ ?(?:{_WHERE}\ flow|Request|Response)\b
        |(?:->|<-)\ \d+:|Listening\ for\ events\b|Press\ Ctrl-C|CPU\ \d+:
        |>>\ (?:Policy|Endpoint|IPCache|Service|Agent)\b
    """,
    json=r'"type"\s*:\s*"(?:drop|trace|logRecord|debug|capture|agent|policy-verdict|trace_sock|recorder)"',
    commands=("cilium monitor", "cilium-dbg monitor"),
    quotes_errors=True,
)
