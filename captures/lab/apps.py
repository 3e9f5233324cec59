"""The applications of a case of the library, each thread inside its pod's namespace, and the logs that they keep."""

import contextlib
import math
import random
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from addresses import addresses_of
from client import attempt_connection, family_of
from inside import Inside
from line import HEALTH_PORT, Line
from namespaces import Namespace
from oddserver import HANDLERS, late, overloaded
from scenario import Scenario
from server import ShopHandler, ShopServer

Attempt = dict[str, Any]
PROBE_EVERY_S: Final = 0.4
PROBE_TIMEOUT_S: Final = 0.8
STARTS_WITHIN_S: Final = 10.0
CLIENTS_WAIT_S: Final = 90.0
CONNECTIONS_IN_ROW: Final = 2
DNS_TRIES: Final = 3
DNS_HEADER: Final = struct.Struct(">6H")
# RFC 1035 section 4.1: a query that wants recursion; a response to it with one answer; type A, class IN.
DNS_QUERY_FLAGS, DNS_RESPONSE_FLAGS = 0x0100, 0x8180
DNS_QUESTION: Final = struct.pack(">HH", 1, 1)
DNS_ANSWER: Final = struct.pack(">HHHIH4s", 0xC00C, 1, 1, 30, 4, bytes((10, 242, 2, 21)))


class Log:
    """What the server's side saw, from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.entries: list[Attempt] = []

    def add(self, initiator: tuple[str, int], request: str, received_ns: int, outcome: int | str) -> None:
        """Note one request and what became of it at the server."""
        entry = {"initiator": list(initiator[:2]), "request": request, "received_ns": received_ns, "outcome": outcome}
        with self._lock:
            self.entries.append(entry | {"answered_ns": time.time_ns()})


def logged_handler(log: Log) -> type[ShopHandler]:
    """The shop's handler with a log."""

    class LoggedHandler(ShopHandler):
        """Notes each request once its answer was handed to the kernel."""

        def parse_request(self) -> bool:
            """Note the time as well."""
            self.received_ns = time.time_ns()
            return super().parse_request()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Note the request; `size` is not looked at."""
            del size
            log.add(self.client_address, self.requestline.rpartition(" ")[0], self.received_ns, int(code))

    return LoggedHandler


class ShopServer6(ShopServer):
    """The server, on IPv6."""

    address_family = socket.AF_INET6


@dataclass(slots=True)
class Apps:
    """A case's servers, probes and clients."""

    line: Line
    log: Log = field(default_factory=Log)
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _probers: list[Inside] = field(default_factory=list)

    @property
    def _scenario(self) -> Scenario:
        return self.line.scenario

    def start(self) -> None:
        """Start servers, the kubelets' probes and the nodes' heartbeats, which show every capture to be recording."""
        known = self.line.addresses
        self._listen(self.line["client"], (known.clients[0], HEALTH_PORT), ShopHandler)
        self._listen(self.line["server"], (known.server, HEALTH_PORT), ShopHandler)
        self._start_server()
        probed = [("node-1", known.clients[0]), ("node-2", known.server)]
        if self._scenario.mechanism == "wire":
            self._listen(self.line["node-2"], (known.wired["node-2"], HEALTH_PORT), ShopHandler)
            probed.append(("node-1", known.wired["node-2"]))
        else:
            for node, router in known.routers.items():
                self._listen(self.line["underlay"], (router, HEALTH_PORT), ShopHandler)
                probed.append((node, router))
        self._probers = [Inside(self.line[node], self._probe, (address, HEALTH_PORT)) for node, address in probed]

    def run_clients(self, seed: int) -> list[Attempt]:
        """Make all the clients' connections, several at a time; what came of each, in the order of their beginnings."""
        groups = plan_groups(self._scenario, random.Random(f"{seed} {self._scenario.kind}"))  # noqa: S311  # a plan, not a secret
        call = self._ask_names if self._scenario.dns else self._call
        places = {self.line.addresses.neighbour: "neighbour"}
        threads = [Inside(self.line[places.get(group[0]["source"][0], "client")], call, group) for group in groups]
        attempts = [attempt for thread in threads for attempt in thread.result(CLIENTS_WAIT_S)]
        return sorted(attempts, key=lambda attempt: int(attempt["started_ns"]))

    def stop(self) -> list[Attempt]:
        """End probes and servers; the probes' attempts."""
        self._stopping.set()
        attempts = [attempt for prober in self._probers for attempt in prober.result(CLIENTS_WAIT_S)]
        self._closing.close()
        return attempts

    def _start_server(self) -> None:
        scenario, address = self._scenario, (self.line.addresses.server, self.line.port)
        handler = logged_handler(self.log)
        if scenario.dns:
            self._listen_for_names(address)
        elif scenario.server in {"gone", "closed"}:
            return
        elif scenario.server == "overload":
            sock = Inside(self.line["server"], overloaded, address).result(STARTS_WITHIN_S)
            self._closing.callback(sock.close)
        else:
            odd = HANDLERS.get(scenario.server)
            shop = late(handler, scenario.server_delay_s) if scenario.server == "slow" else handler
            self._listen(self.line["server"], address, odd or shop)

    def _listen(self, namespace: Namespace, address: tuple[str, int], handler: type[Any]) -> None:
        kind = ShopServer if family_of(address[0]) == socket.AF_INET else ShopServer6
        server = Inside(namespace, kind, address, handler).result(STARTS_WITHIN_S)
        Inside(namespace, server.serve_forever, 0.05)
        self._closing.callback(server.server_close)
        self._closing.callback(server.shutdown)

    def _listen_for_names(self, address: tuple[str, int]) -> None:
        sock = Inside(self.line["server"], _bound, address).result(STARTS_WITHIN_S)
        thread = Inside(self.line["server"], _answer_names, sock, self.log, self._stopping)
        self._closing.callback(sock.close)
        self._closing.callback(thread.result, STARTS_WITHIN_S)

    def _probe(self, pod: tuple[str, int]) -> list[Attempt]:
        plan = {"responder": pod, "timeout_s": PROBE_TIMEOUT_S, "agent": "kube-probe/1.24", "every_s": PROBE_EVERY_S}
        request = {"method": "GET", "path": "/healthz", "body_octets": 0, "pause_s": 0.0}
        attempts = []
        while not self._stopping.is_set():
            attempts.append(attempt_connection(plan, {"pause_s": 0.0, "requests": [request]}))
            self._stopping.wait(PROBE_EVERY_S)
        return attempts

    def _call(self, connections: list[Attempt]) -> list[Attempt]:
        scenario = self._scenario
        plan = {
            "responder": self.line.responder,
            "timeout_s": scenario.timeout_s,
            "agent": "lab/1.0",
            "closes": scenario.reuse_ports > 0,
        }
        return [attempt_connection(plan, connection) for connection in connections]

    def _ask_names(self, connections: list[Attempt]) -> list[Attempt]:
        return [_ask_name(self.line.responder, connection, self._scenario.timeout_s / DNS_TRIES) for connection in connections]


