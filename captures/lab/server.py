"""The HTTP/1.1 server inside a pod: `server.py ADDRESS PORT`, says `ready` once it listens, ends when killed.

`/healthz` answers `ok`; `/items/N` answers N octets; a POST to `/orders` answers 201 with what it was sent.
"""

import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

LARGEST_BODY: Final = 1 << 20
LINE: Final = b"shelf 17, box 04: one item in stock, ships today\n"


class ShopHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests in order and keeps it open, as HTTP/1.1 does unless told otherwise."""

    protocol_version = "HTTP/1.1"
    server_version = "shop/1.0"
    sys_version = ""
    # Headers and body leave in one write; in two, Nagle's algorithm and delayed ACKs would add 40 ms to each answer.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a probe or a page."""
        size = self.path.removeprefix("/items/")
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, b"ok\n")
        elif size.isdecimal() and int(size) <= LARGEST_BODY:
            self._answer(HTTPStatus.OK, (LINE * (int(size) // len(LINE) + 1))[: int(size)])
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"no such page\n")

    def do_POST(self) -> None:
        """Take an order and repeat it."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._answer(HTTPStatus.LENGTH_REQUIRED, b"say how long the order is\n")
        else:
            self._answer(HTTPStatus.CREATED, self.rfile.read(int(length)))

    def log_message(self, *_: object) -> None:
        """Say nothing: the packets are the log."""

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class ShopServer(socketserver.ThreadingTCPServer):
    """Not `http.server.HTTPServer`, which looks its own name up in DNS and would put that into the captures."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a client that went away go, and say nothing of it: its own log does."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve until killed."""
    with ShopServer((sys.argv[1], int(sys.argv[2])), ShopHandler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
