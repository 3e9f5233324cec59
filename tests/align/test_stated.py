"""What a NAT table states raises what packets say: it chooses among several that may be one, and outvotes no packet."""

import ipaddress
from pathlib import Path

import pytest

import mixcni
from mixcni.align import align_points
from mixcni.align.alignment import Alignment
from mixcni.schema import Evidence
from mixcni.topology import Translation
from tests.align.test_datagrams import datagram
from tests.scene import End, Sent, Talk, captured, tracked
from tests.wire import write_pcap

CLIENT, POD, VIP, NODE = "10.244.3.7", "10.242.2.149", "10.96.0.20", "10.118.201.53"
BEFORE: tuple[End, End] = ((CLIENT, 41_001), (VIP, 80))
TWINS: tuple[tuple[End, End], ...] = tuple(((NODE, 62_002 + i), (POD, 8080)) for i in (0, 1))


def stated(before: tuple[End, End], behind: tuple[End, End], protocol: int = 6) -> Translation:
    ends = [tuple((ipaddress.ip_address(address), port) for address, port in pair) for pair in (before, behind)]
    return Translation(protocol, ends[0], ends[1], "nat.txt", 7)  # type: ignore[arg-type]


def known() -> list[Sent]:
    """A connection that joins the clocks."""
    talk = Talk(initiator=(CLIENT, 41_000), responder=(POD, 9090))
    talk.handshake(0)
    for i in range(4):
        talk.exchange(100 + 100 * i)
    return talk.sent


def twins(irs: tuple[int, int] | None = None) -> list[Sent]:
    """One connection before the NAT, and two behind it that both have its ISS; and replies, where `irs` gives their numbers."""
    before = Talk(initiator=BEFORE[0], responder=BEFORE[1], iss=99, irs=500)
    before.say(500, 0, "S", missed="C")
    before.say(510, 1, "SA", missed="C" if irs else "ABC")
    sent = [*known(), *before.sent]
    for i, ends in enumerate(TWINS):
        twin = Talk(initiator=ends[0], responder=ends[1], iss=99, irs=(irs or (500, 500))[i])
        twin.say(500 + 200 * i, 0, "S", missed="AB")
        twin.say(510 + 200 * i, 1, "SA", missed="AB" if irs else "ABC")
        sent += twin.sent
    return sent


def aligned(sent: list[Sent], *translations: Translation) -> Alignment:
    frames = captured(sent)
    return align_points(list(frames), tracked(frames), translations=translations)


def port_at_c(alignment: Alignment) -> list[int]:
    """The ports behind the NAT of what A knows by its port."""
    rows = alignment.conversations["initiator_port"] == BEFORE[0][1]
    return [int(port) for port in alignment.conversations.ends.initiator_port[rows, 2]]


@pytest.mark.parametrize("twin", [0, 1])
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_that_may_be_it_the_one_that_a_table_states_is_it(twin: int, turned: bool) -> None:
    pair = (BEFORE, TWINS[twin])
    translation = stated(*(ends[::-1] for ends in pair) if turned else pair)
    alignment = aligned(twins(), translation)
    assert port_at_c(alignment) == [TWINS[twin][0][1]]
    row = alignment.conversations["initiator_port"].tolist().index(BEFORE[0][1])
    assert Evidence.TABLE in Evidence(int(alignment.conversations["evidence"][row]))
    assert alignment.conversations["evidence_bits"][row] == 44 + 24
    assert alignment.conversations.stated == (translation,)
    assert len(alignment.candidates) == 0


def test_what_no_table_states_is_listed_and_not_guessed() -> None:
    other = stated(((CLIENT, 41_999), (VIP, 80)), TWINS[0])
    for translations in ((), (other,)):
        alignment = aligned(twins(), *translations)
        assert port_at_c(alignment) == [0]
        assert len(alignment.candidates) == 4
        assert alignment.conversations.stated == ()


def test_a_table_outvotes_no_number() -> None:
    """The first twin's responder chose another number: whatever a table says, that is another connection."""
    alignment = aligned(twins((700, 500)), stated(BEFORE, TWINS[0]))
    assert port_at_c(alignment) == [TWINS[1][0][1]]
    assert alignment.conversations.stated == ()


def test_what_packets_alone_decide_rests_on_no_table() -> None:
    seen_as = {"C": {(CLIENT, 41_000): (NODE, 62_000)}}
    frames = captured(known(), seen_as=seen_as)
    translation = stated(((CLIENT, 41_000), (POD, 9090)), ((NODE, 62_000), (POD, 9090)))
    alignment = align_points(list(frames), tracked(frames), translations=[translation])
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0]]
    assert alignment.conversations.stated == ()


def asked(count: int, octets: int = 32) -> list[Sent]:
    """Questions and replies of as many clients at nearly one time, without IP identifications and of equal lengths."""
    sent = []
    for i in range(count):
        client = (f"10.244.3.{10 + i}", 40_000)
        sent.append(Sent(datagram(client, (VIP, 53), 1_000 + i, 0, octets), 0))
        sent.append(Sent(datagram((VIP, 53), client, 1_020 + i, 0, 48), 1))
    return sent


def masqueraded(i: int) -> tuple[tuple[End, End], tuple[End, End]]:
    return ((f"10.244.3.{10 + i}", 40_000), (VIP, 53)), ((NODE, 50_000 + 7 * i % 20), (VIP, 53))


def test_datagrams_that_look_alike_are_told_apart_by_a_table() -> None:
    pairs = [masqueraded(i) for i in range(4)]
    seen_as = {"C": {before[0]: behind[0] for before, behind in pairs}}
    frames = captured([*known(), *asked(4)], seen_as=seen_as)
    flows = tracked(frames)
    alone = align_points(list(frames), flows).conversations
    assert not alone.is_rewritten.any()
    table = align_points(list(frames), flows, translations=[stated(*pair, 17) for pair in pairs]).conversations
    rows = table["protocol"] == 17
    assert (table.flow_of[rows] >= 0).all()
    joined = dict(zip(table.book.texts(table["initiator"][rows]), table.ends.initiator_port[rows, 2].tolist(), strict=True))
    assert joined == {before[0][0]: behind[0][1] for before, behind in pairs}


def test_datagrams_of_other_lengths_are_not_what_a_table_of_another_moment_states() -> None:
    before, behind = masqueraded(0)
    there = [Sent(datagram(*behind, 1_000, 0, 90), 0, missed="AB")]
    here = [Sent(one.frame, one.side, missed="C") for one in asked(1)]
    frames = captured([*known(), *here, *there])
    table = align_points(list(frames), tracked(frames), translations=[stated(before, behind, 17)]).conversations
    assert not table.is_rewritten.any()


def test_the_report_says_which_line_joined_what_packets_do_not(tmp_path: Path) -> None:
    frames = captured(twins())
    for name, of_point in frames.items():
        write_pcap(tmp_path / f"{name}.pcap", of_point)
    (before, asked_for), (behind, answering) = BEFORE, TWINS[1]
    original = f"src={before[0]} dst={asked_for[0]} sport={before[1]} dport={asked_for[1]}"
    reply = f"src={answering[0]} dst={behind[0]} sport={answering[1]} dport={behind[1]}"
    (tmp_path / "conntrack.txt").write_text(f"tcp      6 117 SYN_SENT {original} [UNREPLIED] {reply} mark=0 use=1\n")
    said = [text for text in mixcni.diagnose(tmp_path).assumptions if "tables state" in text]
    what = "1 conversation under two pairs of ends taken to be one by what tables state"
    assert said == [f"{what}, where packets alone do not decide: conntrack.txt:1"]
