"""One request, or TCP connection, as Envoy or Istio's proxy logged it."""

from dataclasses import dataclass

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.events.packets import parse_end


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLogEntry:
    """One line of an access log; None where the format or the line has no value."""

    time_ns: int | None = None
    """When the request began, since the Unix epoch."""
    when: str = ""
    method: str | None = None
    path: str | None = None
    protocol: str | None = None
    """HTTP/1.1, HTTP/2, HTTP/3; None for TCP."""
    status: int | None = None
    """Of the response to the client; 0 where none was begun."""
    grpc_status: str | None = None
    flags: tuple[str, ...] = ()
    """Envoy's response flags in the short form; the first sign of what went wrong."""
    details: str | None = None
    """Why Envoy answered as it did, such as `upstream_reset_before_response_started{connection_failure}`."""
    termination: str | None = None
    failure: str | None = None
    """Why the transport to the upstream failed."""
    received_octets: int | None = None
    sent_octets: int | None = None
    duration_ms: int | None = None
    upstream_ms: int | None = None
    forwarded_for: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    authority: str | None = None
    upstream: Address | None = None
    """The host to which Envoy sent, or tried to send, the request."""
    upstream_port: int | None = None
    upstream_name: str | None = None
    """Where it is no address."""
    cluster: str | None = None
    upstream_local: Address | None = None
    """Envoy's own end of the connection to the upstream; None where none came about."""
    upstream_local_port: int | None = None
    local: Address | None = None
    """The address that the client called."""
    local_port: int | None = None
    remote: Address | None = None
    """The client."""
    remote_port: int | None = None
    server_name: str | None = None
    route: str | None = None
    extra: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int = 0

    @property
    def has_failed(self) -> bool:
        """Whether the client got no response, or one that Envoy made because the upstream did not give one."""
        return bool(self.flags) or self.status == 0 or (self.status or 0) >= 500

    @property
    def end_ns(self) -> int | None:
        """When the last octet of it went to the client, since the Unix epoch."""
        return None if self.time_ns is None else self.time_ns + (self.duration_ms or 0) * 1_000_000


def end_fields(name: str, text: str | None, book: AddressBook) -> dict[str, Address | int | str | None]:
    """The fields of an end under their names: address and port; of the upstream a name where it is no address."""
    if not text or text == "-":
        return {}
    end = parse_end(text.removeprefix("tcp://").removeprefix("udp://"), book)
    found: dict[str, Address | int | str | None] = {name: end.address, f"{name}_port": end.port}
    if name == "upstream" and end.address is None:
        found["upstream_name"] = text
    return found
