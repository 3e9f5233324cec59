"""Numbers of the protocols above IP (IANA, Assigned Internet Protocol Numbers)."""

from typing import Final

PROTOCOL_ICMP: Final = 1
PROTOCOL_TCP: Final = 6
PROTOCOL_UDP: Final = 17
