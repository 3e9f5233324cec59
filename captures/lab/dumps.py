"""The state of node cilium-1 as Cilium 1.12 prints it, consistent with the packets that were recorded.

No Cilium runs in the lab. The tables' columns, their padding and trailing blanks are those of the real command;
connections and counters come from the capture inside the Cilium pod, and the rest from the cluster's data.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from cluster import (
    CILIUM_1,
    CILIUM_NODES,
    DNS_IDENTITY,
    DNS_LABELS,
    ENDPOINTS,
    HOST,
    HTTP_PORT,
    REMOTE_PODS,
    SHOP,
    SHOP_ENDPOINT,
    SHOP_WEB,
    SHOP_WEB_ENDPOINT,
    WORLD,
    identity_of,
)
from conntrack import Entry, track
from pcapread import read_tcp_packets

RESERVED_LABELS: Final = {
    1: ("reserved:host",),
    2: ("reserved:world",),
    3: ("reserved:unmanaged",),
    4: ("reserved:health",),
    5: ("reserved:init",),
    6: ("reserved:remote-node",),
    7: ("reserved:kube-apiserver", "reserved:remote-node"),
    8: ("reserved:ingress",),
}
# Identity 0 is the policy map's wildcard for any peer, which the command prints as if it were a label.
ANY_PEER: Final = ("reserved:unknown",)
NOT_TUNNELLED: Final = "0.0.0.0"  # noqa: S104  # a tunnel's absence, not an address to bind
PADDING: Final = 3
MAPS_LISTED: Final = 4  # tcp4, any4, tcp6, any6: `ct list global` ends each with an empty line


def tabulate(lines: Iterable[str], least_width: int) -> str:
    """Lines of tab-separated cells with their columns padded, as Go's tabwriter does with a padding of three blanks.

    A column is as wide as its widest cell among adjacent lines that have it. What follows a line's last tab belongs
    to no column: a line that ends in a tab is padded to its end.
    """
    rows = [line.split("\t") for line in lines]
    for column in range(max(len(row) for row in rows) - 1):
        for has_column, block in groupby(rows, key=lambda row: column < len(row) - 1):
            if has_column:
                cells = list(block)
                width = max(least_width, *(len(row[column]) + PADDING for row in cells))
                for row in cells:
                    row[column] = row[column].ljust(width)
    return "".join("".join(row) + "\n" for row in rows)


def with_labels(row: Sequence[str], labels: Sequence[str], column: int) -> list[str]:
    """Lines for a row with its first label as cell `column`, then a line with that cell alone for each further one."""
    first = (*row[:column], labels[0], *row[column:], "")
    further = ((*("" for _ in row[:column]), label, *("" for _ in row[column:]), "") for label in labels[1:])
    return ["\t".join(cells) for cells in (first, *further)]


def write_dumps(folder: Path, pod_capture: Path, seed: int, *, network_policy: bool) -> None:
    """Write the dumps of cilium-1 into `folder`, as they stood when `pod_capture` of the shop's pod ended."""
    packets = list(read_tcp_packets(pod_capture))
    entries = track(packets, frozenset((SHOP.address, SHOP_WEB.address)))
    dice = random.Random(f"{seed} {pod_capture.name}")  # noqa: S311  # the order of a hash map, not a secret
    probed = datetime.fromtimestamp(packets[-1].time_ns // 1_000_000_000, UTC)
    texts = {
        "ct-list.txt": ct_list(entries, dice),
        "endpoint-list.txt": endpoint_list(network_policy=network_policy),
        f"bpf-policy-get-{SHOP_ENDPOINT.number}.txt": policy_map(entries, network_policy=network_policy),
        "health-status.txt": health_status(probed),
        "ipcache-list.txt": ipcache_list(dice),
        "identity-list.txt": identity_list(),
    }
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)


def ct_list(entries: Sequence[Entry], dice: random.Random) -> str:
    """`cilium bpf ct list global`; the order of a hash map is anyone's guess."""
    lines = [str(entry) for entry in dice.sample(entries, len(entries))]
    return "\n".join(lines) + "\n" * (MAPS_LISTED + 1)


