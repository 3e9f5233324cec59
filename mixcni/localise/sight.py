"""What each point can say of each conversation: seen, missing though it should have been seen, or unobservable there.

A point is expected to see a conversation only if its addresses are in the point's scope and its time is within the point's
window. Both may be given; else they are learned: the scope from the addresses of the other flows that the point saw, the window
from its first and last packets. An empty capture has learned nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment, forward_hop_limit
from mixcni.schema import Direction, Sight
from mixcni.topology import CapturePoint, PointKind, in_networks

OWN_SHARE = 0.9  # of a pod's flows have the pod's own address; the rest are strays (mirrored or forwarded traffic)


@dataclass(frozen=True, slots=True)
class Sights:
    """What the points can say.

    sight : (c, p) int8, mixcni.schema.Sight of each conversation at each point
    concerned : (c, p) bool, whether the conversation passes the point as far as its addresses tell, watched or not; where an
        empty capture tells nothing of them it may
    witness : (c, p, 2) bool, by direction: whether a packet that is not seen there was not there, but for the miss rate
    against : (c,) bool, the conversation was begun at the far end of the path
    windows : one a point, (first, last) ns on the common clock; None where nothing tells when the capture ran
    assumed_windows, learned_scopes : positions of the points whose window, or whose scope, the verdict rests on
    """

    sight: NDArray[np.int8]
    concerned: NDArray[np.bool_]
    witness: NDArray[np.bool_]
    against: NDArray[np.bool_]
    windows: tuple[tuple[int, int] | None, ...]
    assumed_windows: tuple[int, ...]
    learned_scopes: tuple[int, ...]


def point_windows(points: Sequence[CapturePoint], alignment: Alignment) -> list[tuple[int, int] | None]:
    """When each point's capture ran, (first, last) ns on the common clock: as given, else from its packets."""
    windows: list[tuple[int, int] | None] = []
    for point, flows, clock in zip(points, alignment.points, alignment.clocks, strict=True):
        times = flows.packets["time_ns"]
        times = times[times >= 0]
        bounds = point.window
        if bounds is None and times.size:
            bounds = int(times.min()), int(times.max())
        windows.append(None if bounds is None else (bounds[0] - clock.offset_ns, bounds[1] - clock.offset_ns))
    return windows


def addresses_passing(point: CapturePoint, alignment: Alignment, position: int) -> NDArray[np.bool_]:
    """(2, address codes) whether traffic of this address is known to pass the point: as an initiator's, as a responder's.

    By the scope that was given, whatever its part; else those seen here in that part, and in a pod's own capture only the pod's
    addresses: those that take part in nearly all of its flows.
    """
    book = alignment.conversations.book
    if point.scope:
        inside = np.array([in_networks(book.address(code), point.scope) for code in range(len(book))], dtype=np.bool_)
        return np.stack([inside, inside])
    rows = np.flatnonzero(alignment.conversations.flow_of[:, position] >= 0)
    ends = [alignment.conversations[name][rows] for name in ("initiator", "responder")]
    seen = np.stack([np.bincount(codes, minlength=len(book)) for codes in ends])
    passing = seen > 0
    if point.kind is not None and point.kind.is_pods_own:
        to_itself = np.bincount(ends[0][ends[0] == ends[1]], minlength=len(book))
        passing &= seen.sum(axis=0) - to_itself >= OWN_SHARE * rows.size
    return np.asarray(passing)


