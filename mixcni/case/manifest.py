"""case.toml: what the person who took the captures says of them. Every key is checked, and a wrong one is named."""

import datetime as dt
import difflib
import ipaddress
import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from mixcni.errors import CaseError
from mixcni.topology import Network, PointKind

NAME: Final = "case.toml"
TOP_KEYS: Final = ("title", "point", "path", "cluster", "scenario")
POINT_KEYS: Final = ("name", "captures", "node", "kind", "scope", "window")
PATH_KEYS: Final = ("request", "response")
CLUSTER_KEYS: Final = ("dumps", "pod_cidrs")
SCENARIO_KEYS: Final = ("initiator", "responder", "network_policy")


@dataclass(frozen=True, slots=True)
class PointEntry:
    """One [[point]]: as written, with scope and window read."""

    name: str
    captures: tuple[str, ...]
    node: str = ""
    kind: PointKind | None = None
    scope: tuple[Network, ...] = ()
    window: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who calls whom, for experiment matrices; "" or None where it is not said."""

    initiator: str = ""
    responder: str = ""
    network_policy: bool | None = None

    def as_dict(self) -> dict[str, str | bool]:
        """What is said of it, by key."""
        return {name: value for name, value in asdict(self).items() if value not in {"", None}}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A case.toml. `dumps` is None where it does not name any: then every other file is offered."""

    title: str = ""
    points: tuple[PointEntry, ...] = ()
    request_path: tuple[str, ...] = ()
    response_path: tuple[str, ...] = ()
    dumps: tuple[str, ...] | None = None
    pod_cidrs: Mapping[str, Network] = field(default_factory=dict)
    scenario: Scenario | None = None


class _Reader:
    """Values out of parsed TOML, each by key and type; what is wrong is said with the key's full name."""

    def __init__(self, path: Path, values: Mapping[str, Any], where: str, keys: tuple[str, ...]) -> None:
        self.path, self.values, self.where = path, values, where
        for key in values:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                raise self.wrong(key, f"did you mean {near[0]!r}?" if near else f"one of {', '.join(keys)}", "an unknown key")

    def wrong(self, key: str, wanted: str, found: object) -> CaseError:
        return CaseError(self.path, f"{self.where}{key}: {wanted}", str(found))

    def take(self, key: str, kind: type, default: Any, wanted: str) -> Any:
        value = self.values.get(key, default)
        if value is not default and not isinstance(value, kind):
            raise self.wrong(key, wanted, f"{type(value).__name__} {value!r}")
        return value

    def text(self, key: str) -> str:
        return str(self.take(key, str, "", "a text"))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, [], "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "a list of texts", repr(values))
        return tuple(values)

    def network(self, key: str, value: object) -> Network:
        try:
            return ipaddress.ip_network(str(value), strict=False)
        except ValueError as error:
            raise self.wrong(key, "an address or a CIDR", repr(value)) from error


def _window(reader: _Reader) -> tuple[int, int] | None:
    values = reader.take("window", list, [], "[first, last] as two date-times")
    if not values:
        return None
    if len(values) != 2 or not all(isinstance(value, dt.datetime) for value in values):
        raise reader.wrong("window", "[first, last] as two date-times", repr(values))
    first, last = (
        int((value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp() * 1_000_000) * 1_000 for value in values
    )
    if first > last:
        raise reader.wrong("window", "first before last", f"{values[0]} and {values[1]}")
    return first, last


def _point(path: Path, number: int, values: Mapping[str, Any]) -> PointEntry:
    reader = _Reader(path, values, f"[[point]] {number} ", POINT_KEYS)
    name = reader.text("name")
    if not name:
        raise reader.wrong("name", "a name", "none")
    captures = reader.texts("captures")
    if not captures:
        raise reader.wrong("captures", "at least one file or pattern", "none")
    kind = reader.text("kind")
    if kind and kind not in set(PointKind):
        raise reader.wrong("kind", f"one of {', '.join(PointKind)}", repr(kind))
    return PointEntry(
        name=name,
        captures=captures,
        node=reader.text("node"),
        kind=PointKind(kind) if kind else None,
        scope=tuple(reader.network("scope", value) for value in reader.texts("scope")),
        window=_window(reader),
    )


def both_ways(request: Sequence[str], response: Sequence[str], names: Sequence[str]) -> list[str] | None:
    """The points of both paths from the initiator on, else in the order of `names`; None where the two contradict each other."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    for path in (request, response[::-1]):
        graph.add_nodes_from(path)
        graph.add_edges_from(itertools.pairwise(path))
    if not nx.is_directed_acyclic_graph(graph):
        return None
    return list(nx.lexicographical_topological_sort(graph, key=list(names).index))


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file `path`.

    Raises
    ------
    CaseError : the file is no TOML, or a key or value in it is not what DESIGN.md section 5 names
    """
    try:
        with path.open("rb") as stream:
            values = tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CaseError(path, "a TOML file", str(error)) from error
    reader = _Reader(path, values, "", TOP_KEYS)
    points = tuple(
        _point(path, number, entry) for number, entry in enumerate(reader.take("point", list, [], "[[point]] tables"), 1)
    )
    names = [point.name for point in points]
    if len(set(names)) != len(names):
        raise reader.wrong("point", "each name once", ", ".join(names))
    order = _Reader(path, reader.take("path", dict, {}, "a table"), "[path] ", PATH_KEYS)
    request, response = order.texts("request"), order.texts("response")
    for key, route in (("request", request), ("response", response)):
        unknown = [name for name in route if name not in names]
        if unknown or len(set(route)) != len(route):
            raise order.wrong(key, f"names of points ({', '.join(names)}), each once", ", ".join(route))
    if both_ways(request, response, names) is None:
        raise order.wrong("response", "points in an order that the request path does not contradict", ", ".join(response))
    cluster = _Reader(path, reader.take("cluster", dict, {}, "a table"), "[cluster] ", CLUSTER_KEYS)
    cidrs = cluster.take("pod_cidrs", dict, {}, "a table of node = CIDR")
    scenario = None
    if "scenario" in values:
        entry = _Reader(path, reader.take("scenario", dict, {}, "a table"), "[scenario] ", SCENARIO_KEYS)
        policy = entry.take("network_policy", bool, None, "true or false")
        scenario = Scenario(entry.text("initiator"), entry.text("responder"), policy)
    return Manifest(
        title=reader.text("title"),
        points=points,
        request_path=request or response[::-1],
        response_path=response,
        dumps=cluster.texts("dumps") if "dumps" in cluster.values else None,
        pod_cidrs={str(node): cluster.network("pod_cidrs", cidr) for node, cidr in cidrs.items()},
        scenario=scenario,
    )