def endpoint_list(*, network_policy: bool) -> str:
    """`cilium endpoint list`; only the shop is selected by the policy."""
    lines = [
        "ENDPOINT\tPOLICY (ingress)\tPOLICY (egress)\tIDENTITY\tLABELS (source:key[=value])\tIPv6\tIPv4\tSTATUS\t",
        "\tENFORCEMENT\tENFORCEMENT\t\t\t\t\t\t",
    ]
    for endpoint in sorted(ENDPOINTS, key=lambda endpoint: endpoint.number):
        ingress = "Enabled" if network_policy and endpoint is SHOP_ENDPOINT else "Disabled"
        row = (str(endpoint.number), ingress, "Disabled", str(endpoint.identity), "", endpoint.address, "ready")
        lines += with_labels(row, endpoint.labels, 4)
    return tabulate(lines, 2)


@dataclass(slots=True)
class Rule:
    """A row of the policy map and what has hit it."""

    direction: str
    labels: tuple[str, ...]
    port: str
    packets: int = 0
    octets: int = 0

    def hit(self, entry: Entry) -> None:
        """Count an entry's forward packets: replies are admitted without a look at the map."""
        self.packets += entry.forward.packets
        self.octets += entry.forward.octets


def policy_map(entries: Iterable[Entry], *, network_policy: bool) -> str:
    """`cilium bpf policy get` of the shop's endpoint."""
    ingress = {0: Rule("Ingress", ANY_PEER, "ANY")}
    if network_policy:
        ingress = {
            HOST: Rule("Ingress", RESERVED_LABELS[HOST], "ANY"),
            SHOP_WEB_ENDPOINT.identity: Rule("Ingress", SHOP_WEB_ENDPOINT.labels, f"{HTTP_PORT}/TCP"),
        }
    egress = Rule("Egress", ANY_PEER, "ANY")
    for entry in entries:
        if entry.direction == "IN" and entry.responder[0] == SHOP.address:
            ingress[entry.source_identity if network_policy else 0].hit(entry)
        elif entry.direction == "OUT" and entry.initiator[0] == SHOP.address:
            egress.hit(entry)
    lines = ["POLICY\tDIRECTION\tLABELS (source:key[=value])\tPORT/PROTO\tPROXY PORT\tBYTES\tPACKETS\t"]
    for rule in (*(ingress[identity] for identity in sorted(ingress)), egress):
        row = ("Allow", rule.direction, rule.port, "NONE", str(rule.octets), str(rule.packets))
        lines += with_labels(row, rule.labels, 2)
    return tabulate(lines, 5)


def health_status(probed: datetime) -> str:
    """The nodes' table of `cilium status --all-health`: the nodes that run Cilium, and no other."""
    count = len(CILIUM_NODES)
    lines = [
        f"Cluster health:\t{count}/{count} reachable\t({probed:%Y-%m-%dT%H:%M:%SZ})",
        "  Name\tIP\tNode\tEndpoints",
    ]
    for node in CILIUM_NODES:
        local = " (localhost)" if node is CILIUM_1 else ""
        lines.append(f"  {node.name}{local}\t{node.address}\treachable\treachable")
    return tabulate(lines, 2)


def ipcache_list(dice: random.Random) -> str:
    """`cilium bpf ipcache list`: what the agent knows by address, in a hash map's order."""
    known = [("0.0.0.0/0", WORLD, NOT_TUNNELLED)]
    for node in CILIUM_NODES:
        known.append((f"{node.address}/32", identity_of(node.address), NOT_TUNNELLED))
        tunnel = NOT_TUNNELLED if node is CILIUM_1 else node.address
        known.append((f"{node.gateway}/32", identity_of(node.gateway), tunnel))
    known += [(f"{local.address}/32", local.identity, NOT_TUNNELLED) for local in ENDPOINTS if local.address]
    known += [(f"{address}/32", identity, node.address) for address, identity, node in REMOTE_PODS]
    dice.shuffle(known)
    lines = [f"{prefix}\tidentity={number} encryptkey=0 tunnelendpoint={tunnel}\t" for prefix, number, tunnel in known]
    return tabulate(["IP PREFIX/ADDRESS\tIDENTITY\t", *lines], 5)


def identity_list() -> str:
    """`cilium identity list`."""
    identities = RESERVED_LABELS | {
        DNS_IDENTITY: DNS_LABELS,
        SHOP_WEB_ENDPOINT.identity: SHOP_WEB_ENDPOINT.labels,
        SHOP_ENDPOINT.identity: SHOP_ENDPOINT.labels,
    }
    lines = ["ID\tLABELS"]
    for identity, labels in sorted(identities.items()):
        lines += [line.rstrip("\t") for line in with_labels((str(identity),), labels, 1)]
    return tabulate(lines, 2)
