"""Networks drawn from a seed: a fault or none, loss that retransmission makes up for, NAT, and captures that suffer."""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.localise.network import End, Fault, Network, View
from tests.scene import Scene, scene_of

KINDS = (
    "none", "random", "beyond", "silent", "refused", "drop request", "drop request midway", "drop response",
    "drop response midway", "reset", "black hole",
)  # fmt: skip
HOUR_NS = 3_600_000_000_000
ALWAYS = 1e9


@dataclass(frozen=True)
class Scenario:
    """A network that has run, and how its points' captures show it.

    hop : positions of the points between which packets were dropped or refused, and the direction; None: nowhere between points
    """

    kind: str
    network: Network
    views: dict[str, View]
    hop: tuple[int, int, int] | None
    hit: frozenset[int]

    @property
    def failed(self) -> set[int]:
        """The connections that the fault hit, and that had a request without a whole response."""
        return {c for c, turn in self.network.asked - self.network.completed if c in self.hit}

    def seen(self) -> Scene:
        """What the stages make of it."""
        return scene_of(self.network.captures(self.views))

    def blamed(self, scene: Scene) -> dict[int, tuple[int, int, int]]:
        """The connections that are blamed on a hop, and the widest hop that each is blamed on."""
        known: dict[End, int] = {}
        for number, (end, _) in enumerate(self.network.ends):
            known.update({end: number, **{view.seen_as[end]: number for view in self.views.values() if end in view.seen_as}})
        fates, table = scene.localisation.fates, scene.alignment.conversations
        found = {}
        for row in np.flatnonzero(fates["near"] >= 0).tolist():
            c = int(fates["conversation"][row])
            end = table.book.text(int(table["initiator"][c])), int(table["initiator_port"][c])
            found[known[end]] = int(fates["near"][row]), int(fates["far"][row]), int(fates["direction"][row])
        return found

    def is_right(self, hop: tuple[int, int, int]) -> bool:
        """Whether a hop is that of the fault, or is wider by points alone that did not watch all the time."""
        if self.hop is None or hop[2] != self.hop[2] or hop[0] > self.hop[0] or hop[1] < self.hop[1]:
            return False
        views = [self.views[self.network.names[position]] for position in range(hop[0] + 1, hop[1])]
        return all(view.begin > -ALWAYS or view.end < ALWAYS for view in views)


def scenario(seed: int, *, noisy: bool) -> Scenario:
    """The scenario of a seed; with `noisy` its captures suffer."""
    dice = np.random.default_rng(seed)
    names = "ABCDE"[: int(dice.choice([2, 3, 3, 3, 4, 5]))]
    count = int(dice.integers(4, 30))
    six = dice.random() < 0.15
    near, far = ("2001:db8::", "2001:db8:1::") if six else ("10.244.3.", "10.242.2.")
    clients = [f"{near}{host}" for host in dice.integers(2, 250, size=int(dice.integers(1, 5)))]
    servers = [f"{far}{host}" for host in dice.integers(2, 250, size=int(dice.integers(1, 3)))]
    ports = dice.choice(np.arange(32_768, 60_999), size=count, replace=False).tolist()
    ends = [((str(dice.choice(clients)), port), (str(dice.choice(servers)), 8080)) for port in ports]
    span = float(dice.choice([5, 20, 60]))
    kind = KINDS[int(dice.integers(len(KINDS)))]
    hit = frozenset(np.flatnonzero(dice.random(count) < dice.choice([0.1, 0.3, 1.0])).tolist()) or frozenset([0])
    hop = int(dice.integers(1, len(names)))
    fault = _fault(kind, hop, len(names), hit, float(dice.uniform(0, span)), dice)
    places = list(itertools.product(range(len(names) + 1), (0, 1)))
    lossy = kind == "random" or dice.random() < 0.3
    network = Network(
        seed,
        names,
        ends=ends,
        scripts=[_script(dice) for _ in ends],
        begins=sorted(dice.uniform(0, span, size=count).tolist()),
        faults=[fault] if fault else [],
        loss={place: float(dice.choice([0, 0, 0.005, 0.03])) for place in places} if lossy else {},
        delay_ns=int(dice.choice([20_000, 200_000, 3_000_000])),
        jitter_ns=int(dice.choice([2_000, 50_000, 500_000])),
    )
    network.run()
    views = _translated(network, servers, f"{far}25", dice)
    if noisy:
        views = {name: _suffering(view, span, dice) for name, view in views.items()}
    between = fault is not None and fault.kind in {"drop", "reset"} and 0 < fault.hop < len(names)
    return Scenario(kind, network, views, (fault.hop - 1, fault.hop, fault.side) if fault and between else None, hit)


def _script(dice: np.random.Generator) -> list[tuple[int, int]]:
    """Requests and responses, most of them short."""

    def octets(share: float, most: int) -> int:
        return int(dice.integers(50, 3000) if dice.random() < share else dice.integers(3000, most))

    return [(octets(0.8, 30_000), octets(0.7, 60_000)) for _ in range(int(dice.integers(0, 6)))]


def _fault(kind: str, hop: int, points: int, hit: frozenset[int], midway: float, dice: np.random.Generator) -> Fault | None:
    if kind.startswith("drop"):
        return Fault("drop", hop, int("response" in kind), hit, since=midway if "midway" in kind else 0.0)
    since = float(dice.choice([0.0, midway]))
    others: dict[str, Fault] = {
        "reset": Fault("reset", hop, 0, hit, since=since),
        "silent": Fault("silent", 0, 0, hit, since=since),
        "refused": Fault("refused", 0, 0, hit, since=since),
        "black hole": Fault("drop", hop, int(dice.integers(2)), hit, larger_than=int(dice.integers(1300, 1447))),
        "beyond": Fault("drop", int(dice.choice([0, points])), int(dice.integers(2)), hit, since=since),
    }
    return others.get(kind)


def _translated(network: Network, servers: list[str], prefix: str, dice: np.random.Generator) -> dict[str, View]:
    """The points' views, those behind a NAT with the ends that it makes of the others'; three in ten networks have one."""
    if dice.random() > 0.3:
        return {name: View() for name in network.names}
    place = int(dice.integers(1, len(network.names)))
    source, target = ((True, False), (False, True), (True, True))[int(dice.integers(3))]
    ports = itertools.count(20_000)
    seen_as: dict[End, End] = {}
    for caller, called in network.ends:
        if source:
            seen_as[caller] = f"{prefix}4", next(ports)
        if target:
            seen_as[called] = f"{prefix}{servers.index(called[0])}", 80
    return {name: View(seen_as=seen_as if position >= place else {}) for position, name in enumerate(network.names)}


def _suffering(view: View, span: float, dice: np.random.Generator) -> View:
    """The view of a capture that misses packets, runs by a wrong clock, late or not to the end, and shows packets otherwise."""
    more: dict[str, Any] = {
        "missing": float(dice.choice([0, 0, 0.002, 0.02, 0.05])),
        "offset_ns": int(dice.choice([0, 0, 1]) * dice.uniform(-HOUR_NS, HOUR_NS)),
        "ppm": float(dice.choice([0, 1]) * dice.uniform(-200, 200)),
        "begin": float(dice.choice([-ALWAYS] * 6 + [span * 0.3])),
        "end": float(dice.choice([ALWAYS] * 6 + [span * 0.7])),
        "merged": bool(dice.random() < 0.2),
        "tunnelled": bool(dice.random() < 0.15),
        "copies": int(dice.choice([1, 1, 1, 1, 2])),
        "snap_length": int(dice.choice([262_144, 96])),
    }
    return replace(view, **more)
