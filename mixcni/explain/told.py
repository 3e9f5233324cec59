"""What events and logs tell of a loss, added to its findings: denials as proof, deliveries as doubt, 503s as the symptom.

A drop event with the lost connection's own addresses and ports is the surest sign that there is (evidence ladder of Cilium's
datapath). Where a time is told it lies within the connection's packets; where none is, the ports alone join the two.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mixcni.cluster.events.hubbleflow import HubbleFlow
from mixcni.cluster.events.monitorevent import MonitorEvent
from mixcni.cluster.events.pwru import PwruEvent
from mixcni.cluster.events.retis import RetisEvent
from mixcni.cluster.logs.accesslog import AccessLogEntry
from mixcni.explain.findings import NAMED, Evidence, Finding, confidence_of
from mixcni.explain.pins import TOLERANCE_NS, Pin, Pins
from mixcni.explain.suspects import Facts, Suspect
from mixcni.words import plural

DIRECTION_OF_CAUSE: Final = {"policy_denied_ingress": "ingress", "policy_denied_egress": "egress"}
DROPS_OF_CAUSE: Final = {"no_backend": "service backend not found"}
"""How the reasons of drops begin that prove a cause, in the words of text."""

ODDS_TIMED: Final = 200.0  # the datapath itself says so, of these ports, then
ODDS_UNTIMED: Final = 40.0  # an ephemeral port comes again after hours
ODDS_DELIVERED: Final = 0.02  # a packet that was handed to the pod was not denied
ODDS_OTHER_DROP: Final = 0.02  # nor was one that was dropped for something else
DROPPED_OTHERWISE: Final = 0.45  # at most, where events tell so of most of the connections: the tables are of another time
SHOWN: Final = 3

_DENIALS: Final = ("policy denied", "policy deny", "auth required", "authentication required")
_NO_CAUSE: Final = frozenset({"otherhost", "not specified"})
"""The kernel's words for packets that were not for this host, or that were freed for no reason that it gives."""


def add_what_was_told(finding: Finding, suspect: Suspect, facts: Facts, pins: Pins) -> Finding:
    """The finding about a suspect with what is pinned to its conversations, and its confidence by that."""
    conversations = sorted({int(number) for number in facts.localisation.fates["conversation"][suspect.rows]})
    mine = pins.of(conversations)
    if finding.cause in DIRECTION_OF_CAUSE:
        finding = _with_denials(finding, mine, len(conversations))
    elif finding.cause in DROPS_OF_CAUSE:
        finding = _with_drops(finding, mine)
    symptoms = tuple(_symptoms(mine))
    doubts = tuple(_blindness(facts, pins, conversations)) if not any(pin.kind in ("hubble", "monitor") for pin in mine) else ()
    return replace(finding, evidence=(*symptoms, *finding.evidence), assumptions=(*finding.assumptions, *doubts))


def denied_by(pin: Pin) -> str | None:
    """Ingress or egress, `unknown` where an event tells of a policy's denial without its side; None where it tells of none."""
    entry = pin.entry
    if not pin.is_forward:
        return None
    if isinstance(entry, HubbleFlow):
        is_policy = entry.type.startswith("policy-verdict") or _is_policy(entry.drop_reason)
        return (entry.direction or "unknown") if entry.is_denied and is_policy else None
    if isinstance(entry, MonitorEvent):
        if entry.type == "verdict" and entry.action == "deny":
            return entry.direction or "unknown"
        if entry.type == "drop" and _is_policy(entry.reason):
            # Cilium knows the endpoint that a packet is for at ingress; at egress that is another node's, and 0.
            return "ingress" if entry.endpoint_id else "unknown"
    return None


def plain_reason(reason: str) -> str:
    """A drop's reason in words that texts and enumerations share: `STALE_OR_UNROUTABLE_IP` is `stale or unroutable ip`."""
    return reason.lower().replace("_", " ")


def other_drop(pin: Pin) -> str:
    """Why an event says that a packet was dropped, where no policy did it and no other cause is told by it; else ""."""
    reason = _drop_reason(pin)
    plain = plain_reason(reason)
    has_cause = plain.startswith((*_DENIALS, *DROPS_OF_CAUSE.values()))
    return "" if has_cause or plain in _NO_CAUSE else reason


def _is_policy(reason: str | None) -> bool:
    return reason is not None and plain_reason(reason).startswith(_DENIALS)


def _is_delivery(pin: Pin) -> bool:
    """Whether an event says that the initiator's packet was handed to the pod."""
    entry = pin.entry
    if not pin.is_forward:
        return False
    if isinstance(entry, HubbleFlow):
        return entry.type == "to-endpoint" and entry.verdict == "FORWARDED"
    return isinstance(entry, MonitorEvent) and entry.type == "trace" and entry.observed == "to-endpoint"


