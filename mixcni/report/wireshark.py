"""Wireshark display filters, so that a reader goes from a sentence to the frames that it rests on."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from mixcni.explain import Finding
from mixcni.explain.suspects import Pair, pairs_of
from mixcni.localise import Localisation
from mixcni.topology import Address

PORTS: Final = {6: "tcp", 17: "udp", 132: "sctp"}
MAX_PAIRS: Final = 6  # of a finding; a longer filter is read by nobody


def frame_ranges(frames: Iterable[int]) -> list[tuple[int, int]]:
    """Frame numbers as (first, last) of runs that follow one another, ascending."""
    ranges: list[tuple[int, int]] = []
    for frame in sorted(set(frames)):
        if ranges and frame == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], frame
        else:
            ranges.append((frame, frame))
    return ranges


def frames_filter(frames: Iterable[int]) -> str:
    """`frame.number in {3..11, 14}`: these frames of one file."""
    inside = ", ".join(str(first) if first == last else f"{first}..{last}" for first, last in frame_ranges(frames))
    return f"frame.number in {{{inside}}}"


def conversation_filter(localisation: Localisation, conversation: int) -> str:
    """One conversation in both directions, by its addresses and ports as the first point saw them."""
    table = localisation.alignment.conversations
    ends = [table.book.address(int(table[end][conversation])) for end in ("initiator", "responder")]
    ports = [int(table[f"{end}_port"][conversation]) for end in ("initiator", "responder")]
    name = PORTS.get(int(table["protocol"][conversation]))
    parts = [_address(end) for end in ends]
    if name is not None:
        parts += [f"{name}.port == {port}" for port in ports]
    return " && ".join(parts)


def finding_filter(localisation: Localisation, finding: Finding) -> str:
    """All conversations that a finding explains, by who called which port; empty where it explains no loss."""
    if finding.loss is None or finding.loss >= len(localisation.losses):
        return ""
    pairs = list(pairs_of(localisation, np.asarray(localisation.losses[finding.loss].fates)))[:MAX_PAIRS]
    texts = [_pair(pair) for pair in pairs]
    return texts[0] if len(texts) == 1 else " || ".join(f"({text})" for text in texts)


def _pair(pair: Pair) -> str:
    name = PORTS.get(pair.protocol)
    parts = [_address(pair.initiator), _address(pair.responder)]
    return " && ".join([*parts, f"{name}.port == {pair.port}"] if name else parts)


def _address(address: Address) -> str:
    return f"{'ip' if address.version == 4 else 'ipv6'}.addr == {address}"
