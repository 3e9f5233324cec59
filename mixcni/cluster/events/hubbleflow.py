"""One flow as Hubble tells it, and the names that it has for things."""

from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address

VERDICTS: Final = (
    "FORWARDED", "DROPPED", "ERROR", "AUDIT", "REDIRECTED", "TRACED", "TRANSLATED",
    "ALLOWED", "DENIED", "AUDITED", "VERDICT_UNKNOWN",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HubbleFlow:
    """One event of one packet or request. The ends are the packet's own, also of replies, which text prints turned round."""

    time_ns: int | None = None
    """Since the Unix epoch; None where the year or the zone is not told."""
    when: str = ""
    """As printed."""
    node: str | None = None
    type: str = ""
    """Where or what, in the words of the text: to-endpoint, policy-verdict:none, http-request, drop."""
    verdict: str | None = None
    drop_reason: str | None = None
    """In the words of the text, `Policy denied`, or of the enumeration, `POLICY_DENIED`."""
    direction: str | None = None
    """ingress or egress."""
    is_reply: bool | None = None
    """None: not known."""
    source: Address | None = None
    source_port: int | None = None
    source_name: str | None = None
    """namespace/pod, service or DNS name."""
    source_identity: int | None = None
    destination: Address | None = None
    destination_port: int | None = None
    destination_name: str | None = None
    destination_identity: int | None = None
    protocol: str | None = None
    tcp_flags: tuple[str, ...] = ()
    says: str = ""
    """The summary, less the TCP flags."""
    interface: str | None = None
    uuid: str | None = None
    file: str = ""
    line: int = 0

    @property
    def is_denied(self) -> bool:
        """Whether the packet was dropped, or a verdict that denies was told of it."""
        return self.verdict in ("DROPPED", "DENIED", "ERROR")
