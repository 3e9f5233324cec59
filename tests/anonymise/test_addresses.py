"""The address map: one to one, prefixes kept, blocks with a meaning of their own kept."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.anonymise.addresses import KEPT, WITHIN, AddressMap, leads_to_a_block
from mixcni.anonymise.checksums import checksum

KEY = bytes(range(32))
V4, V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
MAP = AddressMap(KEY)


def common_bits(a: int, b: int, bits: int) -> int:
    return bits - (a ^ b).bit_length()


@given(st.one_of(st.tuples(V4, V4), st.tuples(V6, V6)))
def test_two_addresses_have_as_many_leading_bits_in_common_as_before(pair) -> None:
    a, b = pair
    embedded = [block for block in map(ipaddress.ip_network, ("::ffff:0:0/96", "64:ff9b::/96")) if a in block or b in block]
    if embedded:
        return
    bits = a.max_prefixlen
    assert common_bits(int(MAP.address(a)), int(MAP.address(b)), bits) == common_bits(int(a), int(b), bits)


@pytest.mark.parametrize(
    "base", ["10.244.3.0", "9.255.255.0", "172.15.255.0", "192.167.255.0", "223.255.255.0", "fd00::", "2001:db8::"]
)
def test_neighbours_at_the_edges_of_blocks_keep_their_distance(base: str) -> None:
    first = ipaddress.ip_address(base)
    some = [first + i * 37 for i in range(24)]
    for a, b in itertools.combinations(some, 2):
        bits = a.max_prefixlen
        assert common_bits(int(MAP.address(a)), int(MAP.address(b)), bits) == common_bits(int(a), int(b), bits)


@pytest.mark.parametrize(
    "kept",
    ["0.0.0.0", "127.0.0.1", "169.254.169.254", "224.0.0.5", "239.1.2.3", "255.255.255.255", "::", "::1", "ff02::1", "ff02::2"],
)
def test_addresses_that_name_nobody_stay(kept: str) -> None:
    assert str(MAP.address(ipaddress.ip_address(kept))) == kept


@pytest.mark.parametrize(
    "block", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10", "2000::/3"]
)
def test_a_block_stays_itself_and_a_network_in_it_a_network(block: str) -> None:
    network = ipaddress.ip_network(block)
    assert MAP.network(network) == network
    inside = ipaddress.ip_network((network.network_address, network.prefixlen + 8))
    mapped = MAP.network(inside)
    assert mapped.prefixlen == inside.prefixlen
    assert all(MAP.address(inside[i]) in mapped for i in (0, 1, 77, -1))
    assert mapped != inside


def test_no_address_enters_or_leaves_a_block_that_means_something() -> None:
    blocks = [block for block in (*KEPT, *WITHIN) if block.version == 4]
    for i in range(0, 2**32, 2**32 // 3001):
        address = ipaddress.ip_address(i)
        mapped = MAP.address(address)
        assert [mapped in block for block in blocks] == [address in block for block in blocks]


def test_all_of_a_small_network_are_mapped_one_to_one() -> None:
    mapped = {MAP.address(address) for address in ipaddress.ip_network("203.0.113.0/24")}
    assert len(mapped) == 256
    assert mapped == set(MAP.network(ipaddress.ip_network("203.0.113.0/24")))


def test_an_ipv4_address_within_an_ipv6_one_is_mapped_as_by_itself() -> None:
    plain = MAP.address(ipaddress.ip_address("10.244.3.7"))
    assert MAP.address(ipaddress.ip_address("::ffff:10.244.3.7")) == ipaddress.ip_address(f"::ffff:{plain}")
    assert MAP.address(ipaddress.ip_address("64:ff9b::10.244.3.7")).packed[12:] == plain.packed


def test_a_solicited_node_address_gives_no_address_away() -> None:
    """RFC 4291 section 2.7.1: it ends in the low 24 bits of the address that is asked for."""
    asked = ipaddress.ip_address("ff02::1:ff28:9c5a")
    assert MAP.address(asked) != asked
    assert MAP.address(asked) in ipaddress.ip_network("ff02::1:ff00:0/104")


def test_another_key_gives_other_addresses_and_the_same_key_the_same() -> None:
    address = ipaddress.ip_address("10.244.3.7")
    assert AddressMap(KEY).address(address) == MAP.address(address)
    assert len({AddressMap(bytes([i] * 32)).address(address) for i in range(20)}) > 15


def test_the_next_bit_stays_on_the_way_to_a_block_and_nowhere_else() -> None:
    assert leads_to_a_block(32, 7, 10 >> 1)
    assert not leads_to_a_block(32, 8, 10)
    assert not leads_to_a_block(32, 8, 11)


def test_the_checksum_is_rfc_1071s() -> None:
    """RFC 1071 section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert checksum(b"") == checksum(bytes(6)) == 0xFFFF
    assert checksum(b"\xff\xff") == 0


@given(st.binary(max_size=64))
def test_octets_with_their_checksum_behind_them_sum_to_nothing(octets: bytes) -> None:
    even = octets + bytes(len(octets) % 2)
    assert checksum(even + checksum(even).to_bytes(2, "big")) in (0, 0xFFFF)
    words = sum(int.from_bytes(even[i : i + 2], "big") for i in range(0, len(even), 2))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    assert checksum(even) == 0xFFFF - words
