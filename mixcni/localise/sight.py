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

from mixcni.align import Alignment, first_hop_limit
from mixcni.align.united import flow_bounds
from mixcni.localise.atoms import NEVER, Atoms
from mixcni.localise.kinds import LeftOut, find_left_out
from mixcni.localise.missrate import SLACK_NS, inside_windows
from mixcni.localise.passage import Passage, answering, may_be_seen, rewritten_before, rewritten_towards, take_other_ways
from mixcni.localise.survey import Survey
from mixcni.localise.watch import Watch
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
    hidden : (p, 2) bool, by direction: packets may pass the point's place without its seeing them
    left_out : kinds of segments that a point's capture has none of though they pass
    against : (c,) bool, the conversation was begun at the far end of the path
    apart : (p, p) bool, two points lie on different ways, as two nodes of one tier do
    windows : one a point, on the common clock; None where nothing tells when the capture ran
    slacks : one a point, ns: of what other points saw so near its window's ends nothing can be told
    inside : (a, p) bool, whether all transmissions of an atom, at whatever point, were well within each point's window
    assumed_windows, learned_scopes : positions of the points whose window, or whose scope, the verdict rests on
    """

    sight: NDArray[np.int8]
    concerned: NDArray[np.bool_]
    witness: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    left_out: LeftOut
    against: NDArray[np.bool_]
    apart: NDArray[np.bool_]
    windows: tuple[Watch | None, ...]
    slacks: tuple[int, ...]
    inside: NDArray[np.bool_]
    assumed_windows: tuple[int, ...]
    learned_scopes: tuple[int, ...]

    @property
    def watching(self) -> NDArray[np.bool_]:
        """(c, p, 2) whether a point saw a conversation or should have, by direction."""
        return np.asarray((self.sight != Sight.UNOBSERVABLE)[:, :, None] & ~self.hidden)


def point_windows(points: Sequence[CapturePoint], alignment: Alignment) -> list[Watch | None]:
    """When each point's capture ran, on the common clock: as given, else from its packets.

    A capture with packets of a link type that is not decoded may have any packet: it watched at no time.
    """
    windows: list[Watch | None] = []
    for point, flows, times, clock in zip(points, alignment.points, alignment.times, alignment.clocks, strict=True):
        timed = times[flows.packets["time_ns"] >= 0]
        bounds = (int(timed.min()), int(timed.max())) if timed.size else None
        if point.window is not None:
            bounds = clock.common_window(point.window)
        holes = tuple(clock.common_window(hole) for hole in point.holes)
        windows.append(Watch(*bounds, holes) if bounds and not flows.packets.not_decoded.any() else None)
    return windows


def addresses_passing(point: CapturePoint, alignment: Alignment, position: int) -> NDArray[np.bool_]:
    """(2, address codes) whether traffic of this address is known to pass the point: as an initiator's, as a responder's.

    By the scope that was given, whatever its part; else those seen here in that part, and in a pod's own capture only the pod's
    addresses: those that take part in nearly all of its flows. Addresses are as this point sees them.
    """
    conversations = alignment.conversations
    book = conversations.book
    if point.scope:
        inside = np.array([in_networks(book.address(code), point.scope) for code in range(len(book))], dtype=np.bool_)
        return np.stack([inside, inside])
    rows = np.flatnonzero(conversations.flow_of[:, position] >= 0)
    ends = [column[rows, position] for column in (conversations.ends.initiator, conversations.ends.responder)]
    seen = np.stack([np.bincount(codes, minlength=len(book)) for codes in ends])
    passing = seen > 0
    if point.kind is not None and point.kind.is_pods_own:
        to_itself = np.bincount(ends[0][ends[0] == ends[1]], minlength=len(book))
        passing &= seen.sum(axis=0) - to_itself >= OWN_SHARE * rows.size
    return np.asarray(passing)


def judge_sights(
    points: Sequence[CapturePoint], alignment: Alignment, survey: Survey, passed: NDArray[np.bool_], atoms: Atoms
) -> Sights:
    """The sight of every conversation at every point.

    Downstream of where it was seen a conversation is expected at a point that its responder's traffic passes, upstream at one
    that its initiator's traffic passes, by its addresses at the nearest point that saw it (mixcni.localise.passage says what
    a NAT makes of them). A point that saw nothing of a conversation that points on both sides of it saw, or that a later one
    saw, is no witness of what was lost of it: packets are known to have passed its capture unseen. Nor is one that saw what may
    be it.

    Parameters
    ----------
    points : in path order, as in `alignment`
    survey : of its transmissions
    passed : (a, p) whether each atom is known to have been at each point
    atoms : of all conversations
    """
    conversations = alignment.conversations
    seen = conversations.flow_of >= 0
    first, last = _times(alignment)
    windows = point_windows(points, alignment)
    sight = np.where(seen, np.int8(Sight.SEEN), np.int8(Sight.UNOBSERVABLE))
    positions = np.arange(len(points))
    nearest = np.where(seen, positions, len(points)).min(axis=1, initial=len(points))
    farthest = np.where(seen, positions, -1).max(axis=1, initial=-1)
    against = runs_against(alignment)
    assumed_windows, learned_scopes = [], []
    maybe, apart = may_be_seen(alignment), take_other_ways(points, alignment)
    expected, concerned = _expectations(points, alignment, survey, nearest, farthest)
    elsewhere = seen.astype(np.int64) @ apart > 0
    concerned = (concerned & ~elsewhere) | seen
    either = ~seen & ((expected & ~seen).astype(np.int64) @ apart > 0)  # nobody saw which of several ways it took
    for position, point in enumerate(points):
        window = windows[position]
        if window is None:
            continue
        unsure = maybe[:, position] | elsewhere[:, position] | either[:, position]
        missing = ~seen[:, position] & expected[:, position] & window.touches(first, last) & ~unsure
        sight[missing, position] = np.int8(Sight.MISSING)
        if missing.any():
            if not point.scope:
                learned_scopes.append(position)
            if not len(alignment.points[position].packets):
                assumed_windows.append(position)
    beyond = positions > farthest[:, None]
    slacks = tuple(SLACK_NS + (clock.uncertainty_ns or 0) for clock in alignment.clocks)
    inside = inside_windows(atoms, windows, slacks)
    heard = survey.heard[seen.sum(axis=1) > 1].any(axis=0)
    hidden = hidden_directions(points, heard) | unseen_directions(heard, atoms, passed, seen, inside)
    hidden |= ~np.array([point.passed_by for point in points], dtype=np.bool_).reshape(len(points), 2)
    witness = (sight == Sight.SEEN) | ((sight == Sight.MISSING) & beyond)
    return Sights(
        sight=sight,
        concerned=concerned,
        witness=witness[:, :, None] & ~hidden,
        hidden=hidden,
        left_out=find_left_out(alignment, atoms, passed, windows, inside),
        against=against,
        apart=apart,
        windows=tuple(windows),
        slacks=slacks,
        inside=inside,
        assumed_windows=tuple(assumed_windows),
        learned_scopes=tuple(learned_scopes),
    )


def _expectations(
    points: Sequence[CapturePoint],
    alignment: Alignment,
    survey: Survey,
    nearest: NDArray[np.int64],
    farthest: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(c, p) twice: whether a conversation is expected at each point, and whether it may pass there at all.

    An address that nobody answers from may be anywhere. It is expected at a point in whose scope is what was called before a NAT
    made that address of it: a service's, whose backend is gone.

    Parameters
    ----------
    nearest, farthest : (c,) the first and the last position where each conversation was seen
    """
    conversations = alignment.conversations
    every, heard = np.arange(len(conversations)), answering(alignment, survey)
    unheard, called = ~heard[conversations["responder"]], conversations.ends.responder
    stale = ~heard[called[every, farthest]]
    expected, concerned = np.zeros((2, len(conversations), len(points)), dtype=np.bool_)
    for position, point in enumerate(points):
        passing = addresses_passing(point, alignment, position)
        nearby = np.where(position > farthest, farthest, nearest).clip(0, len(points) - 1)
        initiator = passing[0][conversations.ends.initiator[every, nearby]]
        responder = passing[1][conversations.behind.responder[every, nearby]]
        arrives, came = rewritten_towards(alignment, survey, position), rewritten_before(alignment, position)
        responder = np.where(arrives == Passage.UNCHANGED, responder, arrives == Passage.REWRITTEN)
        initiator = np.where(came == Passage.UNCHANGED, initiator, came == Passage.REWRITTEN)
        may_pass = (arrives == Passage.UNKNOWN) | (came == Passage.UNKNOWN)
        if point.scope:
            by_any_name = (passing[1][called] & (called >= 0)).any(axis=1)
            expected[:, position] = initiator | responder | (stale & by_any_name & (position > farthest))
        else:
            either = np.where(position < nearest, initiator, initiator | responder)
            expected[:, position] = np.where(position > farthest, responder, either)
            may_pass |= (unheard & (position > farthest)) | (not len(alignment.points[position].packets))
        concerned[:, position] = expected[:, position] | may_pass
    return expected, concerned


