"""What the kernel counted of each TCP connection: `ss -tinO`, one line a socket (struct tcp_info of linux/tcp.h)."""

from dataclasses import dataclass
from typing import Self

from namespaces import LabError, Namespace

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket: its state and ends, and the words behind them by name, as ss has them; it leaves out what is 0."""

    state: str
    local: Address
    peer: Address
    words: dict[str, str]

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line of `ss -tinOH`: state, octets not yet read and not yet acknowledged, the two ends, and the words."""
        parts = line.split()
        if len(parts) < 5 or not parts[1].isdecimal():
            raise LabError(f"ss says what is no socket: {line!r}")
        words = dict(word.split(":", 1) for word in parts[5:] if ":" in word)
        return cls(parts[0], _address(parts[3]), _address(parts[4]), words)


def tcp_sockets(namespace: Namespace) -> list[Socket]:
    """The TCP sockets of a namespace that are connected or were so."""
    return [Socket.parse(line) for line in namespace.run("ss", "-tinOH", "state", "connected").splitlines()]


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
