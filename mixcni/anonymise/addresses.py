"""Addresses -> addresses, one to one, with as many leading bits in common as before.

The construction is that of Crypto-PAn (Xu, Fan, Ammar and Moon 2002, section 4): each bit is flipped or not as a keyed
pseudo-random function of the bits before it says. The function here is BLAKE2b with a key (RFC 7693 section 2.9) of Python's
standard library in place of AES: the proof asks for any pseudo-random function, and no library is added for it.

One thing is added. Where a block has a meaning of its own (private, loopback, multicast), the bits that lead to it stay, so that
a private address stays private and 0.0.0.0 stays 0.0.0.0. The map is still one to one, and prefixes are kept as before.
"""

import hashlib
import ipaddress
from typing import Final

from mixcni.topology import Address, Network

KEY_OCTETS: Final = 32
KEPT: Final = tuple(  # every address in these stays what it is: they name nobody
    map(
        ipaddress.ip_network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/96", "ff00::/8"),
    )
)
WITHIN: Final = tuple(  # an address in one of these stays in it
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
            *("::ffff:0:0/96", "64:ff9b::/96", "2000::/3", "fc00::/7", "fe80::/10"),
        ),
    )
)
SOLICITED: Final = ipaddress.ip_network("ff02::1:ff00:0/104")  # ends in 24 bits of somebody's address (RFC 4291 section 2.7.1)
EMBEDDED: Final = tuple(map(ipaddress.ip_network, ("::ffff:0:0/96", "64:ff9b::/96")))  # end in an IPv4 address


class AddressMap:
    """A one-to-one map of addresses, decided by `key`.

    Parameters
    ----------
    key : 32 octets
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[bytes, bytes] = {}
        self._flips: dict[tuple[int, int, int], int] = {}

    def packed(self, octets: bytes) -> bytes:
        """The address that stands for one of 4 or 16 octets."""
        found = self._known.get(octets)
        if found is None:
            found = self._known[octets] = self._mapped(ipaddress.ip_address(octets)).packed
        return found

    def address(self, address: Address) -> Address:
        """The address that stands for `address`."""
        return ipaddress.ip_address(self.packed(address.packed))

    def network(self, network: Network) -> Network:
        """The network that stands for `network`: of the same length, with all its addresses in it."""
        return ipaddress.ip_network((self.packed(network.network_address.packed), network.prefixlen), strict=False)

    def _mapped(self, address: Address) -> Address:
        for block in EMBEDDED:
            if address in block:
                return ipaddress.ip_address(address.packed[:12] + self.packed(address.packed[12:]))
        bits = address.max_prefixlen
        if address in SOLICITED:
            return ipaddress.ip_address(self._flipped(int(address), bits, 104).to_bytes(16, "big"))
        if any(address in block for block in KEPT):
            return address
        own = next((block.prefixlen for block in WITHIN if address in block), 0)
        value = self._flipped(int(address), bits, own)
        return ipaddress.ip_address(value.to_bytes(bits // 8, "big"))

    def _flipped(self, value: int, bits: int, begin: int) -> int:
        """`value` with its bits from `begin` on flipped where the function of the bits before says so."""
        out = value
        for at in range(begin, bits):
            before = value >> (bits - at)
            if self._flip(bits, at, before):
                out ^= 1 << (bits - 1 - at)
        return out

    def _flip(self, bits: int, at: int, before: int) -> int:
        key = bits, at, before
        found = self._flips.get(key)
        if found is None:
            if leads_to_a_block(bits, at, before):
                found = 0
            else:
                text = at.to_bytes(1, "big") + before.to_bytes(bits // 8, "big")
                found = hashlib.blake2b(text, digest_size=1, key=self._key, person=b"address%d" % bits).digest()[0] & 1
            self._flips[key] = found
        return found


def leads_to_a_block(bits: int, at: int, before: int) -> bool:
    """Whether the `at` bits `before` are the beginning of a block's prefix and not all of it: the next bit stays then."""
    return any(
        block.max_prefixlen == bits and at < block.prefixlen and int(block.network_address) >> (bits - at) == before
        for block in (*KEPT, *WITHIN)
    )