def judge_sights(points: Sequence[CapturePoint], alignment: Alignment) -> Sights:
    """The sight of every conversation at every point.

    Downstream of where it was seen a conversation is expected at a point that its responder's traffic passes, upstream at one
    that its initiator's traffic passes. A point that saw nothing of a conversation that points on both sides of it saw, or that
    a later one saw, is no witness of what was lost of it: packets are known to have passed its capture unseen.

    Parameters
    ----------
    points : in path order, as in `alignment`
    """
    conversations = alignment.conversations
    seen = conversations.flow_of >= 0
    first, last = _times(alignment)
    windows = point_windows(points, alignment)
    sight = np.where(seen, np.int8(Sight.SEEN), np.int8(Sight.UNOBSERVABLE))
    concerned = seen.copy()
    positions = np.arange(len(points))
    nearest = np.where(seen, positions, len(points)).min(axis=1, initial=len(points))
    farthest = np.where(seen, positions, -1).max(axis=1, initial=-1)
    against = runs_against(alignment)
    assumed_windows, learned_scopes = [], []
    for position, point in enumerate(points):
        passing = addresses_passing(point, alignment, position)
        initiator, responder = passing[0][conversations["initiator"]], passing[1][conversations["responder"]]
        expected = np.where(position > farthest, responder, np.where(position < nearest, initiator, initiator | responder))
        if point.scope:
            expected = initiator | responder
        is_empty = not len(alignment.points[position].packets)
        concerned[:, position] |= expected | (is_empty and not point.scope)
        window = windows[position]
        if window is None:
            continue
        watched = (first <= window[1]) & (last >= window[0])
        missing = ~seen[:, position] & expected & watched
        sight[missing, position] = np.int8(Sight.MISSING)
        if missing.any():
            if not point.scope:
                learned_scopes.append(position)
            if is_empty:
                assumed_windows.append(position)
    beyond = positions > farthest[:, None]
    witness = (sight == Sight.SEEN) | ((sight == Sight.MISSING) & beyond)
    return Sights(
        sight=sight,
        concerned=concerned,
        witness=witness[:, :, None] & ~hidden_directions(points, alignment),
        against=against,
        windows=tuple(windows),
        assumed_windows=tuple(assumed_windows),
        learned_scopes=tuple(learned_scopes),
    )


def hidden_directions(points: Sequence[CapturePoint], alignment: Alignment) -> NDArray[np.bool_]:
    """(p, 2) whether packets in a direction may pass a point's place unseen.

    With eBPF host routing what enters a pod bypasses its veth's host side, allowed or not (DESIGN.md section 4). It does not
    where the capture has packets that way of conversations that another point saw as well.
    """
    table, seen = alignment.transmissions, alignment.conversations.flow_of >= 0
    shared = (seen.sum(axis=1) > 1)[table["conversation"]]
    hidden = np.zeros((len(points), 2), dtype=np.bool_)
    for position, point in enumerate(points):
        if point.kind != PointKind.VETH:
            continue
        here = shared & (table["point"] == position)
        enters = [Direction.REVERSE] if position == 0 else [Direction.FORWARD] if position == len(points) - 1 else list(Direction)
        for direction in enters:
            hidden[position, direction] = not (here & (table["direction"] == direction)).any()
    return hidden


def runs_against(alignment: Alignment) -> NDArray[np.bool_]:
    """(c,) whether a conversation was begun at the far end of the path: the hop limit of its requests rises along the points."""
    conversations = alignment.conversations
    limits = np.stack([forward_hop_limit(flows, conversations, p) for p, flows in enumerate(alignment.points)], axis=1)
    known = limits >= 0
    rows = np.arange(len(conversations))
    near = limits[rows, known.argmax(axis=1)]
    far = limits[rows, limits.shape[1] - 1 - known[:, ::-1].argmax(axis=1)]
    return np.asarray(known.any(axis=1) & (far > near))


def _times(alignment: Alignment) -> tuple[NDArray[Any], NDArray[Any]]:
    """(c,) first and last time of each conversation over all points, ns on the common clock."""
    count = len(alignment.conversations)
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    for position, (flows, clock) in enumerate(zip(alignment.points, alignment.clocks, strict=True)):
        rows = np.flatnonzero(alignment.conversations.flow_of[:, position] >= 0)
        flow = alignment.conversations.flow_of[rows, position]
        first[rows] = np.minimum(first[rows], flows["first_ns"][flow] - clock.offset_ns)
        last[rows] = np.maximum(last[rows], flows["last_ns"][flow] - clock.offset_ns)
    return first, last
