"""Facts in words: fates, hops, counts and octets, the same in every form of the report."""

from typing import Final

from mixcni.localise import Localisation, Verdict
from mixcni.report.messages import message_of
from mixcni.schema import Direction, ExchangeKind, Fate, Reason

CAUSES: Final = {
    "policy_denied_ingress": "denied by ingress policy",
    "policy_denied_egress": "denied by egress policy",
    "identity_stale": "taken for another identity by policy",
    "neighbour_unresolved": "the next hop's hardware address was asked for in vain",
    "path_mtu_black_hole": "too large for the path",
    "no_backend": "sent to a service without a backend",
    "datapath_drop": "dropped on a node, as its datapath tells",
    "no_egress_gateway": "sent over an egress gateway that does not exist",
    "stale_conntrack": "taken for an earlier connection by conntrack",
    "middlebox_reset": "reset by something on the way",
    "icmp_rejected": "rejected with an ICMP error on the way",
    "response_untranslated": "answered from an address that the caller does not know",
    "random_loss": "lost at random",
    "capture_missed": "missed by a capture",
}
BESIDE: Final = frozenset({"middlebox_reset", "icmp_rejected", "random_loss", "capture_missed"})
"""Of these, those that say nothing of undecided exchanges when they explain no loss: they are statements beside them."""
VERDICTS: Final = {Verdict.LOSS: "loss", Verdict.NO_LOSS: "no loss", Verdict.UNDECIDED: "undecided"}


def request_text(localisation: Localisation, row: int) -> str:
    """What the request of fate row `row` is: `SYN`, its method and target, or its stream octets."""
    fates = localisation.fates
    if fates["kind"][row] == ExchangeKind.HANDSHAKE:
        return "SYN"
    message = message_of(localisation, row) or {}
    words = [message[name] for name in ("method", "target") if message.get(name)]
    if words:
        return " ".join(words)
    start, end = int(fates["request_start"][row]), int(fates["request_end"][row])
    if start == end:
        return "none: the responder spoke first"
    if fates["kind"][row] == ExchangeKind.DATAGRAM:
        return f"datagrams of turn {start + 1}"
    return f"octets {start - 1}-{end - 2}"


def direction_text(direction: int) -> str | None:
    """`request`, `response`, or None where there is none."""
    return {int(Direction.FORWARD): "request", int(Direction.REVERSE): "response"}.get(int(direction))


def fate_text(fate: int) -> str:
    """The fate's word of DESIGN.md section 2."""
    return Fate(fate).name.lower()


def point_at(localisation: Localisation, position: int) -> str | None:
    """The name of the point at a position on the path; None outside it."""
    return localisation.points[position].name if 0 <= position < len(localisation.points) else None


def reason_text(localisation: Localisation, row: int) -> str:
    """Why an exchange is undecided, or by whom it was refused; empty where nothing is to be said."""
    fates = localisation.fates
    reason, decider = Reason(int(fates["reason"][row])), int(fates["decider"][row])
    name = point_at(localisation, decider)
    last = point_at(localisation, int(fates["last_seen"][row]))
    end = localisation.points[-1].name
    if reason == Reason.NO_WINDOW:
        if name is None:
            return "no capture on the way watched it"
        packets = localisation.alignment.points[decider].packets
        if packets.not_decoded.any():
            return f"the capture at {name} has packets of a link type that is not decoded: another link type there would decide"
        if not len(packets):
            return f"the capture at {name} has no packets, so it cannot be told whether it ran: give its window, or capture there"
        return f"the capture at {name} does not show whether it passed there: one that covers its time and addresses would decide"
    texts = {
        Reason.NONE: "",
        Reason.CAPTURE_ENDED: f"the capture at {name} ended before a retransmission was due",
        Reason.ON_THE_WAY: f"{end}, the last point, is not the responder's side: a capture in the responder's pod would decide",
        Reason.MISS_RATE: f"the capture at {name} may have missed it: a second capture there would decide",
        Reason.NOT_SEEN_WHOLE: "no capture saw it whole",
        Reason.NOT_PLACED: f"{name} alone saw it, and nothing tells where {name} stands: the order of the points would decide",
        Reason.BY_RESPONDER: "refused by the responder",
        Reason.BY_RESET: "refused by a reset from the way",
        Reason.BY_ICMP: f"refused by an ICMP error from the way, last seen at {last}",
    }
    return texts[reason]


def cause_text(cause: str) -> str:
    """A finding's cause as the headline has it: `denied by ingress policy`."""
    return CAUSES.get(cause, cause.replace("_", " "))


def outcome_text(localisation: Localisation, row: int) -> str:
    """What became of the exchange in row `row` of the fate table, with the place: `request lost between B and C`."""
    fates = localisation.fates
    fate, reason = Fate(int(fates["fate"][row])), reason_text(localisation, row)
    near, far = (point_at(localisation, int(fates[name][row])) for name in ("near", "far"))
    if near is not None and far is not None:
        return f"{direction_text(int(fates['direction'][row]))} {fate_text(fate)} between {near} and {far}"
    if fate == Fate.SILENT:
        return "silent: it arrived at the last point, and nothing came back"
    return f"{fate_text(fate)}: {reason}" if reason else fate_text(fate)