def _with_denials(finding: Finding, pins: Sequence[Pin], total: int) -> Finding:
    side = DIRECTION_OF_CAUSE[finding.cause]
    sides = {pin.conversation: denied_by(pin) for pin in pins if denied_by(pin) not in (None, "unknown")}
    denials = [pin for pin in pins if (by := denied_by(pin)) is not None and sides.get(pin.conversation, by) in (side, "unknown")]
    denied = {pin.conversation for pin in denials}
    delivered = [pin for pin in pins if _is_delivery(pin) and pin.conversation not in denied]
    evidence, against = list(finding.evidence), list(finding.against)
    told: list[Evidence] = []
    if side == "egress" and side not in {sides.get(number) for number in denied}:
        denials = []  # a denial whose side nothing tells is not taken for one at egress
    if denials:
        told.extend(lines_of(denials, f"of {plural(len(denied), 'lost connection')}", odds_of(denials)))
        evidence.extend(told)
    if side == "ingress" and delivered and len({pin.conversation for pin in delivered}) * 2 >= total:
        told_against = lines_of(delivered, "which was lost later than at the policy", ODDS_DELIVERED)
        told.extend(told_against)
        against.extend(told_against)
    sentence, most = finding.sentence, 1.0
    others = [pin for pin in pins if pin.is_forward and other_drop(pin) and pin.conversation not in denied]
    if len({pin.conversation for pin in others}) * 2 >= total:
        told_against = lines_of(others, "which is no denial", ODDS_OTHER_DROP)
        told.extend(told_against)
        against.extend(told_against)
        sentence, most = sentence.replace(" denied ", " would have denied ", 1), DROPPED_OTHERWISE
    if not told:
        return finding
    confidence = min(most, confidence_of(finding.confidence, told))
    if denials and not finding.is_named and confidence >= NAMED:
        counted = f"{len(denied)} of {total}" if len(denied) < total else str(total)
        sentence = f"{side.capitalize()} policy denied {counted} connection attempts: {denials[0].says}"
    return replace(finding, confidence=confidence, sentence=sentence, evidence=tuple(evidence), against=tuple(against))


def _with_drops(finding: Finding, pins: Sequence[Pin]) -> Finding:
    """A cause that a drop's reason names by itself."""
    reason = DROPS_OF_CAUSE[finding.cause]
    drops = [pin for pin in pins if pin.is_forward and plain_reason(_drop_reason(pin)).startswith(reason)]
    if not drops:
        return finding
    told = lines_of(drops, "of the lost connections", odds_of(drops))
    return replace(finding, confidence=confidence_of(finding.confidence, told), evidence=(*finding.evidence, *told))


def _drop_reason(pin: Pin) -> str:
    """Why an event says that a packet was dropped, in its own words; "" where it tells of no drop."""
    entry = pin.entry
    if isinstance(entry, HubbleFlow):
        return (entry.drop_reason or "") if entry.verdict == "DROPPED" else ""
    if isinstance(entry, MonitorEvent):
        return (entry.reason or "") if entry.type == "drop" else ""
    return (entry.drop_reason or "") if isinstance(entry, PwruEvent | RetisEvent) and entry.is_drop else ""


def odds_of(pins: Sequence[Pin]) -> float:
    """How much events of these connections say for what they tell: more where their times are the packets'."""
    return ODDS_TIMED if any(pin.apart_ns is not None for pin in pins) else ODDS_UNTIMED


def lines_of(pins: Sequence[Pin], whose: str, odds: float) -> list[Evidence]:
    """The first few events as evidence; the odds count once, since one denial makes several events."""
    return [
        Evidence(f"{pin.says}, {whose}{_when(pin)}", pin.entry.file, pin.entry.line, odds=1.0 if at else odds)
        for at, pin in enumerate(pins[:SHOWN])
    ]


def _when(pin: Pin) -> str:
    if pin.apart_ns is None:
        again = f", whose ports {pin.uses} connections of the captures used" if pin.uses > 1 else ""
        return f", by addresses and ports alone: it has no time{again}"
    return f", within its packets' times to {TOLERANCE_NS // 1_000_000_000} s"


def _symptoms(pins: Iterable[Pin]) -> Iterator[Evidence]:
    """The failed requests that an access log has of these conversations: what people noticed first."""
    failed = [pin for pin in pins if isinstance(pin.entry, AccessLogEntry) and pin.entry.has_failed]
    seen: set[tuple[str, int]] = set()
    for pin in failed:
        place = (pin.entry.file, pin.entry.line)
        if place not in seen and len(seen) < SHOWN:
            seen.add(place)
            how = ", which the captures have by this id" if pin.number is not None else ""
            how = how if pin.uses == 1 else ", one of the attempts to reach that upstream while it lasted"
            yield Evidence(f"{pin.says}{how}", *place)


def _blindness(facts: Facts, pins: Pins, conversations: Sequence[int]) -> Iterator[str]:
    """That sources were blind when the connections were lost, where nothing at all was told of them."""
    if not conversations:
        return
    first = int(facts.localisation.alignment.conversations["first_ns"][np.array(conversations)].min())
    table = facts.localisation.alignment.transmissions
    last = int(table["time_ns"][np.isin(table["conversation"], conversations)].max(initial=first))
    for lost in pins.blind_between(first, last)[:1]:
        count = "events" if lost.count is None else plural(lost.count, "event")
        when = "at a time that is not told" if not lost.is_timed else "in that time"
        where = f"{lost.file}, line {lost.line}"
        yield f"{lost.source} lost {count} {when} ({where}): that it tells nothing of these connections proves nothing"
