"""Which flow a packet belongs to, again: by its ends, by what is around it, and by the numbers of the connection before."""

from collections.abc import Sequence
from typing import Any

from tests.flows.rows import ACK, SYN, Row

Stacks = Sequence[tuple[int, ...]]


def around(stack: int, stacks: Stacks, *, loose: bool) -> tuple[object, ...]:
    """A stack without which end sent the packet; loose: without identifiers as well."""
    found: list[object] = []
    while stack:
        outer, kind, identifier, source, destination = stacks[stack]
        found.append((kind, None if loose else identifier, tuple(sorted((source, destination)))))
        stack = outer
    return tuple(found)


def heard(flow: Any, source: tuple[int, int]) -> Any:
    """In which outer stack a flow's packets from one end were; -1."""
    return flow.streams[0 if flow.initiator == source else 1].stack


class Places:
    """Flows by their ends and what is around them."""

    def __init__(self, stacks: Stacks) -> None:
        self.stacks = stacks
        self.chains: dict[Any, list[Any]] = {}
        self.aliases: dict[Any, Any] = {}
        self.opened: dict[Any, list[Any]] = {}

    def find(self, ends: Any, source: tuple[int, int], stack: int) -> tuple[Any, Any]:
        """(the key under which a packet's flows stand, the one that fits it best)."""
        key = ends, around(stack, self.stacks, loose=False)
        if key not in self.chains and key not in self.aliases:
            for group in ((ends, around(stack, self.stacks, loose=True)), ends):
                last = self.opened.get(group, [])[-1:]
                if last and heard(last[0], source) < 0:
                    self.aliases[key] = next(k for k, chain in self.chains.items() if any(flow is last[0] for flow in chain))
                    break
        for place in (self.aliases.get(key, key), key):
            for wanted in (stack, -1):
                for flow in self.chains.get(place, []):
                    if heard(flow, source) == wanted:
                        return place, flow
        self.aliases.pop(key, None)
        return key, None

    def enter(self, ends: Any, place: Any, stack: int, flow: Any, earlier: Any) -> None:
        """A new flow, in the place of an earlier one."""
        chain = self.chains.setdefault(place, [])
        if earlier is None:
            flow.other_stack = self.opened[ends][-1].number if ends in self.opened else -1
            chain.insert(0, flow)
        else:
            flow.other_stack = earlier.other_stack
            flow.predecessor = heir(earlier)
            chain[next(i for i, one in enumerate(chain) if one is earlier)] = flow
        for group in ((ends, around(stack, self.stacks, loose=True)), ends):
            self.opened.setdefault(group, []).append(flow)


def heir(flow: Any) -> Any:
    """The connection that goes on where the one after it is not answered."""
    answered = all(stream.packets for stream in flow.streams)
    alone = not answered and all(stream.end <= 1 for stream in flow.streams)
    return flow.predecessor if flow.predecessor and alone else flow


def nearest(flow: Any, source: tuple[int, int], row: Row) -> Any:
    """The connection of a segment: its key's, or that from which this took the key."""

    def far(one: Any) -> int:
        side = 0 if one.initiator == source else 1
        numbers = [(one.streams[side], row.seq)] + [(one.streams[1 - side], row.ack)] * bool(row.flags & ACK)
        return min(2**31 if s.base is None else abs(s.offset(number) - s.known) for s, number in numbers)

    before = flow.predecessor
    if row.protocol != 6 or before is None or row.flags & (SYN | ACK) == SYN:
        return flow
    return before if far(before) < far(flow) else flow
