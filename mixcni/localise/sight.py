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

from mixcni.align import Alignment
from mixcni.schema import Sight
from mixcni.topology import CapturePoint, in_networks

OWN_SHARE = 0.9  # of a pod's flows have the pod's own address; the rest are strays (mirrored or forwarded traffic)


@dataclass(frozen=True, slots=True)
class Sights:
    """What the points can say.

    sight : (c, p) int8, mixcni.schema.Sight of each conversation at each point
    windows : one a point, (first, last) ns on the common clock; None where nothing tells when the capture ran
    assumed_windows, learned_scopes : positions of the points whose window, or whose scope, the verdict rests on
    """

    sight: NDArray[np.int8]
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
    """(address codes,) whether traffic of this address is known to pass the point.

    By the scope that was given; else those seen here, and in a pod's own capture only the pod's addresses: those that take part
    in nearly all of its flows.
    """
    book = alignment.conversations.book
    if point.scope:
        return np.array([in_networks(book.address(code), point.scope) for code in range(len(book))], dtype=np.bool_)
    rows = np.flatnonzero(alignment.conversations.flow_of[:, position] >= 0)
    ends = [alignment.conversations[name][rows] for name in ("initiator", "responder")]
    seen = np.zeros(len(book), dtype=np.int64)
    for codes in ends:
        seen += np.bincount(codes, minlength=len(book))
    seen -= np.bincount(ends[0][ends[0] == ends[1]], minlength=len(book))
    if point.kind is not None and point.kind.is_pods_own:
        return np.asarray(seen >= max(1.0, OWN_SHARE * rows.size))
    return np.asarray(seen > 0)


def judge_sights(points: Sequence[CapturePoint], alignment: Alignment) -> Sights:
    """The sight of every conversation at every point.

    Downstream of where it was seen a conversation is expected at a point that its responder's traffic passes, upstream at one
    that its initiator's traffic passes.

    Parameters
    ----------
    points : in path order, as in `alignment`
    """
    conversations = alignment.conversations
    seen = conversations.flow_of >= 0
    first, last = _times(alignment)
    windows = point_windows(points, alignment)
    sight = np.where(seen, np.int8(Sight.SEEN), np.int8(Sight.UNOBSERVABLE))
    positions = np.arange(len(points))
    nearest = np.where(seen, positions, len(points)).min(axis=1, initial=len(points))
    farthest = np.where(seen, positions, -1).max(axis=1, initial=-1)
    assumed_windows, learned_scopes = [], []
    for position, point in enumerate(points):
        window = windows[position]
        if window is None:
            continue
        passing = addresses_passing(point, alignment, position)
        initiator, responder = passing[conversations["initiator"]], passing[conversations["responder"]]
        if point.scope:
            expected = initiator | responder
        else:
            expected = np.where(position > farthest, responder, np.where(position < nearest, initiator, initiator | responder))
        watched = (first <= window[1]) & (last >= window[0])
        missing = ~seen[:, position] & expected & watched
        sight[missing, position] = np.int8(Sight.MISSING)
        if missing.any():
            if not point.scope:
                learned_scopes.append(position)
            if not len(alignment.points[position].packets):
                assumed_windows.append(position)
    return Sights(sight, tuple(windows), tuple(assumed_windows), tuple(learned_scopes))


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
