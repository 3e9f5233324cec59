"""The address book grows as addresses come, in every form, and gives each address one code, in order of appearance."""

import ipaddress

import pytest

from mixcni.decode.kernel import ADDRESSES_A_FRAME
from mixcni.kernels.codes import FEWEST_CODES
from tests.kernels.forms import FORMS, in_form
from tests.wire import START, decoded, icmp_error, udp_frame

FIRST_ROOM = FEWEST_CODES - ADDRESSES_A_FRAME


def address(number, version):
    """An address of its own for every number, its octets well mixed."""
    if version == 4:
        return str(ipaddress.IPv4Address(number * 2_654_435_761 % 2**32))
    return str(ipaddress.IPv6Address(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [FIRST_ROOM - 1, FIRST_ROOM, FIRST_ROOM + 1, 3000])
def test_each_address_has_one_code_in_order_of_appearance(tmp_path, form, count):
    """Each number talks to the one before it, so that every address comes twice, the second time perhaps after a growth."""
    names = [address(number, 4 if number % 3 else 6) for number in range(1, count + 1)]
    pairs = [(a, b) for a, b in zip(names[3:], names, strict=False) if (":" in a) == (":" in b)]
    expected = list(dict.fromkeys(name for pair in pairs for name in pair))
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", [udp_frame((a, 1), (b, 2)) for a, b in pairs])
    assert [table.book.text(code) for code in range(len(table.book))] == expected
    assert table.book.texts(table["source"]) == [a for a, _ in pairs]
    assert table.book.texts(table["destination"]) == [b for _, b in pairs]


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", range(FIRST_ROOM - 5, FIRST_ROOM + 2))
def test_a_frame_of_four_new_addresses_fits_at_every_filling(tmp_path, form, before):
    """An ICMP error brings its own two addresses and the two that it quotes; none may find the table full."""
    frames = [udp_frame((address(number, 4), 1), (address(1, 4), 2)) for number in range(1, before + 1)]
    quoted = udp_frame(("10.0.0.1", 7), ("10.0.0.2", 8), time_ns=START)
    frames += [icmp_error("10.0.0.3", "10.0.0.4", quoted), *frames]
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", frames)
    assert len(table.book) == before + 4
    assert table.book.texts(table.quotes["source"]) == ["10.0.0.1"]
    assert table.book.texts(table.quotes["destination"]) == ["10.0.0.2"]
    assert table.quotes["packet"].tolist() == [before]
    assert table["source"].tolist()[:before] == table["source"].tolist()[before + 1 :]
