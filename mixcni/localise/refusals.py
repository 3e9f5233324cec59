"""Who refused a connection: resets and ICMP errors against the initiator, and how far along the path they were seen."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.kernels.grouping import numbered
from mixcni.localise.survey import Survey
from mixcni.schema import PROTOCOL_ICMP, Direction
from mixcni.tables import recode, unite_address_books

ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAMETER = 3, 11, 12  # RFC 792
ICMP_FRAGMENTATION_NEEDED = 4  # code of an unreachable: not a refusal (RFC 1191)
ICMPV6_UNREACHABLE, ICMPV6_TIME_EXCEEDED, ICMPV6_PARAMETER = 1, 3, 4  # RFC 4443


@dataclass(frozen=True, slots=True)
class Refusals:
    """What refused each conversation's requests.

    reset_ns : (c, p) int64, last time of a reset from the responder's side at each point, on the common clock; -1 none
    resets : (c, p) int64, how many there were
    reset_looks, icmp_looks : (c, p) int64, equal where the last refusals that one point saw came from one end, for one, and from
        equally far, as the hop limit tells (RFC 791 section 3.1); -1 none
    icmp_ns : (c, p) int64, the same for an ICMP error that quotes a request
    icmp_packet : (c, p) int64, row of the last such error in the point's packet table; -1 none
    icmp_errors : (c, p) int64, how many there were
    """

    reset_ns: NDArray[np.int64]
    resets: NDArray[np.int64]
    reset_looks: NDArray[np.int64]
    icmp_ns: NDArray[np.int64]
    icmp_packet: NDArray[np.int64]
    icmp_errors: NDArray[np.int64]
    icmp_looks: NDArray[np.int64]


def find_refusals(alignment: Alignment, survey: Survey) -> Refusals:
    """The resets and ICMP errors that came back for each conversation; `survey` is of the alignment's transmissions."""
    shape = len(alignment.conversations), len(alignment.points)
    table = alignment.transmissions
    rows = survey.resets[table["direction"][survey.resets] == Direction.REVERSE]
    place = table["conversation"][rows], table["point"][rows]
    reset_ns = np.full(shape, -1, dtype=np.int64)
    np.maximum.at(reset_ns, place, table["time_ns"][rows])
    reset_packet = np.full(shape, -1, dtype=np.int64)
    np.maximum.at(reset_packet, place, table["packet"][rows])
    resets = np.zeros(shape, dtype=np.int64)
    np.add.at(resets, place, 1)
    found = Refusals(
        reset_ns=reset_ns,
        resets=resets,
        reset_looks=_looks(alignment, reset_packet),
        icmp_ns=np.full(shape, -1, dtype=np.int64),
        icmp_packet=np.full(shape, -1, dtype=np.int64),
        icmp_errors=np.zeros(shape, dtype=np.int64),
        icmp_looks=np.empty(shape, dtype=np.int64),
    )
    for point in range(shape[1]):
        _enter_icmp_errors(alignment, point, found)
    found.icmp_looks[:] = _looks(alignment, found.icmp_packet)
    return found


def _looks(alignment: Alignment, packet: NDArray[np.int64]) -> NDArray[np.int64]:
    """(c, p) one number for all refusals that look alike, -1 none; `packet`, (c, p), are their rows in the points' tables."""
    conversation, point = np.nonzero(packet >= 0)
    columns = np.zeros((2, conversation.size), dtype=np.int64)
    for position, flows in enumerate(alignment.points):
        mine = point == position
        rows = packet[conversation[mine], position]
        columns[:, mine] = flows.packets["source"][rows], flows.packets["ttl"][rows]
    ends = alignment.conversations.ends
    called = (column[conversation, point] for column in (ends.responder, ends.responder_port))
    found = np.full(packet.shape, -1, dtype=np.int64)
    found[conversation, point] = numbered(point, *columns, *called)
    return found


def is_refusal(protocol: int, kind: int, code: int) -> bool:
    """Whether an ICMP error ends a connection attempt (RFC 1122 section 4.2.3.9), and is no path-MTU report."""
    if protocol == PROTOCOL_ICMP:
        if kind == ICMP_UNREACHABLE:
            return code != ICMP_FRAGMENTATION_NEEDED
        return kind in {ICMP_TIME_EXCEEDED, ICMP_PARAMETER}
    return kind in {ICMPV6_UNREACHABLE, ICMPV6_TIME_EXCEEDED, ICMPV6_PARAMETER}


def _enter_icmp_errors(alignment: Alignment, point: int, found: Refusals) -> None:
    """Enter the errors that one point saw; of conversations of one key, that counts whose octets the error quotes."""
    conversations, packets = alignment.conversations, alignment.points[point].packets
    quotes = packets.quotes
    if not len(quotes):
        return
    recoding = unite_address_books([packets.book, conversations.book])[1][0]  # into the latter, which is their union
    columns = {name: quotes[name] for name in ("source", "destination", "source_port", "destination_port", "protocol")}
    columns |= {name: recode(columns[name], recoding) for name in ("source", "destination")}
    members = _by_key(alignment, point, quotes["source_port"], recoding)
    for i, key in enumerate(zip(*(column.tolist() for column in columns.values()), strict=True)):
        packet = int(quotes["packet"][i])
        kind, code = divmod(int(packets["destination_port"][packet]), 256)
        if not is_refusal(int(packets["protocol"][packet]), kind, code):
            continue
        sequence = int(quotes["seg_seq"][i])
        row = min(members.get(key, ()), key=lambda n: (sequence - int(conversations["iss"][n])) % 2**32, default=-1)
        if row < 0:
            continue
        found.icmp_errors[row, point] += 1
        time = int(alignment.times[point][packet])
        if time > found.icmp_ns[row, point]:
            found.icmp_ns[row, point], found.icmp_packet[row, point] = time, packet


def _by_key(
    alignment: Alignment, point: int, ports: NDArray[np.uint16], recoding: NDArray[np.int32]
) -> dict[tuple[int, ...], list[int]]:
    """Conversations by the addresses, ports and protocol of their requests, where these come from one of `ports`.

    Those of which a point saw no request, as where its capture has the other direction alone, have the ends that others saw.

    Parameters
    ----------
    recoding : the conversations' code of each of the point's addresses
    """
    flows, conversations = alignment.points[point], alignment.conversations
    of_point, there = conversations.members_at(point), list[NDArray[Any]](conversations.ends)
    names, turned = ("initiator", "responder"), ("responder", "initiator")
    here = [recode(np.where(of_point.flipped, flows[b], flows[a]), recoding) for a, b in zip(names, turned, strict=True)]
    here += [np.where(of_point.flipped, flows[f"{b}_port"], flows[f"{a}_port"]) for a, b in zip(names, turned, strict=True)]
    elsewhere = (conversations.flow_of >= 0) & (conversations.flow_of[:, [point]] < 0)
    rows = [of_point.conversation.astype(np.int64), np.nonzero(elsewhere)[0]]
    columns = [np.concatenate([mine, column[elsewhere]]) for mine, column in zip(here, there, strict=True)]
    row = np.concatenate(rows)
    quoted = np.isin(columns[2], ports)  # few conversations are refused: the others need no entry
    members: dict[tuple[int, ...], list[int]] = defaultdict(list)
    keys = [*(column[quoted].tolist() for column in columns), conversations["protocol"][row[quoted]].tolist()]
    for key, number in zip(zip(*keys, strict=True), row[quoted].tolist(), strict=True):
        members[key].append(number)
    return members
