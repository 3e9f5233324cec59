"""ICMP message types by the names that Cilium's policies give them (IANA, "ICMP Parameters" and "ICMPv6 Parameters")."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_V4: Final[Mapping[str, int]] = MappingProxyType({
    "EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8, "RouterAdvertisement": 9,
    "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12, "Timestamp": 13, "TimestampReply": 14, "Photuris": 40,
    "ExtendedEchoRequest": 42, "ExtendedEcho Request": 42, "ExtendedEchoReply": 43, "ExtendedEcho Reply": 43,
})  # fmt: skip
_V6: Final[Mapping[str, int]] = MappingProxyType({
    "DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4, "EchoRequest": 128,
    "EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131, "MulticastListenerDone": 132,
    "RouterSolicitation": 133, "RouterAdvertisement": 134, "NeighborSolicitation": 135, "NeighborAdvertisement": 136,
    "RedirectMessage": 137, "RouterRenumbering": 138, "ICMPNodeInformationQuery": 139, "ICMPNodeInformationResponse": 140,
    "InverseNeighborDiscoverySolicitation": 141, "InverseNeighborDiscoveryAdvertisement": 142,
    "HomeAgentAddressDiscoveryRequest": 144, "HomeAgentAddressDiscoveryReply": 145, "MobilePrefixSolicitation": 146,
    "MobilePrefixAdvertisement": 147, "DuplicateAddressRequestCodeSuffix": 157, "DuplicateAddressConfirmationCodeSuffix": 158,
    "ExtendedEchoRequest": 160, "ExtendedEchoReply": 161,
})  # fmt: skip


def icmp_type(family: str, value: int | str) -> tuple[str, int | None]:
    """Protocol in capitals and number of a message type; None for a name that the family does not have."""
    is_v6 = family == "IPv6"
    if isinstance(value, str) and not value.isdecimal():
        return ("ICMPV6", _V6.get(value)) if is_v6 else ("ICMP", _V4.get(value))
    return ("ICMPV6" if is_v6 else "ICMP"), int(value)