def hidden_directions(points: Sequence[CapturePoint], heard: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(p, 2) whether packets in a direction may pass a point's place unseen.

    With eBPF host routing what enters a pod bypasses its veth's host side, allowed or not (DESIGN.md section 4). It does not
    where the capture has packets that way of conversations that another point saw as well: (p, 2) `heard` says so.
    """
    hidden = np.zeros((len(points), 2), dtype=np.bool_)
    for position, point in enumerate(points):
        if point.kind != PointKind.VETH:
            continue
        enters = [Direction.REVERSE] if position == 0 else [Direction.FORWARD] if position == len(points) - 1 else list(Direction)
        for direction in enters:
            hidden[position, direction] = not heard[position, direction]
    return hidden


def unseen_directions(
    heard: NDArray[np.bool_],
    atoms: Atoms,
    passed: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    inside: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """(p, 2) whether a point sees one direction alone: none of what went the other way, though some of it got past as it watched.

    Then it lies on the one way and not on the other (asymmetric routing), or its capture has a filter, and its silence about the
    other proves nothing. Whoever replies has a request, so that replies seen here show that requests got past. Where one point
    has replies alone, these may go by another way than requests do, past whatever point between has none of them.

    Parameters
    ----------
    heard : (p, 2) which directions each point saw of conversations that another saw as well
    seen : (c, p) whether each point saw a conversation
    inside : (a, p) as `inside_windows` tells
    """
    shared = seen.sum(axis=1) > 1
    hidden = heard[:, ::-1] & ~heard
    certain = 1 if hidden[:, Direction.FORWARD].any() else len(hidden)  # the first is at the initiator's side, by either way
    for point in np.flatnonzero(hidden[:certain, Direction.REVERSE]).tolist():
        reverse = (shared & seen[:, point])[atoms.conversation] & (atoms.direction == Direction.REVERSE)
        got_past = reverse & passed[:, point] & (atoms.begun_ns != NEVER)
        hidden[point, Direction.REVERSE] = bool((got_past & inside[:, point]).any())
    return hidden


def runs_against(alignment: Alignment) -> NDArray[np.bool_]:
    """(c,) whether a conversation was begun at the far end of the path: the hop limit of its requests rises along the points."""
    conversations = alignment.conversations
    limits = np.stack([first_hop_limit(flows, conversations, p) for p, flows in enumerate(alignment.points)], axis=1)
    known = limits >= 0
    rows = np.arange(len(conversations))
    near = limits[rows, known.argmax(axis=1)]
    far = limits[rows, limits.shape[1] - 1 - known[:, ::-1].argmax(axis=1)]
    return np.asarray(known.any(axis=1) & (far > near))


def _times(alignment: Alignment) -> tuple[NDArray[Any], NDArray[Any]]:
    """(c,) first and last time of each conversation over all points, ns on the common clock."""
    count = len(alignment.conversations)
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    for position, (flows, times) in enumerate(zip(alignment.points, alignment.times, strict=True)):
        conversation = alignment.conversations.members_at(position).conversation
        of_flows = flow_bounds(flows, times)
        np.minimum.at(first, conversation, of_flows[0])
        np.maximum.at(last, conversation, of_flows[1])
    return first, last
