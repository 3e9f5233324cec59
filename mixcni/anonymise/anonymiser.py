"""All that is replaced by one key: addresses, hardware addresses, names, frames and text."""

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Iterable
from typing import Final

from mixcni.anonymise.addresses import KEY_OCTETS, AddressMap
from mixcni.anonymise.frames import FrameMask
from mixcni.anonymise.names import NameMap
from mixcni.errors import ParameterError
from mixcni.topology import Address, Network

MAC_GROUP: Final = 0x01
MAC_LOCAL: Final = 0x02
KEPT_MACS: Final = (bytes(6), b"\xff" * 6)
KEPT_MAC_PREFIXES: Final = (b"\x01\x00\x5e", b"\x01\x80\xc2")  # IPv4 multicast (RFC 1112), bridges
IPV6_MULTICAST: Final = b"\x33\x33"  # RFC 2464 section 7: four octets of the address follow

ADDRESS: Final = re.compile(
    r"(?<![\w:.])(?P<mac>(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})(?![\w:])"
    r"|(?<![\w.:])(?P<v4>\d{1,3}(?:\.\d{1,3}){3})(?P<v4_length>/\d{1,2})?(?!\d|\.\d)"
    r"|(?<![\w:.])(?P<v6>(?=[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:)[0-9A-Fa-f:]+(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?)(?P<v6_length>/\d{1,3})?(?![\w:])"
)


class Anonymiser:
    """What decides which address and which name becomes which.

    Parameters
    ----------
    key : at least 16 octets; None: random, and forgotten with this object
    names : of nodes and hosts, replaced wherever they stand

    Raises
    ------
    ParameterError : the key is shorter

    Examples
    --------
    >>> mask = Anonymiser(bytes(32))
    >>> str(mask.address(ipaddress.ip_address("10.0.0.1"))).startswith("10.")
    True
    """

    def __init__(self, key: bytes | None = None, names: Iterable[str] = ()) -> None:
        if key is None:
            key = secrets.token_bytes(KEY_OCTETS)
        if len(key) < KEY_OCTETS // 2:
            raise ParameterError(f"a key has at least {KEY_OCTETS // 2} octets, got {len(key)}")
        self._key = hashlib.blake2b(key, digest_size=KEY_OCTETS, person=b"mixcni").digest()
        self._addresses = AddressMap(self._key)
        self._names = NameMap(self._key, names)
        self._macs: dict[bytes, bytes] = {}
        self._frames = FrameMask(self._addresses.packed, self.mac)

    def address(self, address: Address) -> Address:
        """The address that stands for one."""
        return self._addresses.address(address)

    def network(self, network: Network) -> Network:
        """The network that stands for one, of the same length."""
        return self._addresses.network(network)

    def name(self, name: str) -> str:
        """The word that stands for a name."""
        return self._names.name(name)

    def mac(self, octets: bytes) -> bytes:
        """The hardware address that stands for one of 6 octets; broadcast and the addresses of protocols stay.

        It is marked as locally administered (IEEE 802), so that no maker is taken from it.
        """
        if octets in KEPT_MACS or octets[:3] in KEPT_MAC_PREFIXES:
            return octets
        found = self._macs.get(octets)
        if found is None:
            digest = hashlib.blake2b(octets, digest_size=6, key=self._key, person=b"mac").digest()
            if octets[:2] == IPV6_MULTICAST:
                found = IPV6_MULTICAST + digest[2:]
            else:
                found = bytes([digest[0] & ~MAC_GROUP | octets[0] & MAC_GROUP | MAC_LOCAL]) + digest[1:]
            self._macs[octets] = found
        return found

    def frame(self, octets: bytes, link_type: int, original_length: int) -> bytes:
        """The frame with its addresses replaced and its payload removed, as long as it was."""
        return self._frames.frame(octets, link_type, original_length)

    def text(self, text: str) -> str:
        """The text with its addresses, labels and known names replaced."""
        return ADDRESS.sub(self._address_text, self._names.text(text))

    def _address_text(self, match: re.Match[str]) -> str:
        if match["mac"]:
            separator = match["mac"][2]
            return self.mac(bytes.fromhex(match["mac"].replace(separator, ""))).hex(separator)
        text, length = (match["v4"], match["v4_length"]) if match["v4"] else (match["v6"], match["v6_length"])
        try:
            address = ipaddress.ip_address(text)
        except ValueError:  # a time, a version: no address
            return match[0]
        if length is None:
            return str(self.address(address))
        try:
            network: Network = ipaddress.ip_network((address, int(length[1:])))
        except ValueError:  # host bits behind the prefix: an interface's address
            return f"{self.address(address)}{length}"
        return f"{self.network(network).network_address}{length}"
