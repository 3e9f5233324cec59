"""Each exchange's fate: its request's octets followed forward, then its response's octets back (DESIGN.md section 4).

The rules run over all exchanges at once, one column operation a rule; a rule decides only what no rule before it has decided.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.localise.atoms import NEVER, Atoms, Intervals, all_of, first_without
from mixcni.localise.judgement import MOST_DOUBT, MOST_OWN_DOUBT, judge_hop
from mixcni.localise.missrate import MissRate
from mixcni.localise.refusals import Refusals
from mixcni.localise.sight import Sights
from mixcni.localise.silences import Copies, Silences, copies_at
from mixcni.schema import FATES, Direction, ExchangeKind, Fate, Reason, Sight
from mixcni.tables import Table
from mixcni.topology import CapturePoint

RTO_NS = 1_000_000_000  # RFC 6298 section 2: the initial, and the least, retransmission timeout
LEAST_RTO_NS = 200_000_000  # what Linux waits at least (TCP_RTO_MIN)


class FateTable(Table):
    """What became of every exchange, in the order of conversation and number.

    `request_seen`, `response_seen` : (n, p) bool, whether the whole request, and the response's first octet, were
    seen at each point
    """

    schema = FATES
    request_seen: NDArray[np.bool_]
    response_seen: NDArray[np.bool_]

    def __init__(
        self, columns: dict[str, NDArray[Any]], request_seen: NDArray[np.bool_], response_seen: NDArray[np.bool_]
    ) -> None:
        super().__init__(columns)
        self.request_seen, self.response_seen = request_seen, response_seen


class FateRules:
    """The state of all exchanges while the rules decide them.

    Parameters
    ----------
    points : in path order
    columns : of the exchanges, as `merge_exchanges` gives them
    request, response : the atoms of each exchange's request, and of its response's first octet
    acknowledged : (streams,) int64, highest stream offset that each stream's receiver acknowledged
    passed : (a, p) whether each atom is known to have been at each point
    """

    def __init__(
        self,
        points: Sequence[CapturePoint],
        columns: dict[str, NDArray[Any]],
        atoms: Atoms,
        request: Intervals,
        response: Intervals,
        sights: Sights,
        silences: Sequence[Silences],
        whole_rates: Sequence[MissRate],
        acknowledged: NDArray[np.int64],
        passed: NDArray[np.bool_],
    ) -> None:
        self.points, self.columns, self.atoms = points, columns, atoms
        self.request, self.response, self.sights = request, response, sights
        self.silences, self.whole_rates = silences, whole_rates
        self.windows = sights.windows
        count = columns["conversation"].size
        conversation = columns["conversation"].astype(np.int64)
        handshake = columns["kind"] == ExchangeKind.HANDSHAKE
        streams = ~handshake & (columns["kind"] != ExchangeKind.DATAGRAM)
        self.witness = sights.witness[conversation]
        self.witness[handshake] &= ~sights.left_out.syns
        self.witness[streams] &= ~sights.left_out.payload
        self.concerned = sights.concerned[conversation]
        seen_conversation = sights.sight[conversation] == Sight.SEEN
        has_request = columns["request_end"] > columns["request_start"]
        self.has_response = columns["response_end"] > columns["response_start"]
        self.request_seen = all_of(request, atoms.seen) & (has_request[:, None] | seen_conversation)
        self.response_seen = all_of(response, atoms.seen) & self.has_response[:, None]
        self.atom_passed = passed
        self.request_passed = all_of(request, self.atom_passed) & (has_request[:, None] | seen_conversation)
        self.request_acknowledged = has_request & (acknowledged[2 * conversation] >= columns["request_end"])
        self.response_acknowledged = self.has_response & (acknowledged[2 * conversation + 1] > columns["response_start"])
        self.conversation = conversation
        self.fate = np.full(count, int(Fate.UNDECIDED), dtype=np.uint8)
        self.decided = np.zeros(count, dtype=np.bool_)
        self.closed = np.zeros(count, dtype=np.bool_)
        self.direction = np.full(count, -1, dtype=np.int8)
        self.near, self.far, self.last_seen, self.decider = (np.full(count, -1, dtype=np.int16) for _ in range(4))
        self.reason = np.zeros(count, dtype=np.uint8)
        self.copies = np.zeros(count, dtype=np.int64)
        self.confidence, self.hop_confidence = np.full(count, np.nan), np.full(count, np.nan)
        self.positions = np.arange(len(points))

    def _first(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(n,) lowest position where mask holds, or the number of points."""
        found = np.full(len(mask), len(self.points), dtype=np.int64)
        for position in reversed(range(len(self.points))):
            found[mask[:, position]] = position
        return found

    def _last(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(n,) highest position where mask holds, or -1."""
        found = np.full(len(mask), -1, dtype=np.int64)
        for position in range(len(self.points)):
            found[mask[:, position]] = position
        return found

    def answered(self, refusals: Refusals) -> None:
        """The response's first octet reached the first point that the conversation passes, or was acknowledged.

        Not so where a reset that somebody on the way made was there before it: the initiator has no connection any more.
        """
        against = self.sights.against[self.conversation]
        side = np.where(against, self._last(self.concerned), self._first(self.concerned))
        there = np.arange(side.size), side
        done = self.has_response & (self.response_seen[there] | self.response_acknowledged)
        reset = refusals.reset_ns[self.conversation]
        foreign = reset[np.arange(side.size), self._last(self.response_seen)] < 0  # its sender's side saw none
        asked = self.request_first_ns[there]
        early = (asked >= 0) & (asked <= reset[there]) & (reset[there] < self.atoms.first_ns[self.response.begin, side])
        self.closed = done & ~against & foreign & early & ~self.response_acknowledged
        done &= ~self.closed
        self.fate[done] = int(Fate.ANSWERED)
        nearest = self._first(self.response_seen)
        self.last_seen[done] = np.where(against, self._last(self.response_seen), nearest % len(self.points))[done]
        self.decided |= done

    def lost_rest(self, whole: Intervals, closed_ns: NDArray[np.int64]) -> None:
        """The response began to arrive, and its rest was lost for good, while the initiator still waited for it.

        What is not proven so stays answered.

        Parameters
        ----------
        whole : the atoms of each response
        closed_ns : (c,) when each conversation's initiator first sent a FIN or a reset; NEVER where it did not
        """
        against = self.sights.against[self.conversation]
        side = self._first(self.concerned)
        begun = self.decided & ~against & (side < len(self.points))
        arrived = all_of(whole, self.atom_passed)[np.arange(side.size), side % len(self.points)]
        rows = np.flatnonzero(begun & ~arrived)
        side = side[rows]
        atom = first_without(whole, self.atom_passed, rows, side)
        sender = self._first(self.atoms.seen[atom])
        known = sender < len(self.points)
        rows, atom, sender = rows[known], atom[known], sender[known]
        towards = self._last(self.witness[rows, :, Direction.REVERSE] & (self.positions < sender[:, None]))
        waits = self.atoms.begun_ns[atom] + RTO_NS <= closed_ns[self.conversation[rows]]
        kept = waits & (towards >= 0)
        rows, atom, sender, towards = rows[kept], atom[kept], sender[kept], towards[kept]
        self._lose(rows, Direction.REVERSE, towards, atom)
        others = rows[self.fate[rows] != Fate.LOST]
        self._settle(others, Fate.ANSWERED, Reason.NONE)
        self.decider[others] = -1
        self.last_seen[np.setdiff1d(rows, others)] = sender[np.isin(rows, others, invert=True)]

    def against_the_path(self) -> None:
        """What is begun at the far end meets the points the other way round: no request of the path, and not followed."""
        rows = np.flatnonzero(~self.decided & self.sights.against[self.conversation])
        self._leave(rows, Reason.NO_WINDOW, np.full(rows.size, -1))

    def unplaced(self) -> None:
        """A request that one point alone saw, of which nothing tells where it stands, may have been going anywhere."""
        guessed = np.array([not point.is_placed for point in self.points])
        seen = self.sights.sight[self.conversation] == Sight.SEEN
        alone = seen & guessed & (seen.sum(axis=1, keepdims=True) == 1)
        rows = np.flatnonzero(~self.decided & ~self.has_response & alone.any(axis=1))
        self.last_seen[rows] = self._last(alone)[rows]
        self._leave(rows, Reason.NOT_PLACED, self.last_seen[rows])

    def lost_response(self) -> None:
        """The response was seen, and not at the next point towards the initiator."""
        rows = np.flatnonzero(~self.decided & self.has_response & ~self.closed)
        nearest = self._first(self.response_seen)[rows]
        partly = nearest >= len(self.points)  # octets of the response, but not its first one
        self._leave(rows[partly], Reason.NOT_SEEN_WHOLE, np.full(int(partly.sum()), -1))
        rows, nearest = rows[~partly], nearest[~partly]
        towards = self._last(self.witness[rows, :, Direction.REVERSE] & (self.positions < nearest[:, None]))
        self.last_seen[rows] = nearest
        unseen = towards < 0
        self._leave(rows[unseen], Reason.NO_WINDOW, nearest[unseen] - 1)
        rows, nearest, towards = rows[~unseen], nearest[~unseen], towards[~unseen]
        self._lose(rows, Direction.REVERSE, towards, self.response.begin[rows])

    def refused(self, refusals: Refusals) -> None:
        """A reset or an ICMP error came back for a request that has no response."""
        first_request = self.request_first_ns
        kinds = (
            (refusals.icmp_ns, refusals.icmp_errors, Reason.BY_ICMP),
            (refusals.reset_ns, refusals.resets, Reason.BY_RESET),
        )
        for times, counts, reason in kinds:
            at = times[self.conversation]
            seen = (at >= 0) & (at >= first_request)
            failed = ~self.decided & (~self.has_response | self.closed)
            rows = np.flatnonzero(failed & seen.any(axis=1))
            heard = self._last(seen)[rows]
            farthest = np.maximum(heard, self._last(self.request_passed)[rows])  # whoever refuses a request has it
            time = at[rows, heard]
            further = self.positions > farthest[:, None]
            beyond = self._first(self.witness[rows, :, Direction.REVERSE] & further & self._runs_at(time))
            by_responder = ~(self.concerned[rows] & further).any(axis=1)
            unwatched = ~by_responder & (beyond >= len(self.points))
            on_way = ~by_responder & ~unwatched
            self.last_seen[rows] = self._last(self.request_passed)[rows]
            self._settle(rows[by_responder], Fate.REFUSED, Reason.BY_RESPONDER)
            self._leave(rows[unwatched], Reason.NO_WINDOW, farthest[unwatched] + 1)
            rows, farthest, beyond = rows[on_way], farthest[on_way], beyond[on_way]
            lacking = Copies.at_once(time[on_way], counts[self.conversation[rows], heard[on_way]])
            lacking = lacking.with_more(self._asked(rows, farthest, beyond))
            passed = failed[:, None] & self.request_passed & self.concerned
            self._refuse(rows, reason, farthest, beyond, lacking, passed)

    def refused_from_as_far(self, refusals: Refusals) -> None:
        """What nobody watched, or a capture may have missed, is the refusal of a responder that refused others from as far."""
        first_request = self.request_first_ns
        doubtful = np.isin(self.reason, [Reason.NO_WINDOW, Reason.MISS_RATE]) & ~self.sights.against[self.conversation]
        doubtful &= ~self.has_response | self.closed
        for times, looks in ((refusals.icmp_ns, refusals.icmp_looks), (refusals.reset_ns, refusals.reset_looks)):
            at = times[self.conversation]
            heard = self._last((at >= 0) & (at >= first_request))
            known = looks[self.conversation[self.reason == Reason.BY_RESPONDER]]
            rows = np.flatnonzero(doubtful & (heard >= 0))
            rows = rows[np.isin(looks[self.conversation[rows], heard[rows]], known[known >= 0])]
            self._settle(rows, Fate.REFUSED, Reason.BY_RESPONDER)
            self.decider[rows] = -1

    def _asked(self, rows: NDArray[np.int64], near: NDArray[np.int64], far: NDArray[np.int64]) -> Copies:
        """The copies of each request that its near point saw, of the octets that the far one lacks, while that one watched."""
        atom, found = first_without(self.request, self.atom_passed, rows, far), Copies.at_once(rows[:0], rows[:0])
        for source, target in np.unique(np.stack([near, far], axis=1), axis=0).tolist():
            here, window = np.flatnonzero((near == source) & (far == target)), self.windows[target]
            if window is not None:
                mine = copies_at(self.atoms, source, window, atom[here])
                found = found.with_more(Copies(here[mine.of], mine.time_ns))
        return found

    def reset_in_passing(self, refusals: Refusals) -> None:
        """A reset came back for a request that had got farther than where the reset began: no responder sent it.

        So does what closes connections in its ends' names and lets their packets pass. The point beyond saw the conversation,
        watched, and has none of the resets. Where the request did not reach the last point, what stopped it there refused it.
        """
        at = refusals.reset_ns[self.conversation]
        seen = (at >= 0) & (at >= self.request_first_ns)
        failed = ~self.decided & (~self.has_response | self.closed)
        heard, reached = self._last(seen), self._last(self.request_passed)
        arrived = ~(self.concerned & (self.positions > reached[:, None])).any(axis=1)
        rows = np.flatnonzero(failed & arrived & (heard >= 0) & (heard < reached))
        further = (self.positions > heard[rows, None]) & (self.positions <= reached[rows, None])
        time = at[rows, heard[rows]]
        beyond = self._first(self.witness[rows, :, Direction.REVERSE] & further & self._runs_at(time))
        watched = beyond < len(self.points)
        rows, beyond, time = rows[watched], beyond[watched], time[watched]
        self.last_seen[rows] = reached[rows]
        copies = refusals.resets[self.conversation[rows], heard[rows]]
        lacking = Copies.at_once(time, copies)
        self._refuse(rows, Reason.BY_RESET, heard[rows], beyond, lacking, failed[:, None] & seen)

    def _refuse(
        self,
        rows: NDArray[np.int64],
        reason: Reason,
        near: NDArray[np.int64],
        far: NDArray[np.int64],
        lacking: Copies,
        passed: NDArray[np.bool_],
    ) -> None:
        """Call each row refused between two points, if the far one's capture does not merely lack what the near one has.

        `lacking` : the packets that the far point lacks, by place in `rows`; the refusals of one row as if at one time
        `passed` : (n, p) whether the like of them, of exchanges that failed as well, were at each point
        """
        for source, target in np.unique(np.stack([near, far], axis=1), axis=0).tolist():
            here = (near == source) & (far == target)
            arrived = int((passed[:, source] & passed[:, target]).sum())
            none, doubt = self._judge(rows[here], target, lacking.part(here), arrived)
            doubtful = doubt >= (MOST_OWN_DOUBT if none < MOST_DOUBT else 0)
            self._leave(rows[here][doubtful], Reason.MISS_RATE, np.full(int(doubtful.sum()), target))
            kept = rows[here][~doubtful]
            self._settle(kept, Fate.REFUSED, reason)
            self.direction[kept] = int(Direction.FORWARD)
            self.near[kept], self.far[kept] = source, target
            self.confidence[kept], self.hop_confidence[kept] = 1 - doubt[~doubtful], 1 - none

    def lost_request(self) -> None:
        """No response, and nobody acknowledged the request: its first octets that a point lacks were seen before it.

        A responder waits for the first octets that it lacks. What follows them may have been sent once, and not been watched.
        """
        rows = np.flatnonzero(~self.decided & ~self.request_acknowledged)
        last = self._last(self.witness[rows, :, Direction.FORWARD])
        atom = first_without(self.request, self.atom_passed, rows, last)
        lacking = self.request.stop[rows] > self.request.begin[rows]
        farthest = np.maximum(self._last(self.request_passed[rows]), self._last(self.atom_passed[atom] & lacking[:, None]))
        unseen = farthest < 0
        self._leave(rows[unseen], Reason.NOT_SEEN_WHOLE, np.full(int(unseen.sum()), -1))
        rows, atom, farthest = rows[~unseen], atom[~unseen], farthest[~unseen]
        beyond = self._first(self.witness[rows, :, Direction.FORWARD] & (self.positions > farthest[:, None]))
        self.last_seen[rows] = farthest
        watched = beyond < len(self.points)
        self._lose(rows[watched], Direction.FORWARD, beyond[watched], atom[watched])

    def silent(self, closing: NDArray[np.int64]) -> None:
        """The request arrived at the last point, or was acknowledged, and nothing came back.

        A responder that acknowledges a request and closes, with no octet in between, is silent whoever watches.

        Parameters
        ----------
        closing : (c,) int64, stream offset of the FIN of each conversation's responder; -1 none
        """
        closed = self.request_acknowledged & (closing[self.conversation] == self.columns["response_start"])
        rows = np.flatnonzero(~self.decided & closed & ~self.has_response)
        self.last_seen[rows] = self._last(self.request_seen)[rows]
        self._settle(rows, Fate.SILENT, Reason.NONE)
        rows = np.flatnonzero(~self.decided)
        end = len(self.points) - 1
        self.last_seen[rows] = self._last(self.request_seen)[rows]
        watching = self.sights.sight[self.conversation[rows]] != Sight.UNOBSERVABLE
        reached = self._last(self.request_passed[rows] & watching)
        short = reached < end
        kind = self.points[end].kind
        hidden = short & watching[:, end]  # the last point ran, and cannot tell by its kind
        self._leave(rows[hidden], Reason.ON_THE_WAY, np.full(int(hidden.sum()), end + 1))
        self._leave(rows[short & ~hidden], Reason.NO_WINDOW, reached[short & ~hidden] + 1)
        rows = rows[~short]
        if self.sights.hidden[end, Direction.REVERSE]:  # it cannot tell whether something came back
            self._leave(rows, Reason.NO_WINDOW, np.full(rows.size, end))
            return
        if kind is not None and kind.lies_on_the_way:
            self._leave(rows, Reason.ON_THE_WAY, np.full(rows.size, end + 1))
            return
        window = self.windows[end]
        watched = (window.last if window else 0) - self.request_first_ns[rows].max(axis=1, initial=-1)
        ended = watched < RTO_NS
        self._leave(rows[ended], Reason.CAPTURE_ENDED, np.full(int(ended.sum()), end))
        self._settle(rows[~ended], Fate.SILENT, Reason.NONE)

    def _lose(
        self,
        rows: NDArray[np.int64],
        direction: Direction,
        receiver: NDArray[np.int64],
        atom: NDArray[np.int64],
    ) -> None:
        """Call `atom` of each row lost before its receiver, if that one watched for long enough afterwards and misses little.

        A copy that was sent later, and got there, it would have seen as well.
        """
        sender = self._senders(direction, receiver, atom)
        for source, target in np.unique(np.stack([sender, receiver], axis=1), axis=0).tolist():
            here = (sender == source) & (receiver == target)
            self._lose_between(rows[here], direction, source, target, atom[here])

    def _senders(self, direction: Direction, receiver: NDArray[np.int64], atom: NDArray[np.int64]) -> NDArray[np.int64]:
        """(rows,) the last point before each receiver that saw the atom while the receiver watched; else the last that saw it."""
        nearest, watched = np.full((2, atom.size), -1, dtype=np.int64)
        for target in np.unique(receiver).tolist():
            mine, window = np.flatnonzero(receiver == target), self.windows[target]
            before = range(target) if direction == Direction.FORWARD else range(len(self.points) - 1, target, -1)
            for point in before:
                nearest[mine[self.atoms.seen[atom[mine], point]]] = point
                if window is not None:
                    watched[mine[self.atoms.within(point, window)[0][atom[mine]] > 0]] = point
        return np.where(watched >= 0, watched, nearest)

    def _lose_between(
        self, rows: NDArray[np.int64], direction: Direction, source: int, target: int, atom: NDArray[np.int64]
    ) -> None:
        window = self.windows[target]
        if window is None:
            self._leave(rows, Reason.NO_WINDOW, np.full(rows.size, target))
            return
        counts, first = self.atoms.within(source, window)
        copies = counts[atom]
        unwatched = copies == 0
        self._leave(rows[unwatched], Reason.NO_WINDOW, np.full(int(unwatched.sum()), target))
        sent = np.where(unwatched, 0, first[atom])
        brief = ~unwatched & (window.last - sent < RTO_NS)
        if direction == Direction.REVERSE:
            brief &= ~self._asked_again(rows, target, sent)
        self._leave(rows[brief], Reason.CAPTURE_ENDED, np.full(int(brief.sum()), target))
        watched = ~unwatched & ~brief
        rows, copies = rows[watched], copies[watched]
        arrived = self._arrived(rows, direction, target, counts)
        none, doubt = self._judge(rows, target, copies_at(self.atoms, source, window, atom[watched]), arrived)
        doubtful = doubt >= (MOST_OWN_DOUBT if none < MOST_DOUBT else 0)
        self._leave(rows[doubtful], Reason.MISS_RATE, np.full(int(doubtful.sum()), target))
        kept = rows[~doubtful]
        self._settle(kept, Fate.LOST, Reason.NONE)
        self.direction[kept] = int(direction)
        self.near[kept], self.far[kept] = min(source, target), max(source, target)
        self.copies[kept] = copies[~doubtful]
        self.confidence[kept], self.hop_confidence[kept] = 1 - doubt[~doubtful], 1 - none

    def _asked_again(self, rows: NDArray[np.int64], point: int, since: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a point saw each request again so long after a time that its initiator had waited in vain for a response."""
        return np.asarray(self.atoms.last_ns[self.request.begin[rows], point] - since >= LEAST_RTO_NS)

    def _satisfied(self, point: int) -> NDArray[np.bool_]:
        """(n,) whether a datagram's response, which nothing acknowledges, was seen at a point, its request not again later."""
        replied = self.atoms.first_ns[self.response.begin, point]
        again = self._asked_again(np.arange(replied.size), point, replied)
        return np.asarray((self.columns["kind"] == ExchangeKind.DATAGRAM) & (replied != NEVER) & ~again)

    def _arrived(self, rows: NDArray[np.int64], direction: Direction, target: int, counts: NDArray[np.int32]) -> int:
        """How many exchanges on a hop beside `rows`, which may have begun to arrive, did arrive and failed all the same.

        They belong to the number of trials: of many that find a silent server, or lose their responses, some are missed by
        chance. `counts` is (a,), transmissions at the near point.
        """
        if direction == Direction.FORWARD:
            begin, failed = self.request.begin, self.fate != Fate.ANSWERED
        else:
            begin, failed = self.response.begin, self.has_response & ~self.response_acknowledged & ~self._satisfied(target)
        failed[rows] = False
        begin = begin[failed]
        return int(((counts[begin] > 0) & self.atoms.seen[begin, target]).sum())

    def _judge(self, rows: NDArray[np.int64], target: int, copies: Copies, arrived: int) -> tuple[float, NDArray[np.float64]]:
        """The doubt that a hop loses anything and about each exchange, where the capture at `target` has no copy of any.

        A conversation of which that capture has nothing at all may have been kept out of it as a whole.
        """
        silences, whole = self.silences[target], self.whole_rates[target]
        chance = silences.missed(copies, rows.size)
        conversation = self.conversation[rows]
        unseen = self.sights.sight[conversation, target] != Sight.SEEN
        chance[unseen] = np.maximum(chance[unseen], whole.all_missed(1))
        count = int(np.unique(conversation[unseen]).size)
        entirely = silences.all_missed(copies.part(~unseen)) * whole.all_missed(count) if count else 0.0
        return judge_hop(chance, arrived, max(silences.all_missed(copies), entirely))

    def _settle(self, rows: NDArray[np.int64], fate: Fate, reason: Reason) -> None:
        """Decide rows."""
        self.fate[rows] = int(fate)
        self.reason[rows] = int(reason)
        self.decided[rows] = True

    def _leave(self, rows: NDArray[np.int64], reason: Reason, decider: NDArray[Any]) -> None:
        """Leave rows undecided for a reason, and say which point's capture would decide."""
        self._settle(rows, Fate.UNDECIDED, reason)
        self.decider[rows] = decider

    def _runs_at(self, time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n, p) whether each point's capture ran at each time."""
        running = [window.covers(time) if window else time < 0 for window in self.windows]
        return np.stack(running, axis=1)

    @cached_property
    def request_first_ns(self) -> NDArray[np.int64]:
        """(n, p) when each request's first octet was first seen at each point; -1 where it was not."""
        first = self.atoms.first_ns[self.request.begin]
        return np.where(first == NEVER, -1, first)

    def table(self) -> FateTable:
        """The decided exchanges."""
        mine = {
            "fate": self.fate,
            "direction": self.direction,
            "near": self.near,
            "far": self.far,
            "last_seen": self.last_seen,
            "reason": self.reason,
            "decider": self.decider,
            "copies": self.copies,
            "confidence": self.confidence,
            "hop_confidence": self.hop_confidence,
        }
        columns = {name: mine.get(name, self.columns.get(name)) for name in FATES}
        typed = {name: np.asarray(array).astype(FATES[name].dtype) for name, array in columns.items()}
        return FateTable(typed, self.request_seen, self.response_seen)
