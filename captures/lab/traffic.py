"""The traffic of a case: what each client will send, and the servers, clients and probes that carry it out."""

import contextlib
import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from cases import Case, Load
from cluster import CILIUM_1, HTTP_PORT, KUBENET_1, SHOP, SHOP_WEB, Pod
from namespaces import LabError, Namespace, Namespaces
from network import Network

SERVER: Final = Path(__file__).with_name("server.py")
CLIENT: Final = Path(__file__).with_name("client.py")

# Long enough for the SYNs at 0, 1 and 3 s, and short of the one at 7 s.
CONNECT_TIMEOUT_S: Final = 3.5
PROBE_EVERY_S: Final = 0.5
# How long probes run alone before and after the clients, so that a pod's capture brackets the requests it misses.
MARGIN_S: Final = 1.2
CLIENTS_WAIT_S: Final = 60.0
SMALLEST_BODY_OCTETS: Final = 200
USUAL_BODY_OCTETS: Final = 1_500
USUAL_SIZES_LOG: Final = (math.log(SMALLEST_BODY_OCTETS), math.log(USUAL_BODY_OCTETS))

Attempts = list[dict[str, Any]]


def plan_connections(load: Load, dice: random.Random) -> list[dict[str, Any]]:
    """Connections for a client's plan: bodies spread evenly by order of magnitude, the two extremes once each."""
    counts = [dice.randint(load.fewest_requests, load.most_requests) for _ in range(load.connections)]
    sizes = [round(math.exp(dice.uniform(*USUAL_SIZES_LOG))) for _ in range(sum(counts) - 2)]
    sizes += [SMALLEST_BODY_OCTETS, load.largest_body_octets]
    dice.shuffle(sizes)
    return [
        {
            "pause_s": round(dice.uniform(0.02, 0.25), 3),
            "requests": [_plan_request(sizes.pop(), dice) for _ in range(count)],
        }
        for count in counts
    ]


def _plan_request(size: int, dice: random.Random) -> dict[str, Any]:
    posted = size <= USUAL_BODY_OCTETS and dice.random() < 0.2
    return {
        "method": "POST" if posted else "GET",
        "path": "/orders" if posted else f"/items/{size}",
        "body_octets": size if posted else 0,
        "pause_s": round(dice.uniform(0.01, 0.12), 3),
    }


def run_traffic(lab: Namespaces, network: Network, case: Case, seed: int) -> tuple[Attempts, Attempts]:
    """Carry out a case's traffic; the clients' attempts, and the probes'."""
    for pod in {SHOP.name: SHOP, case.responder.name: case.responder}.values():
        _start_server(lab, network.at(pod), pod)
    # Both pods' kubelets probe: each capture inside a pod shows that it was recording, whatever the clients got.
    probes = [_start_probe(lab, network.on(CILIUM_1), SHOP)]
    if case.responder is not SHOP:
        probes.append(_start_probe(lab, network.on(KUBENET_1), case.responder))
    time.sleep(MARGIN_S)
    clients = [_start_client(lab, network, case, case.initiator, case.load, seed)]
    if case.neighbour_load is not None:
        clients.append(_start_client(lab, network, case, SHOP_WEB, case.neighbour_load, seed))
    attempts = [attempt for client in clients for attempt in _attempts_of(client)]
    time.sleep(MARGIN_S)
    return attempts, [attempt for probe in probes for attempt in _attempts_of(probe)]


def check_outcomes(case: Case, attempts: Attempts, probes: Attempts) -> None:
    """Raise `LabError` where the applications did not see what the case is about, so that it is never kept."""
    for attempt in (*attempts, *probes):
        answered = attempt["outcome"] == "connected" and all(r["outcome"] in (200, 201) for r in attempt["requests"])
        denied = case.denies and attempt["initiator"][0] == case.initiator.address
        if denied != (attempt["outcome"] == "timeout") or not (denied or answered):
            raise LabError(f"{case.name}: not as planned: {json.dumps(attempt)}")


def _start_server(lab: Namespaces, namespace: Namespace, pod: Pod) -> None:
    command = (sys.executable, str(SERVER), pod.address, str(HTTP_PORT))
    process = lab.spawn(namespace, *command, stdout=subprocess.PIPE)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise LabError(f"the server in {pod.name} did not start")


def _start_client(lab: Namespaces, network: Network, case: Case, pod: Pod, load: Load, seed: int) -> subprocess.Popen[str]:
    # Seeded by the load and not by the case: the incident before and after its cure sends the same requests.
    dice = random.Random(f"{seed} {pod.name} {load}")  # noqa: S311  # a repeatable plan, not a secret
    plan = {
        "responder": [case.responder.address, HTTP_PORT],
        "timeout_s": CONNECT_TIMEOUT_S,
        "agent": f"{pod.name}/1.0",
        "workers": load.workers,
        "connections": plan_connections(load, dice),
    }
    return _start(lab, network.at(pod), plan)


def _start_probe(lab: Namespaces, node: Namespace, pod: Pod) -> subprocess.Popen[str]:
    plan = {
        "responder": [pod.address, HTTP_PORT],
        "timeout_s": 1.0,
        "agent": "kube-probe/1.24",
        "every_s": PROBE_EVERY_S,
        "connections": [
            {
                "pause_s": 0.0,
                "requests": [{"method": "GET", "path": "/healthz", "body_octets": 0, "pause_s": 0.0}],
            }
        ],
    }
    return _start(lab, node, plan)


def _start(lab: Namespaces, namespace: Namespace, plan: dict[str, Any]) -> subprocess.Popen[str]:
    process = lab.spawn(
        namespace, sys.executable, str(CLIENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already: `_attempts_of` will say why
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
    return process


def _attempts_of(process: subprocess.Popen[str]) -> Attempts:
    """A client's attempts once it is done; ending its standard input tells a probe to be done."""
    try:
        said, complaint = process.communicate(timeout=CLIENTS_WAIT_S)
    except subprocess.TimeoutExpired:
        raise LabError(f"a client was not done within {CLIENTS_WAIT_S:.0f} s") from None
    if process.returncode != 0:
        raise LabError(f"a client failed: {(complaint.strip() or 'no message').splitlines()[-1]}")
    attempts: Attempts = json.loads(said)
    return sorted(attempts, key=lambda attempt: int(attempt["started_ns"]))
