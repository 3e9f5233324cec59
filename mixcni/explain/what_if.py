"""A changed or added policy, held against the traffic that was observed: what would pass then, and what no longer would.

Requests are judged by who called whom on which port, as policy does. What was answered was allowed, whatever dumps say;
what failed would pass only if policy is what stopped it and the policies then let it through, in both directions.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mixcni.cluster import ClusterState
from mixcni.cluster.kubernetes import KubernetesObject, objects_of
from mixcni.cluster.kubernetes.objects import POLICY_KINDS
from mixcni.cluster.policies import Flow, Policy, PolicyEngine, read_policies
from mixcni.cluster.policies.rules import EGRESS, INGRESS
from mixcni.cluster.policy import protocol_name
from mixcni.errors import ParameterError
from mixcni.explain.present import Effect, Present, with_added
from mixcni.explain.suspects import Pair, find_unheard, last_seen_by, pairs_of, policy_port
from mixcni.localise import Localisation
from mixcni.schema import Fate, Reason
from mixcni.topology import Network
from mixcni.words import plural, printable

if TYPE_CHECKING:
    import pandas as pd

PolicyText = str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]]

WOULD_PASS: Final = "would pass"  # noqa: S105, no password: an outcome
WOULD_BE_DENIED: Final = "would be denied"
STILL_FAILS: Final = "still fails"
STILL_PASSES: Final = "still passes"
CANNOT_TELL: Final = "cannot tell"
OUTCOMES: Final = (WOULD_PASS, WOULD_BE_DENIED, CANNOT_TELL, STILL_FAILS, STILL_PASSES)
COLUMNS: Final = ["initiator", "responder", "protocol", "port", "observed", "requests", "outcome", "why", "file", "line"]
MAX_FILE: Final = 1 << 24  # octets of a policy file
MAX_SHOWN: Final = 8
GIVEN: Final = "the policy given"


@dataclass(frozen=True, slots=True)
class Row:
    """Requests of one initiator to one port of one responder that fared alike, and how they would fare."""

    pair: Pair
    failed: bool
    requests: int
    outcome: str
    effect: Effect
    arrived: Pair
    """The ends as the last point that saw the requests has them, which are others behind a translation."""

    @property
    def observed(self) -> str:
        """How they fared."""
        return "failed" if self.failed else "passed"


@dataclass(frozen=True, repr=False)
class WhatIf:
    """How the observed requests would fare under other policies; `to_frame` has a row for each kind of them."""

    rows: tuple[Row, ...]
    policies: tuple[Policy, ...]
    """The policies that were given."""
    replaced: tuple[str, ...]
    """Those of them that stand in the dumps with another content, by kind and name."""
    notes: tuple[str, ...] = ()

    def count(self, outcome: str) -> int:
        """How many requests have an outcome, one of OUTCOMES."""
        return sum(row.requests for row in self.rows if row.outcome == outcome)

    @property
    def would_pass(self) -> int:
        """Requests that failed and would pass."""
        return self.count(WOULD_PASS)

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return sum(row.requests for row in self.rows if row.failed)

    @property
    def would_be_denied(self) -> int:
        """Requests that passed and would be denied."""
        return self.count(WOULD_BE_DENIED)

    @property
    def cannot_tell(self) -> int:
        """Requests of which what is here does not tell."""
        return self.count(CANNOT_TELL)

    def passing(self, pairs: Sequence[Pair]) -> int | None:
        """How many of the failed requests of these pairs would pass; None where it cannot be told of one, or none is here."""
        own = [row for row in self.rows if row.failed and (row.pair in pairs or row.arrived in pairs)]
        if not own or any(row.outcome == CANNOT_TELL for row in own):
            return None
        return sum(row.requests for row in own if row.outcome == WOULD_PASS)

    def to_frame(self) -> "pd.DataFrame":
        """One row an initiator, responder, protocol, port and way that its requests fared."""
        import pandas as pd

        rows = [
            (str(row.pair.initiator), str(row.pair.responder), protocol_name(row.pair.protocol), row.pair.port, row.observed,
             row.requests, row.outcome, row.effect.why, row.effect.file or None, row.effect.line)
            for row in self.rows
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=COLUMNS).astype({"line": "Int64"})

    @property
    def headline(self) -> str:
        """The counts in one sentence."""
        names = ", ".join(dict.fromkeys(policy.reference for policy in self.policies)) or "no policy"
        says = f"with {names}, {self.would_pass} of {plural(self.failed, 'request')} that failed would pass"
        passed = sum(row.requests for row in self.rows) - self.failed
        says += f", {self.would_be_denied} of {passed} that passed would be denied"
        return f"{says}, and of {self.cannot_tell} it cannot be told" if self.cannot_tell else says

    def _lines(self) -> list[tuple[str, str]]:
        """Outcome and words of the rows that change or are open, the trouble first."""
        order = (WOULD_BE_DENIED, CANNOT_TELL, STILL_FAILS, WOULD_PASS, STILL_PASSES)
        lines = []
        for row in sorted(self.rows, key=lambda row: (order.index(row.outcome), -row.requests)):
            target = f"{row.pair.responder} {protocol_name(row.pair.protocol)} port {row.pair.port}"
            says = f"{plural(row.requests, 'request')} from {row.pair.initiator} to {target}"
            why = "" if row.outcome == STILL_PASSES else f": {row.effect.why}"
            lines.append((row.outcome, printable(says + why)))
        return lines

    def __repr__(self) -> str:
        lines = self._lines()
        width = max((len(outcome) for outcome, _ in lines), default=0)
        shown = [f"  {outcome:<{width}}  {says}" for outcome, says in lines[:MAX_SHOWN]]
        if len(lines) > MAX_SHOWN:
            shown.append(f"  ... and {len(lines) - MAX_SHOWN} more")
        shown.extend(f"  note: {printable(note)}" for note in self.notes)
        return "\n".join([f"WhatIf: {printable(self.headline)}", *shown])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{html.escape(outcome)}</td><td>{html.escape(says)}</td></tr>" for outcome, says in self._lines()[:MAX_SHOWN]
        )
        more = len(self.rows) - MAX_SHOWN
        notes = "".join(f"<p>{html.escape(printable(note))}</p>" for note in self.notes)
        cut = f"<p>... and {more} more</p>" if more > 0 else ""
        return f"<div><p><b>{html.escape(printable(self.headline))}</b></p><table>{cells}</table>{cut}{notes}</div>"


def what_if(
    localisation: Localisation, cluster: ClusterState, policy: PolicyText, pod_cidrs: Mapping[str, Network] | None = None
) -> WhatIf:
    """How the observed requests would fare with a policy changed or added.

    Parameters
    ----------
    policy : a file, YAML text, or mappings: policies by whose kind, namespace and name those in the dumps are replaced
    pod_cidrs : pod networks of nodes that Cilium does not manage, by node

    Raises
    ------
    ParameterError : no policy is in it, or something that is none
    """
    given = read_policies(_objects(policy), cluster.kubernetes)
    engine = PolicyEngine(cluster, unmanaged=pod_cidrs)
    present = Present(cluster, engine)
    names = {each.reference for each in given}
    replaced = tuple(dict.fromkeys(each.reference for each in engine.policies if each.reference in names))
    kept = [each for each in engine.policies if each.reference not in names]
    changed = PolicyEngine(cluster, policies=[*kept, *given], unmanaged=pod_cidrs)
    added = PolicyEngine(cluster, policies=given, unmanaged=pod_cidrs)
    engines = (engine, changed if replaced else None, added)
    rows = []
    for pair, arrived, failed, count in _observed(localisation):
        seen = {EGRESS: pair, INGRESS: arrived}  # by the node of the end that each is enforced on
        flows = {way: engine.flow(p.initiator, p.responder, p.protocol, policy_port(p)) for way, p in seen.items()}
        now = {way: present.effect(way, flow) for way, flow in flows.items()}
        then = {way: _then(way, flow, now[way], failed, engines) for way, flow in flows.items()}
        outcome, effect = _outcome(failed, now, then)
        rows.append(Row(pair, failed, count, outcome, effect, arrived))
    notes = []
    if replaced:
        which = ", ".join(replaced)
        notes.append(
            f"{which} is changed: judged by the policies as they are written, since policy maps have the old one in them"
        )
    return WhatIf(tuple(rows), given, replaced, tuple(notes))


def _then(
    direction: str,
    flow: Flow,
    now: Effect,
    failed: bool,
    engines: tuple[PolicyEngine, PolicyEngine | None, PolicyEngine],
) -> Effect:
    """What becomes of a flow in one direction under the other policies.

    engines : of the policies as they are written, as they are changed (None: none is), and of those given alone
    """
    written, changed, added = engines
    if changed is not None:
        found = changed.judge_direction(direction, flow)
        if not failed and found.allowed is False and written.judge_direction(direction, flow).allowed is False:
            why = "it passed, and the policies in the dumps would have denied it: they are not all there are"
            return Effect(None, why, found.file, found.line)
        return Effect(found.allowed, found.why, found.file, found.line)
    if not failed and now.allowed is not True:
        # It passed, so it was allowed, by a rule if the endpoint is isolated: the dumps are of another time or do not tell.
        now = Effect(True, "it passed", enforced=now.enforced)
    return with_added(now, added, direction, flow)


def _outcome(failed: bool, now: Mapping[str, Effect], then: Mapping[str, Effect]) -> tuple[str, Effect]:
    """The outcome of requests, and what decides it."""
    denied = next((effect for effect in then.values() if effect.allowed is False), None)
    open_ = next((effect for effect in then.values() if effect.allowed is None), None)
    decisive = max(then.values(), key=lambda effect: bool(effect.file))
    if not failed:
        if denied is not None:
            return WOULD_BE_DENIED, denied
        return CANNOT_TELL if open_ else STILL_PASSES, open_ or decisive
    if denied is not None:
        return STILL_FAILS, denied
    if open_ is not None:
        return CANNOT_TELL, open_
    if any(effect.allowed is False for effect in now.values()):
        # What lets it through is what stopped it before: the direction that was denied.
        stopped = next(way for way, effect in now.items() if effect.allowed is False)
        return WOULD_PASS, then[stopped]
    if any(effect.allowed is None for effect in now.values()):
        why = "policy would let it through, and no dump tells whether policy is what stopped it"
        return CANNOT_TELL, Effect(None, why)
    return STILL_FAILS, Effect(True, "policy lets it through as it is: something else stops it")


def _observed(localisation: Localisation) -> list[tuple[Pair, Pair, bool, int]]:
    """Who called whom, as the first and as the last point saw it, whether that failed, and how many requests.

    A pair whose requests fared both ways has two rows.

    What the responder refused or left without an answer had reached it, and so had passed.
    """
    fates = localisation.fates
    by_responder = (fates["fate"] == Fate.REFUSED) & (fates["reason"] == Reason.BY_RESPONDER)
    passed = (fates["fate"] == Fate.ANSWERED) | (fates["fate"] == Fate.SILENT) | by_responder
    for suspect in find_unheard(localisation):
        passed[suspect.rows] = False
    found = [
        (pair, arrived, failed, int(own.size))
        for failed in (True, False)
        for pair, rows in pairs_of(localisation, np.flatnonzero(~passed if failed else passed)).items()
        for arrived, own in pairs_of(localisation, rows, last_seen_by(localisation, rows)).items()
    ]
    return sorted(found, key=lambda each: (not each[2], -each[3]))


def _objects(policy: PolicyText) -> list[KubernetesObject]:
    """The policies that a caller gave.

    Raises
    ------
    ParameterError : a file cannot be read, or something in it is no policy
    """
    name = GIVEN
    if isinstance(policy, Path) or (isinstance(policy, str) and "\n" not in policy and ":" not in policy):
        name = str(policy)
        try:
            with Path(policy).open("rb") as stream:
                policy = stream.read(MAX_FILE + 1).decode("utf-8", "replace")
        except OSError as error:
            raise ParameterError(f"policy: {name} cannot be read: {error.strerror or error}") from error
        if len(policy) > MAX_FILE:
            raise ParameterError(f"policy: {name} has more than {MAX_FILE} octets")
    manifests: Any = [policy] if isinstance(policy, Mapping) else policy
    if not isinstance(manifests, str) and not all(isinstance(each, Mapping) for each in manifests):
        raise ParameterError("policy: wanted a file, YAML text or mappings")
    objects, odd = objects_of(manifests, name)
    if odd:
        raise ParameterError(f"policy: {name}, {odd[0]}")
    others = [item for item in objects if item.kind not in POLICY_KINDS]
    if others or not objects:
        found = others[0].reference if others else "none"
        raise ParameterError(f"policy: wanted {', '.join(POLICY_KINDS)}, found {found}")
    return objects
