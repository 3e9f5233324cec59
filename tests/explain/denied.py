"""Connection attempts that vanish, in front of dumps that a test writes: what the causes make of both."""

from mixcni.cluster import ClusterState
from mixcni.explain import Facts, Finding, explain_losses
from mixcni.topology import Network
from tests.cluster.dumps import ENDPOINT_TITLES, IPCACHE_TITLES, POLICY_TITLES
from tests.scene import Scene, Talk, scene
from tests.wire import Conversation

POD, OTHER = "10.242.2.31", "10.244.3.7"  # a pod on the node that was dumped, and one elsewhere
ATTEMPTS = 4


def attempts(initiator: str, responder: str, *, lost: str, port: int = 8080, points: str = "ABC") -> Scene:
    """Connection attempts of which each SYN is sent three times and lost on one hop, and a pod whose traffic is answered."""
    talks = []
    for number in range(ATTEMPTS):
        talk = Talk(Conversation((initiator, 41000 + number), (responder, port)))
        start = 100 * number
        talk.repeated([start, start + 1000, start + 3000], 0, "S", lost=lost)
        talks.append(talk)
    for number in range(4):
        other = Talk(Conversation((initiator, 42000 + number), (responder, 9090)))
        other.handshake(50 + 1500 * number)
        other.exchange(90 + 1500 * number)
        talks.append(other)
    return scene(*talks, names=points)


def facts(seen: Scene, state: ClusterState, pod_cidrs: dict[str, Network] | None = None) -> Facts:
    """What the causes are examined against."""
    return Facts(seen.localisation, state, pod_cidrs or {})


def findings(seen: Scene, state: ClusterState, pod_cidrs: dict[str, Network] | None = None) -> tuple[Finding, ...]:
    """All findings, the surest first."""
    return explain_losses(facts(seen, state, pod_cidrs))


def endpoint_list(*rows: str) -> str:
    """An endpoint list of rows `ID INGRESS EGRESS IDENTITY LABEL ADDRESS`."""
    return "\n".join([ENDPOINT_TITLES, *(f"{row} ready\nk8s:io.kubernetes.pod.namespace=default" for row in rows)])


def policy_map(endpoint: int, *rows: str) -> str:
    """A policy map of rows `Allow Egress 0 53/UDP`."""
    return "\n".join([f"$ cilium bpf policy get {endpoint} -n", POLICY_TITLES, *(f"{row} NONE 0 0" for row in rows)])


def ipcache(*rows: str) -> str:
    """An ipcache of rows `PREFIX IDENTITY`, whole."""
    lines = [f"{prefix} identity={identity} encryptkey=0 tunnelendpoint=0.0.0.0" for prefix, identity in map(str.split, rows)]
    return "\n".join([IPCACHE_TITLES, *lines, "0.0.0.0/0 identity=2 encryptkey=0 tunnelendpoint=0.0.0.0"])
