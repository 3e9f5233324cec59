"""Servers that are the trouble themselves, by mode.

silent : accepts, takes what comes and never answers
slow : answers each request late
reset-accept : resets each connection as soon as it is accepted
reset-request : resets each connection at its first octets
close-request : closes each connection at its first octets, in order and without a word
overload : has a queue of one and never accepts, so that the kernel passes over whoever comes when it is full
"""

import contextlib
import socket
import socketserver
import struct
import time
from typing import Final

from client import family_of
from server import ShopHandler

LONGEST_S: Final = 30.0
ABORT: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: close sends RST (RFC 9293 section 3.10.4 ABORT)


class SilentHandler(socketserver.BaseRequestHandler):
    """Reads until the initiator gives up."""

    def handle(self) -> None:
        """Take everything, say nothing."""
        self.request.settimeout(LONGEST_S)
        with contextlib.suppress(OSError):
            while self.request.recv(1 << 16):
                pass


class ClosingHandler(socketserver.BaseRequestHandler):
    """Ends the connection when it is asked something."""

    waits = True
    aborts = False

    def handle(self) -> None:
        """Close, by a reset or in order, after the first octets or at once."""
        self.request.settimeout(LONGEST_S)
        with contextlib.suppress(OSError):
            if self.waits:
                self.request.recv(1 << 16)
            if self.aborts:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            self.request.close()


class ResettingHandler(ClosingHandler):
    """Resets the connection when it is asked something."""

    aborts = True


class RefusingHandler(ResettingHandler):
    """Resets the connection as soon as it is there."""

    waits = False


HANDLERS: Final[dict[str, type[socketserver.BaseRequestHandler]]] = {
    "silent": SilentHandler,
    "reset-accept": RefusingHandler,
    "reset-request": ResettingHandler,
    "close-request": ClosingHandler,
}


def late(handler: type[ShopHandler], seconds: float) -> type[ShopHandler]:
    """A shop that thinks for so long about every request."""

    class LateHandler(handler):  # type: ignore[valid-type,misc]
        """Waits, then answers as the shop does."""

        def parse_request(self) -> bool:
            """Take the request, and the time."""
            understood = super().parse_request()
            time.sleep(min(seconds, LONGEST_S))
            return bool(understood)

    return LateHandler


def overloaded(address: tuple[str, int]) -> socket.socket:
    """A listening socket whose accept queue is full after two connections, for nobody takes them from it."""
    sock = socket.socket(family_of(address[0]), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(1)
    return sock
