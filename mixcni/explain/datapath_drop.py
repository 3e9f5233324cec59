"""Dropped on a node, as an event of its datapath tells: Cilium's monitor or Hubble, or the kernel by pwru or Retis.

An event with a lost connection's own addresses and ports says what became of it, more surely than any table of state. Denials
by policy and services without a backend are causes of their own.
"""

from collections import Counter
from typing import Final

from mixcni.explain.findings import Finding, Remedy, confidence_of
from mixcni.explain.pins import Pins
from mixcni.explain.suspects import Facts, Suspect, exchanges_text
from mixcni.explain.told import lines_of, odds_of, other_drop, plain_reason
from mixcni.schema import Direction

CAUSE: Final = "datapath_drop"
PRIOR: Final = 0.1  # of losses next to a node, before any event is read
UNCONFIRMED: Final = 0.45  # at most, where fewer than half of the lost connections were dropped so

_HINTS: Final = {
    "stale or unroutable ip": "Compare `cilium bpf ipcache get` of the address with its CiliumEndpoint on that node",
    "ct: map insertion failed": "See whether conntrack's map is full: `cilium status --verbose`, bpf-ct-global-tcp-max",
    "ct: can't create entry from packet": "See why its connection has no entry: the packet begins none",
    "fib lookup failed": "Look at `ip route get` of the destination on that node: it has no route or no neighbour",
    "no tunnel/encapsulation endpoint": "Look at `cilium bpf ipcache list` on that node: the destination's row names no node",
    "traffic is unencrypted": "Exempt the node that does not encrypt from strict encryption, or migrate it",
    "no mapping for nat masquerade": "See whether the ports to masquerade with are used up: `cilium bpf nat list`",
    "no egress gateway found": "Look at `cilium bpf egress list` on that node: the policy's gateway does not exist",
    "no egress ip configured": "Look at `cilium bpf egress list` on the gateway: it has no such address",
    "no node id found": "Look at `cilium bpf nodeid list` on that node: the other node is missing",
    "encapsulation traffic is prohibited": "See who sends to the tunnel's port: neither pods nor what is outside may",
    "invalid source ip": "See why the pod sends from an address that is not its own",
    "host datapath not ready": "See whether the node's agent was starting then",
    "netfilter drop": "Look at `nft list ruleset` or `iptables-save -c` on that node: a rule drops it",
}
"""What to look at, by how reasons begin (formats of the dumps, section 9; Linux, skb_drop_reason)."""


def examine(suspect: Suspect, facts: Facts, pins: Pins) -> Finding | None:
    """The finding for one loss of which events tell a drop, or None where none does."""
    conversations = {int(number) for number in facts.localisation.fates["conversation"][suspect.rows]}
    is_forward = suspect.direction == Direction.FORWARD
    told = [(pin, other_drop(pin)) for pin in pins.of(sorted(conversations)) if pin.is_forward == is_forward]
    by_reason = Counter(reason for _, reason in {(pin.conversation, reason) for pin, reason in told} if reason)
    if not by_reason:
        return None
    reason, count = by_reason.most_common(1)[0]
    drops = [pin for pin, own in told if own == reason]
    evidence = lines_of(drops, f"of {count} of {len(conversations)} connections", odds_of(drops))
    confidence = confidence_of(PRIOR, evidence)
    hint = next((text for begin, text in _HINTS.items() if plain_reason(reason).startswith(begin)), None)
    return Finding(
        cause=CAUSE,
        confidence=confidence if 2 * count >= len(conversations) else min(confidence, UNCONFIRMED),
        sentence=f"A node dropped {exchanges_text(facts.localisation, suspect.rows)}, as its datapath tells: {reason}",
        evidence=tuple(evidence),
        remedies=(Remedy(hint),) if hint else (),
        loss=suspect.loss,
    )
