"""What policies do with a flow: the verdict of each direction, the rule that decides it, and the way to it.

A direction is decided on the end that it is enforced on: egress on the initiator, ingress on the responder. There a deny
rule that matches wins; else a rule that matches allows; else whom a policy selects is denied by default, and whom none selects
is not. Where an end may be more than one thing to Cilium, all of them are tried, and a verdict stands if they agree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from mixcni.cluster.policies.answer import YES, Answer, all_of, unknown
from mixcni.cluster.policies.party import Flow, Guise, Party
from mixcni.cluster.policies.rules import INGRESS, EndpointPeer, Policy, Rule

MODES: Final = ("default", "always", "never")


class Options(NamedTuple):
    """What of an agent's configuration policy depends on."""

    mode: str = "default"
    """policyEnforcementMode, one of MODES."""
    host_firewall: bool | None = None
    """Whether host policies are enforced on nodes; None: no dump tells."""


@dataclass(frozen=True, slots=True)
class DirectionVerdict:
    """What becomes of a connection in one direction."""

    direction: str
    allowed: bool | None
    """None: what is here does not decide it."""
    why: str
    policy: Policy | None = None
    rule: Rule | None = None
    """What decided it; None where the default did, or nothing could."""
    steps: tuple[str, ...] = ()
    """Each policy that was looked at, and what came of it."""

    @property
    def file(self) -> str:
        """Where the rule or policy that decided it stands; "" where none did."""
        return self.policy.file if self.policy is not None else ""

    @property
    def line(self) -> int | None:
        """Its line."""
        return self.rule.line if self.rule is not None else self.policy.line if self.policy is not None else None

    @property
    def word(self) -> str:
        """ALLOWED, DENIED or UNDECIDED."""
        return {True: "ALLOWED", False: "DENIED", None: "UNDECIDED"}[self.allowed]


@dataclass(frozen=True, slots=True)
class FlowVerdict:
    """What becomes of a connection: it passes if both ends let it."""

    flow: Flow
    egress: DirectionVerdict
    ingress: DirectionVerdict

    @property
    def allowed(self) -> bool | None:
        """Whether it passes; None: not decided."""
        both = (self.egress.allowed, self.ingress.allowed)
        return False if False in both else None if None in both else True

    def __str__(self) -> str:
        return walkthrough(self)


def judge(
    policies: Sequence[Policy], direction: str, subject: Party, other: Party, flow: Flow, options: Options | None = None
) -> DirectionVerdict:
    """The verdict of one direction.

    Parameters
    ----------
    subject : the end on which policy is enforced: the initiator at egress, the responder at ingress
    other : the other end, as the subject's node sees it
    options : of the agents
    """
    options = options or Options()
    if subject.is_managed is False:
        return DirectionVerdict(direction, True, f"{subject.says}: Cilium enforces no policy on it")
    if options.mode == "never":
        return DirectionVerdict(direction, True, "policy enforcement is off (policyEnforcementMode never)")
    found = [
        _of_host(_Judge(policies, direction, mine, theirs, flow, options).verdict(), mine, options)
        for mine in subject.guises
        for theirs in other.guises
    ]
    first = found[0]
    if all(verdict.allowed == first.allowed for verdict in found):
        if subject.is_managed is None and first.allowed is False:
            why = f"denied if Cilium manages {subject.says}, which no dump tells: {first.why}"
            return DirectionVerdict(direction, None, why, first.policy, first.rule, first.steps)
        return first
    doubt = next((verdict for verdict in found if verdict.allowed is None), None)
    if doubt is not None:
        return doubt
    says = "; ".join(
        dict.fromkeys(f"{verdict.word.lower()} if the other end is {guise.says}"
                      for verdict, guise in zip(found, [o for _ in subject.guises for o in other.guises], strict=True))
    )  # fmt: skip
    return DirectionVerdict(direction, None, says, steps=tuple(dict.fromkeys(step for each in found for step in each.steps)))


def _of_host(verdict: DirectionVerdict, subject: Guise, options: Options) -> DirectionVerdict:
    """A denial on a node holds if the host firewall is on."""
    if not subject.is_node or verdict.allowed is not False or options.host_firewall:
        return verdict
    if options.host_firewall is False:
        return replace(verdict, allowed=True, why=f"the host firewall is off; were it on: {verdict.why}", policy=None, rule=None)
    return replace(verdict, allowed=None, why=f"{verdict.why}, if the host firewall is on, which no dump shows")


