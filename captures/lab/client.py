"""The HTTP client inside a pod, and the kubelet's probe on a node.

Reads one line of JSON, a `plan`, from standard input; writes what it saw, a JSON list of attempts, to standard output.

plan : {"responder": [address, port], "timeout_s": s, "agent": text, "workers": n, "connections": [connection, ...]}
connection : {"pause_s": s, "requests": [{"method": m, "path": p, "body_octets": n, "pause_s": s}, ...]}, and, where these
    are not the kernel's choice, `"source": [address, port]`, with port 0 for any

`"closes"` in the plan asks the responder to close each connection after its first answer.
With `"every_s"` in the plan its one connection is made again and again until standard input ends: a probe.
"""

import errno
import http.client
import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def attempt_connection(plan: dict[str, Any], connection: dict[str, Any]) -> dict[str, Any]:
    """Connect and send the connection's requests one after the other; what came of it, with times of the wall clock."""
    address, port = plan["responder"]
    time.sleep(connection["pause_s"])
    started = time.time_ns()
    with socket.socket(family_of(address), socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(plan["timeout_s"])
        if "source" in connection:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(tuple(connection["source"]))
        outcome = _outcome_of_connecting(sock, (address, port))
        # Asked after connecting, for only then has the kernel chosen the port; a timed-out socket still knows it.
        initiator = list(sock.getsockname()[:2])
        requests = list(_send_requests(sock, plan, connection)) if outcome == "connected" else []
    return {
        "initiator": initiator,
        "responder": [address, port],
        "outcome": outcome,
        "started_ns": started,
        "ended_ns": time.time_ns(),
        "requests": requests,
    }


def family_of(address: str) -> socket.AddressFamily:
    """The family of an address in text."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _outcome_of_connecting(sock: socket.socket, responder: tuple[str, int]) -> str:
    try:
        sock.connect(responder)
    except TimeoutError:
        return "timeout"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "error")
    return "connected"


def _send_requests(sock: socket.socket, plan: dict[str, Any], connection: dict[str, Any]) -> Iterator[dict[str, Any]]:
    address, port = plan["responder"]
    http_connection = http.client.HTTPConnection(address, port, timeout=plan["timeout_s"])
    http_connection.auto_open = 0
    http_connection.sock = sock
    headers = {"User-Agent": plan["agent"], "Accept": "*/*"}
    if "every_s" in plan or plan.get("closes"):
        headers["Connection"] = "close"
    for request in connection["requests"]:
        time.sleep(request["pause_s"])
        body = b"o" * request["body_octets"] if request["method"] == "POST" else None
        started = time.time_ns()
        outcome: int | str
        octets = 0
        try:
            http_connection.request(request["method"], request["path"], body, headers)
            response = http_connection.getresponse()
            octets, outcome = len(response.read()), response.status
        except TimeoutError:
            outcome = "timeout"
        except (OSError, http.client.HTTPException) as error:
            outcome = type(error).__name__
        yield {
            "request": f"{request['method']} {request['path']}",
            "outcome": outcome,
            "body_octets": octets,
            "started_ns": started,
            "ended_ns": time.time_ns(),
        }
        if not isinstance(outcome, int):
            return


def probe_until_told(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Make the plan's one connection every `every_s` seconds until standard input ends."""
    attempts = []
    due = time.monotonic()
    while True:
        attempts.append(attempt_connection(plan, plan["connections"][0]))
        due += plan["every_s"]
        if select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            return attempts


def main() -> None:
    """Carry out the plan read from standard input."""
    plan = json.loads(sys.stdin.readline())
    if "every_s" in plan:
        attempts = probe_until_told(plan)
    else:
        with ThreadPoolExecutor(plan["workers"]) as pool:
            attempts = list(pool.map(lambda connection: attempt_connection(plan, connection), plan["connections"]))
    json.dump(attempts, sys.stdout)


if __name__ == "__main__":
    main()