def plan_groups(scenario: Scenario, dice: random.Random) -> list[list[Attempt]]:
    """What each client thread does in turn: connections with their source, their pauses and their requests."""
    known = addresses_of(scenario)
    sources = [*known.clients, *([known.neighbour] if scenario.neighbour else [])]
    groups = []
    for source in sources:
        if scenario.reuse_ports:
            ports = dice.sample(range(42_000, 60_000), scenario.reuse_ports)
            each = -(-scenario.connections // len(sources) // scenario.reuse_ports)
            groups += [[_plan_connection(scenario, (source, port), dice) for _ in range(max(2, each))] for port in ports]
            continue
        planned = [_plan_connection(scenario, (source, 0), dice) for _ in range(scenario.connections)]
        groups += [planned[i : i + CONNECTIONS_IN_ROW] for i in range(0, len(planned), CONNECTIONS_IN_ROW)]
    return groups


def _plan_connection(scenario: Scenario, source: tuple[str, int], dice: random.Random) -> Attempt:
    return {
        "source": list(source),
        "pause_s": round(dice.uniform(0.02, 0.35), 3),
        # A connection that its responder closes ends with the first answer.
        "requests": [
            _plan_request(scenario, dice) for _ in range(1 if scenario.reuse_ports else dice.randint(*scenario.requests))
        ],
    }


def _plan_request(scenario: Scenario, dice: random.Random) -> Attempt:
    """A size drawn evenly by order of magnitude."""
    size = round(math.exp(dice.uniform(*(math.log(octets) for octets in scenario.octets_range))))
    posted = dice.random() < scenario.posts
    return {
        "method": "POST" if posted else "GET",
        "path": "/orders" if posted else f"/items/{size}",
        "body_octets": size if posted else 0,
        "pause_s": round(dice.uniform(*scenario.pause_s), 3),
    }


def _bound(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    return sock


def _answer_names(sock: socket.socket, log: Log, stopping: threading.Event) -> None:
    while not stopping.is_set():
        if not select.select([sock], [], [], 0.05)[0]:
            continue
        query, initiator = sock.recvfrom(512)
        received = time.time_ns()
        number, *_ = DNS_HEADER.unpack_from(query)
        question = query[DNS_HEADER.size :]
        sock.sendto(DNS_HEADER.pack(number, DNS_RESPONSE_FLAGS, 1, 1, 0, 0) + question + DNS_ANSWER, initiator)
        log.add(initiator, f"A {number}", received, "answered")


def _ask_name(responder: tuple[str, int], connection: Attempt, timeout_s: float) -> Attempt:
    """One query, asked again with the same number from the same port where no answer comes, as a stub resolver does."""
    time.sleep(connection["pause_s"])
    started = time.time_ns()
    number = started >> 10 & 0xFFFF
    label = f"pod-{number}".encode()
    question = bytes((len(label),)) + label + b"\x04shop\x00" + DNS_QUESTION
    outcome = "timeout"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((connection["source"][0], 0))
        sock.connect(responder)
        sock.settimeout(timeout_s)
        for _ in range(DNS_TRIES):
            try:
                sock.send(DNS_HEADER.pack(number, DNS_QUERY_FLAGS, 1, 0, 0, 0) + question)
                sock.recv(512)
            except TimeoutError:
                continue
            except OSError as error:
                outcome = type(error).__name__
                break
            outcome = "answered"
            break
        initiator = list(sock.getsockname())
    return {
        "initiator": initiator,
        "responder": list(responder),
        "outcome": outcome,
        "started_ns": started,
        "ended_ns": time.time_ns(),
        "requests": [],
    }
