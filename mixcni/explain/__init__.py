"""Stage 7, fates and cluster state -> findings: causes with evidence for and against, and remedies.

One module a cause. A cause that the dumps do not confirm is offered as possible, with what to collect; it is never named.
"""

from mixcni.explain.far_end import examine_far_end
from mixcni.explain.findings import Evidence, Finding, Remedy
from mixcni.explain.policy_denied_ingress import examine as examine_policy_denied_ingress
from mixcni.explain.suspects import Facts, find_suspects

__all__ = ["Evidence", "Facts", "Finding", "Remedy", "explain_losses"]


def explain_losses(facts: Facts) -> tuple[Finding, ...]:
    """The findings, the surest first: a cause for each loss where one is found, and what the responder did itself."""
    found = [examine_policy_denied_ingress(suspect, facts) for suspect in find_suspects(facts.localisation)]
    findings = [finding for finding in found if finding is not None]
    findings.extend(examine_far_end(facts))
    return tuple(sorted(findings, key=lambda finding: -finding.confidence))
