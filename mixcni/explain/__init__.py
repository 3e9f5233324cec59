"""Stage 7, fates and cluster state -> findings: causes with evidence for and against, and remedies.

One module a cause. A cause that the dumps do not confirm is offered as possible, with what to collect; it is never named.
"""

from collections.abc import Callable, Iterator, Sequence

from mixcni.explain.capture_missed import examine_captures
from mixcni.explain.datapath_drop import examine as examine_datapath_drop
from mixcni.explain.far_end import examine_far_end
from mixcni.explain.findings import Evidence, Finding, Remedy
from mixcni.explain.icmp_rejected import examine as examine_icmp_rejected
from mixcni.explain.icmp_rejected import examine_beyond as examine_icmp_beyond
from mixcni.explain.identity_stale import examine as examine_identity_stale
from mixcni.explain.middlebox_reset import examine as examine_middlebox_reset
from mixcni.explain.middlebox_reset import examine_beyond as examine_reset_beyond
from mixcni.explain.neighbour_unresolved import examine as examine_neighbour_unresolved
from mixcni.explain.no_backend import examine as examine_no_backend
from mixcni.explain.no_egress_gateway import examine as examine_no_egress_gateway
from mixcni.explain.not_managed import examine as examine_not_managed
from mixcni.explain.path_mtu import examine as examine_path_mtu
from mixcni.explain.pins import Pin, Pins, pin_events
from mixcni.explain.policy_denied_egress import examine as examine_policy_denied_egress
from mixcni.explain.policy_denied_ingress import examine as examine_policy_denied_ingress
from mixcni.explain.random_loss import examine as examine_random_loss
from mixcni.explain.random_loss import examine_hops
from mixcni.explain.response_untranslated import examine_responses
from mixcni.explain.stale_conntrack import examine as examine_stale_conntrack
from mixcni.explain.suspects import Facts, Suspect, find_suspects, find_unheard
from mixcni.explain.told import add_what_was_told
from mixcni.explain.what_if import WhatIf, what_if

__all__ = ["Evidence", "Facts", "Finding", "Pin", "Pins", "Remedy", "WhatIf", "explain_losses", "pin_events", "what_if"]

Examiner = Callable[[Suspect, Facts], Finding | None]

# Of equal confidence, the one that goes deeper stands first.
_EXAMINERS = (
    examine_identity_stale,
    examine_policy_denied_ingress,
    examine_policy_denied_egress,
    examine_neighbour_unresolved,
    examine_path_mtu,
    examine_no_backend,
    examine_no_egress_gateway,
    examine_stale_conntrack,
    examine_icmp_rejected,
    examine_middlebox_reset,
    examine_random_loss,
)
_BEFORE_THE_POD = (examine_identity_stale, examine_policy_denied_ingress)
_STATEMENTS = (examine_icmp_beyond, examine_reset_beyond)


def explain_losses(facts: Facts) -> tuple[Finding, ...]:
    """The findings, the surest first: a cause for each loss where one is found, and what the responder did itself."""
    pins = pin_events(facts.localisation, facts.cluster)
    suspects = find_suspects(facts.localisation)
    findings = [finding for suspect in suspects for finding in _examined(suspect, facts, pins, _EXAMINERS)]
    unheard = [
        finding
        for suspect in find_unheard(facts.localisation)
        for finding in _examined(suspect, facts, pins, _BEFORE_THE_POD)
        if finding.is_named
    ]
    findings.extend(unheard)
    findings.extend(dict.fromkeys(finding for suspect in suspects for finding in examine_not_managed(suspect, facts)))
    findings.extend(finding for state in _STATEMENTS if (finding := state(facts)) is not None)
    findings.extend(examine_far_end(facts, is_doubtful=bool(unheard)))
    findings.extend(examine_responses(facts))
    findings.extend(examine_hops(facts))
    findings.extend(examine_captures(facts))
    return tuple(sorted(findings, key=lambda finding: -finding.confidence))


def _examined(suspect: Suspect, facts: Facts, pins: Pins, examiners: Sequence[Examiner]) -> Iterator[Finding]:
    """What each cause and the events make of one suspect."""
    found = (examine(suspect, facts) for examine in examiners)
    yield from (add_what_was_told(finding, suspect, facts, pins) for finding in found if finding is not None)
    if (drop := examine_datapath_drop(suspect, facts, pins)) is not None:
        yield drop