class _Judge:
    """Decides one direction for one guise of each end."""

    def __init__(
        self, policies: Sequence[Policy], direction: str, subject: Guise, other: Guise, flow: Flow, options: Options
    ) -> None:
        self.policies = policies
        self.direction = direction
        self.subject = subject
        self.other = other
        self.flow = flow
        self.always = options.mode == "always" and not subject.is_node
        self.steps: list[str] = []
        self.selected: list[tuple[Policy, Answer]] = []

    def verdict(self) -> DirectionVerdict:
        for policy in self.policies:
            answer = policy.selects(self.subject)
            if answer.holds is not False:
                self.selected.append((policy, answer))
        denying = list(self._matching(deny=True))
        if (hit := _sure(denying)) is not None:
            return self._by_rule(False, *hit)
        doubt = _doubtful(denying)
        if self.direction == INGRESS and self.other.is_local_host and doubt is None:
            return self._decided(True, f"{self.other.says}: Cilium lets a node reach its own endpoints")
        allowing = list(self._matching(deny=False))
        if (hit := _sure(allowing)) is not None and doubt is None:
            return self._by_rule(True, *hit)
        doubt = doubt or _doubtful(allowing)
        isolating = [(policy, answer) for policy, answer in self.selected if self.direction in policy.default_deny]
        sure = [policy for policy, answer in isolating if answer.holds]
        if doubt is not None and (sure or isolating or self.always or doubt[1].deny):
            policy, rule, answer = doubt
            why = f"undecidable: {answer.why} ({self._rule_words(policy, rule)})"
            return DirectionVerdict(self.direction, None, why, policy, rule, tuple(self.steps))
        if sure:
            words = ", ".join(dict.fromkeys(f"{policy.reference} ({policy.place})" for policy in sure))
            why = f"{self.subject.says} is selected by {words}, and nothing allows {self._what()}: denied by default"
            odd = next((text for policy in sure for text in policy.doubts), None)
            if odd is not None:
                why = f"undecidable: {odd} ({sure[0].place})"
            return DirectionVerdict(self.direction, False if odd is None else None, why, sure[0], None, tuple(self.steps))
        if isolating:
            policy, answer = isolating[0]
            why = f"undecidable: {answer.why}, so whether {policy.reference} ({policy.place}) selects it is open"
            return DirectionVerdict(self.direction, None, why, policy, None, tuple(self.steps))
        if self.always:
            return self._decided(False, "policyEnforcementMode is always, and nothing allows it")
        return self._decided(True, f"no policy isolates {self.subject.says} at {self.direction}")

    def _matching(self, *, deny: bool) -> Iterator[tuple[Policy, Rule, Answer]]:
        """The rules of one kind that match or may match, each with the answer."""
        ports_of = self.flow.responder
        for policy, selects in self.selected:
            for rule in policy.rules:
                if rule.direction != self.direction or rule.deny != deny:
                    continue
                peer = rule.peer_matches(self.other, self.subject)
                port = rule.port_matches(self.flow.protocol, self.flow.port, ports_of)
                answer = all_of((peer, port, YES if deny else self._required(rule, peer)))
                if answer.holds and not deny and rule.proxied:
                    answer = unknown(f"{rule.proxied} cannot be decided offline")
                answer = all_of((answer, selects))
                self.steps.append(self._step(policy, rule, peer, port, answer))
                if answer.holds is not False:
                    yield policy, rule, answer

    def _required(self, rule: Rule, peer: Answer) -> Answer:
        """Whether what a rule allows meets the conditions that other policies set (fromRequires, toRequires)."""
        if peer.holds is False:
            return YES
        met = all_of(policy.requirements_met(self.direction, self.other) for policy, selects in self.selected if selects.holds)
        if met.holds is not False:
            return met
        by_labels = rule.peers is not None and all(isinstance(one, EndpointPeer) for one in rule.peers)
        return met if by_labels else unknown("fromRequires and toRequires limit this rule by Cilium's documentation alone")

    def _by_rule(self, allowed: bool, policy: Policy, rule: Rule) -> DirectionVerdict:
        verb = "allows" if allowed else "denies"
        why = f"{self._rule_words(policy, rule)} {verb} {self._what()}"
        return DirectionVerdict(self.direction, allowed, why, policy, rule, tuple(self.steps))

    def _decided(self, allowed: bool, why: str) -> DirectionVerdict:
        return DirectionVerdict(self.direction, allowed, why, steps=tuple(self.steps))

    def _what(self) -> str:
        port = self.flow.protocol if self.flow.port is None else f"{self.flow.port}/{self.flow.protocol}"
        return f"{port} from {self.other.says}" if self.direction == INGRESS else f"{port} to {self.other.says}"

    def _rule_words(self, policy: Policy, rule: Rule) -> str:
        return f"{policy.reference}, {rule.field}[{rule.index}] ({policy.file}, line {rule.line})"

    def _step(self, policy: Policy, rule: Rule, peer: Answer, port: Answer, answer: Answer) -> str:
        verb = "denies" if rule.deny else "allows"
        if answer.holds:
            came = "matches"
        elif answer.holds is None:
            came = f"undecided: {answer.why}"
        else:
            missed = "the peer" if peer.holds is False else "the port" if port.holds is False else "what is required of it"
            came = f"{missed} does not match"
        return f"{self._rule_words(policy, rule)} {verb} {rule.says}: {came}"


def _sure(found: Sequence[tuple[Policy, Rule, Answer]]) -> tuple[Policy, Rule] | None:
    return next(((policy, rule) for policy, rule, answer in found if answer.holds), None)


def _doubtful(found: Sequence[tuple[Policy, Rule, Answer]]) -> tuple[Policy, Rule, Answer] | None:
    return next((each for each in found if each[2].holds is None), None)


def walkthrough(verdict: FlowVerdict) -> str:
    """The way to a verdict, a line a step: each direction, each rule that was tried, and what came of it."""
    flow = verdict.flow
    port = flow.protocol if flow.port is None else f"{flow.port}/{flow.protocol}"
    lines = [f"{flow.initiator.address} ({flow.initiator.says}) to {flow.responder.address} ({flow.responder.says}), {port}"]
    for each in (verdict.egress, verdict.ingress):
        lines.append(f"  {each.direction:<8} {each.word}: {each.why}")
        lines.extend(f"           - {step}" for step in each.steps)
    word = {True: "allowed", False: "denied", None: "undecided"}[verdict.allowed]
    return "\n".join([*lines, f"  verdict  {word}"])
