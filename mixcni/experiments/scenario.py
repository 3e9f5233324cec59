"""Cases as experiments: who called whom, under which policy, and whether it failed.

What case.toml says of the scenario counts; what it does not say is taken from the dumps: an address in a pod network of a node
that Cilium does not manage is a kubenet pod's, one that an endpoint list has is a Cilium pod's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.case import Case
from mixcni.report import Report
from mixcni.schema import Direction, Fate
from mixcni.topology import Address, in_networks

FACTORS: Final = ("initiator", "responder", "network_policy")
KUBENET, CILIUM = "kubenet", "cilium"
RESERVED: Final = "reserved:"

FAILS, WORKS, UNDECIDED = "fails", "works", "undecided"


@dataclass(frozen=True, slots=True)
class PointCount:
    """Requests and responses that a point saw of the conversations that concern the path."""

    point: str
    requests: int
    responses: int


@dataclass(frozen=True, slots=True)
class Experiment:
    """One row of the table.

    name : the case; callers : who called whom in it, where the row is about some of its conversations only
    factors : what is known of FACTORS
    inferred : those of them that case.toml does not say
    outcome : `fails`, `works` or `undecided`; failed, decided : conversations
    where : the hop and direction of the main loss, in words
    """

    name: str
    callers: str
    factors: Mapping[str, str | bool]
    inferred: tuple[str, ...]
    outcome: str
    failed: int
    decided: int
    where: str
    points: tuple[PointCount, ...]
    notes: tuple[str, ...] = ()

    @property
    def lacks(self) -> tuple[str, ...]:
        """Factors of which nothing is known."""
        return tuple(factor for factor in FACTORS if factor not in self.factors)


def experiments_of(name: str, case: Case, report: Report) -> Iterator[Experiment]:
    """The case itself as an experiment, then those of its other conversations that are experiments of their own.

    Parameters
    ----------
    name : what to call it
    report : of `case`
    """
    reader = _Reader(case, report)
    yield reader.main(name)
    yield from reader.others(name)


class _Reader:
    """Reads a diagnosed case as experiments."""

    def __init__(self, case: Case, report: Report) -> None:
        self.case, self.report = case, report
        localisation = report.localisation
        self.table = localisation.alignment.conversations
        fates = localisation.fates
        self.crossing = localisation.crossing

        def with_any(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
            """(c,) whether a conversation has a chosen exchange."""
            out = np.zeros(len(self.table), dtype=np.bool_)
            out[fates["conversation"][chosen]] = True
            return out

        self.failed = with_any(np.isin(fates["fate"], (Fate.LOST, Fate.REFUSED)) & (fates["near"] >= 0))
        self.answered = with_any(fates["fate"] == Fate.ANSWERED) & ~with_any(fates["fate"] != Fate.ANSWERED)

    def main(self, name: str) -> Experiment:
        """The conversations that concern the path."""
        told = dict(self.report.scenario)
        factors, notes = self._factors(np.flatnonzero(self.crossing)), []
        inferred = tuple(factor for factor in FACTORS if factor in factors and factor not in told)
        for factor, value in told.items():
            if factors.get(factor, value) != value:
                notes.append(f"{name}: case.toml says {factor} = {_shown(value)}, and the dumps say {_shown(factors[factor])}")
        outcome = {"loss": FAILS, "no_loss": WORKS}.get(self.report.verdict, UNDECIDED)
        return Experiment(
            name=name,
            callers="",
            factors={**factors, **told},
            inferred=inferred,
            outcome=outcome,
            failed=int((self.failed & self.crossing).sum()),
            decided=int(((self.failed | self.answered) & self.crossing).sum()),
            where=self._where(),
            points=tuple(PointCount(point.name, point.requests, point.responses) for point in self.report.summary.points),
            notes=tuple(notes),
        )

    def others(self, name: str) -> Iterator[Experiment]:
        """Conversations of pods that do not concern the path, by callers: what is known of their ends must all be known."""
        rows = np.flatnonzero(~self.crossing & (self.failed | self.answered))
        groups: dict[tuple[int, int, int], list[int]] = {}
        for row in rows.tolist():
            key = (int(self.table["initiator"][row]), int(self.table["responder"][row]), int(self.table["responder_port"][row]))
            groups.setdefault(key, []).append(row)
        for (initiator, responder, port), members in groups.items():
            factors = self._factors(np.array(members))
            if len(factors) < len(FACTORS):
                continue
            failed = int(self.failed[members].sum())
            yield Experiment(
                name=name,
                callers=f"{self.table.book.text(initiator)} → {self.table.book.text(responder)}:{port}",
                factors=factors,
                inferred=FACTORS,
                outcome=FAILS if failed else WORKS,
                failed=failed,
                decided=len(members),
                where="",
                points=(),
            )

    def _factors(self, rows: NDArray[np.int64]) -> dict[str, str | bool]:
        """What the dumps say of these conversations, where they say the same of all."""
        found: dict[str, str | bool] = {}
        ends: dict[str, set[Address]] = {}
        for end in ("initiator", "responder"):
            ends[end] = {self.table.book.address(code) for code in np.unique(self.table[end][rows]).tolist()}
            kinds = {self._kind_of(address) for address in ends[end]}
            if len(kinds) == 1 and None not in kinds:
                found[end] = str(next(iter(kinds)))
        enforced = {self._is_protected(address) for address in ends["responder"]}
        if enforced == {None}:  # no Cilium pod is called: by the calling one, as the experiment's tables have it
            enforced = {self._is_protected(address) for address in ends["initiator"]}
        if len(enforced) == 1 and None not in enforced:
            found["network_policy"] = enforced == {True}
        return found

    def _kind_of(self, address: Address) -> str | None:
        if in_networks(address, list(self.case.pod_cidrs.values())):
            return KUBENET
        endpoint = self.report.cluster.endpoint_of(address)
        if endpoint is None or any(label.startswith(RESERVED) for label in endpoint.labels):
            return None
        return CILIUM

    def _is_protected(self, address: Address) -> bool | None:
        endpoint = self.report.cluster.endpoint_of(address)
        return None if endpoint is None else endpoint.ingress_enforced

    def _where(self) -> str:
        losses = self.report.localisation.losses
        if not losses:
            return ""
        points = self.report.localisation.points
        way = "request" if losses[0].direction == Direction.FORWARD else "response"
        return f"{points[losses[0].near].name}→{points[losses[0].far].name}, {way}"


def _shown(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
