"""Each exchange's fate: its request's octets followed forward, then its response's octets back (DESIGN.md section 4).

The rules run over all exchanges at once, one column operation a rule; a rule decides only what no rule before it has decided.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.localise.atoms import Atoms, Intervals, all_seen, first_unseen
from mixcni.localise.missrate import MissRate
from mixcni.localise.refusals import Refusals
from mixcni.localise.sight import Sights
from mixcni.schema import FATES, Direction, Fate, Reason, Sight
from mixcni.tables import Table
from mixcni.topology import CapturePoint

RTO_NS = 1_000_000_000  # RFC 6298 section 2: the initial, and the least, retransmission timeout
MISSED_BY_CHANCE = 0.05  # a loss is not called one while the capture may have missed it with this chance


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
    """

    def __init__(
        self,
        points: Sequence[CapturePoint],
        columns: dict[str, NDArray[Any]],
        atoms: Atoms,
        request: Intervals,
        response: Intervals,
        sights: Sights,
        rates: Sequence[MissRate],
        acknowledged: NDArray[np.int64],
    ) -> None:
        self.points, self.columns, self.atoms = points, columns, atoms
        self.request, self.response, self.sights, self.rates = request, response, sights, rates
        self.windows = sights.windows
        count = columns["conversation"].size
        conversation = columns["conversation"].astype(np.int64)
        self.sight = sights.sight[conversation]
        self.seen_conversation = self.sight == Sight.SEEN
        self.watching = self.sight != Sight.UNOBSERVABLE
        has_request = columns["request_end"] > columns["request_start"]
        self.has_response = columns["response_end"] > columns["response_start"]
        self.request_seen = all_seen(request, atoms.counts) & (has_request[:, None] | self.seen_conversation)
        self.response_seen = all_seen(response, atoms.counts) & self.has_response[:, None]
        self.request_acknowledged = has_request & (acknowledged[2 * conversation] >= columns["request_end"])
        self.response_acknowledged = self.has_response & (acknowledged[2 * conversation + 1] > columns["response_start"])
        self.conversation = conversation
        self.fate = np.full(count, int(Fate.UNDECIDED), dtype=np.uint8)
        self.decided = np.zeros(count, dtype=np.bool_)
        self.direction = np.full(count, -1, dtype=np.int8)
        self.near, self.far, self.last_seen, self.decider = (np.full(count, -1, dtype=np.int16) for _ in range(4))
        self.reason = np.zeros(count, dtype=np.uint8)
        self.copies = np.zeros(count, dtype=np.int64)
        self.confidence = np.full(count, np.nan)
        self.positions = np.arange(len(points))

    def _first(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(n,) lowest position where mask holds, or the number of points."""
        return np.asarray(np.where(mask, self.positions, len(self.points)).min(axis=1, initial=len(self.points)))

    def _last(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(n,) highest position where mask holds, or -1."""
        return np.asarray(np.where(mask, self.positions, -1).max(axis=1, initial=-1))

    def answered(self) -> None:
        """The response's first octet reached the first point that saw the conversation, or was acknowledged."""
        first = self._first(self.seen_conversation)
        rows = np.arange(first.size)
        reached = self.response_seen[rows, np.minimum(first, len(self.points) - 1)]
        done = self.has_response & (reached | self.response_acknowledged)
        self.fate[done] = int(Fate.ANSWERED)
        self.last_seen[done] = first[done]
        self.decided |= done

    def lost_response(self) -> None:
        """The response was seen, and not at the next point towards the initiator."""
        rows = np.flatnonzero(~self.decided & self.has_response)
        nearest = self._first(self.response_seen)[rows]
        partly = nearest >= len(self.points)  # octets of the response, but not its first one
        self._leave(rows[partly], Reason.NOT_SEEN_WHOLE, np.full(int(partly.sum()), -1))
        rows, nearest = rows[~partly], nearest[~partly]
        towards = self._last(self.watching[rows] & (self.positions < nearest[:, None]))
        self.last_seen[rows] = nearest
        unseen = towards < 0
        self._leave(rows[unseen], Reason.NO_WINDOW, nearest[unseen] - 1)
        rows, nearest, towards = rows[~unseen], nearest[~unseen], towards[~unseen]
        self._lose(rows, Direction.REVERSE, nearest, towards, self.response.begin[rows])

    def refused(self, refusals: Refusals) -> None:
        """A reset or an ICMP error came back for a request that has no response."""
        first_request = self._request_first_ns()
        for times, reason in ((refusals.icmp_ns, Reason.BY_ICMP), (refusals.reset_ns, Reason.BY_RESET)):
            at = times[self.conversation]
            seen = (at >= 0) & (at >= first_request)
            rows = np.flatnonzero(~self.decided & ~self.has_response & seen.any(axis=1))
            farthest = self._last(seen)[rows]
            beyond = self._first(self.watching[rows] & (self.positions > farthest[:, None]))
            by_responder = beyond >= len(self.points)
            if reason == Reason.BY_ICMP:
                by_responder |= refusals.icmp_by_responder[self.conversation[rows]]
            self.fate[rows] = int(Fate.REFUSED)
            self.last_seen[rows] = self._last(self.request_seen)[rows]
            self.reason[rows] = np.where(by_responder, int(Reason.BY_RESPONDER), int(reason))
            on_way = rows[~by_responder]
            self.direction[on_way] = int(Direction.FORWARD)
            self.near[on_way], self.far[on_way] = farthest[~by_responder], beyond[~by_responder]
            self.decided[rows] = True

    def lost_request(self) -> None:
        """No response; the request was seen at a point and not at the next, and nobody acknowledged it."""
        rows = np.flatnonzero(~self.decided & ~self.request_acknowledged)
        farthest = self._last(self.request_seen)[rows]
        partly = farthest < 0
        self._leave(rows[partly], Reason.NOT_SEEN_WHOLE, np.full(int(partly.sum()), -1))
        rows, farthest = rows[~partly], farthest[~partly]
        beyond = self._first(self.watching[rows] & (self.positions > farthest[:, None]))
        self.last_seen[rows] = farthest
        hidden = beyond < len(self.points)
        rows, farthest, beyond = rows[hidden], farthest[hidden], beyond[hidden]
        missing = first_unseen(self.request, self.atoms.counts)[rows, beyond]
        self._lose(rows, Direction.FORWARD, farthest, beyond, missing)

    def silent(self) -> None:
        """The request arrived at the last point, or was acknowledged, and nothing came back."""
        rows = np.flatnonzero(~self.decided)
        end = len(self.points) - 1
        arrived = self._last(self.watching[rows])
        self.last_seen[rows] = self._last(self.request_seen)[rows]
        short = arrived < end
        self._leave(rows[short], Reason.NO_WINDOW, arrived[short] + 1)
        rows = rows[~short]
        kind = self.points[end].kind
        if kind is not None and kind.lies_on_the_way:
            self._leave(rows, Reason.ON_THE_WAY, np.full(rows.size, end + 1))
            return
        watched = self._watched_ns(rows, np.full(rows.size, end), self.request.begin[rows])
        ended = watched < RTO_NS
        self._leave(rows[ended], Reason.CAPTURE_ENDED, np.full(int(ended.sum()), end))
        rows = rows[~ended]
        self.fate[rows] = int(Fate.SILENT)
        self.decided[rows] = True

    def _lose(
        self,
        rows: NDArray[np.int64],
        direction: Direction,
        sender: NDArray[np.int64],
        receiver: NDArray[np.int64],
        atom: NDArray[np.int64],
    ) -> None:
        """Call `atom` of each row lost between two points, if the receiving one watched for long enough and misses little."""
        copies = np.zeros(rows.size, dtype=np.int64)
        chance = np.ones(rows.size)
        for source in np.unique(sender):
            for target in np.unique(receiver):
                here = (sender == source) & (receiver == target)
                window = self.windows[target]
                if window is None or not here.any():
                    continue
                copies[here] = self.atoms.within(int(source), window)[atom[here]]
                for number in np.unique(copies[here]):
                    chance[here & (copies == number)] = self.rates[target].all_missed(int(number))
        watched = self._watched_ns(rows, receiver, atom, sender)
        unwatched = copies == 0
        brief = ~unwatched & (copies < 2) & (watched < RTO_NS)
        doubtful = ~unwatched & ~brief & (chance > MISSED_BY_CHANCE)
        self._leave(rows[unwatched], Reason.NO_WINDOW, receiver[unwatched])
        self._leave(rows[brief], Reason.CAPTURE_ENDED, receiver[brief])
        self._leave(rows[doubtful], Reason.MISS_RATE, receiver[doubtful])
        lost = ~unwatched & ~brief & ~doubtful
        kept = rows[lost]
        self.fate[kept] = int(Fate.LOST)
        self.direction[kept] = int(direction)
        self.near[kept] = np.minimum(sender, receiver)[lost]
        self.far[kept] = np.maximum(sender, receiver)[lost]
        self.copies[kept] = copies[lost]
        self.confidence[kept] = 1 - chance[lost]
        self.decided[kept] = True

    def _leave(self, rows: NDArray[np.int64], reason: Reason, decider: NDArray[Any]) -> None:
        """Leave rows undecided for a reason, and say which point's capture would decide."""
        self.reason[rows] = int(reason)
        self.decider[rows] = decider
        self.decided[rows] = True

    def _watched_ns(
        self,
        rows: NDArray[np.int64],
        point: NDArray[np.int64],
        atom: NDArray[np.int64],
        sender: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """(rows,) ns for which both captures still ran after the atom's first transmission at its sender."""
        if not rows.size:
            return np.zeros(0, dtype=np.int64)
        at = point if sender is None else sender
        first = self.atoms.first_ns[atom, at]
        ends = np.array([window[1] if window else -1 for window in self.windows], dtype=np.int64)
        return np.asarray(np.minimum(ends[point], ends[at]) - np.where(first == np.iinfo(np.int64).max, 0, first))

    def _request_first_ns(self) -> NDArray[np.int64]:
        """(n, p) when each request's first octet was first seen at each point; -1 where it was not."""
        size = self.atoms.stream.size
        if not size:
            return np.full((self.conversation.size, len(self.points)), -1, dtype=np.int64)
        first = self.atoms.first_ns[np.minimum(self.request.begin, size - 1)]
        return np.where(first == np.iinfo(np.int64).max, -1, first)

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
        }
        columns = {name: mine.get(name, self.columns.get(name)) for name in FATES}
        typed = {name: np.asarray(array).astype(FATES[name].dtype) for name, array in columns.items()}
        return FateTable(typed, self.request_seen, self.response_seen)
