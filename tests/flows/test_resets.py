"""Who sent a reset: the host's own, forged ones, and those of which one point cannot tell."""

from typing import Any

import pytest

from mixcni.flows import ResetTable, judge_resets, track_flows
from mixcni.schema import ResetOrigin, ResetReason
from tests.wire import MS, START, Conversation, Frame, decoded

HOST, MIDDLE, UNKNOWN = ResetOrigin.ENDPOINT, ResetOrigin.MIDDLEBOX, ResetOrigin.UNKNOWN


def asked(talk: Conversation, ip_id: int = 0) -> list[Frame]:
    """A handshake of 10 ms round trip behind a responder five hops away, and a request 50 ms later."""
    return [
        talk.say(0, "S", time_ns=START),
        talk.say(1, "SA", time_ns=START + 10 * MS, ttl=59, ip_id=ip_id),
        talk.say(0, "A", time_ns=START + 10 * MS),
        talk.say(0, "PA", b"GET / HTTP/1.1\r\n\r\n", time_ns=START + 60 * MS),
    ]


def reset(talk: Conversation, *, after: int = 70, ttl: int = 59, beyond: int = 0, **more: Any) -> Frame:
    return talk.segment(
        1, "RA", seq=talk.next[1] + beyond, ack=talk.next[0], time_ns=START + after * MS, ttl=ttl, window=0, **more
    )


def judged(tmp_path, frames: list[Frame]) -> ResetTable:
    return judge_resets(track_flows(decoded(tmp_path / "resets.pcap", frames)))


def origins(tmp_path, frames: list[Frame]) -> list[tuple[int, ResetReason]]:
    table = judged(tmp_path, frames)
    return [
        (origin, ResetReason(reasons))
        for origin, reasons in zip(table["origin"].tolist(), table["reasons"].tolist(), strict=True)
    ]


def test_a_hosts_own_reset_is_like_its_segments(tmp_path):
    talk = Conversation()
    assert origins(tmp_path, [*asked(talk), reset(talk)]) == [
        (HOST, ResetReason.SAME_TTL | ResetReason.SEQUENCE_DUE | ResetReason.SAME_MAC)
    ]


def test_an_identification_that_counts_on_is_the_hosts(tmp_path):
    talk = Conversation()
    ((origin, reasons),) = origins(tmp_path, [*asked(talk, ip_id=65_530), reset(talk, ip_id=3)])
    assert origin == HOST
    assert reasons & ResetReason.IP_ID_NEXT


def test_another_ttl_is_a_middleboxs(tmp_path):
    """Three hops nearer, sooner than the host answered the SYN, and with an identification of its own."""
    talk = Conversation()
    ((origin, reasons),) = origins(tmp_path, [*asked(talk, ip_id=100), reset(talk, ttl=62, after=62, ip_id=40_000)])
    assert origin == MIDDLE
    expected = ResetReason.OTHER_TTL | ResetReason.IP_ID_FAR | ResetReason.SEQUENCE_DUE | ResetReason.TOO_FAST
    assert reasons == expected | ResetReason.SAME_MAC


def test_a_host_that_sends_on_did_not_reset(tmp_path):
    talk = Conversation()
    frames = [*asked(talk), reset(talk, ttl=60)]
    ((origin, reasons),) = origins(tmp_path, [*frames, talk.say(1, "PA", bytes(99), time_ns=START + 80 * MS, ttl=59)])
    assert (origin, reasons & ResetReason.SENT_ON) == (MIDDLE, ResetReason.SENT_ON)


def test_octets_repeated_or_late_behind_a_reset_prove_nothing(tmp_path):
    talk = Conversation()
    frames = asked(talk)
    response = talk.say(1, "PA", bytes(99), time_ns=START + 80 * MS, ttl=59)
    assert [origin for origin, _ in origins(tmp_path, [*frames, response, reset(talk), response.at(START + 90 * MS)])] == [HOST]
    assert [origin for origin, _ in origins(tmp_path, [*frames, reset(talk), response])] == [UNKNOWN]  # the reset overtook it


def test_several_guesses_of_the_sequence_number_are_a_middleboxs(tmp_path):
    talk = Conversation()
    found = origins(tmp_path, [*asked(talk), *(reset(talk, after=70 + i, beyond=1460 * i) for i in range(3))])
    assert [origin for origin, _ in found] == [MIDDLE] * 3


def test_a_host_that_refuses_each_segment_is_not_guessing(tmp_path):
    """Its resets have the sequence numbers that its peer acknowledges (RFC 9293 section 3.5.2)."""
    talk = Conversation()
    frames = asked(talk)
    for i in range(3):
        frames.append(talk.say(1, "PA", bytes(10), time_ns=START + (70 + i) * MS, ttl=59))
        frames.append(talk.say(0, "A", time_ns=START + (80 + i) * MS))
        frames.append(reset(talk, after=90 + i))
    found = origins(tmp_path, frames)
    assert not any(reasons & ResetReason.SEVERAL_SEQUENCES for _, reasons in found)


@pytest.mark.parametrize("ttl", [1, 59, 64, 255])
def test_without_another_segment_of_its_side_nothing_is_said(tmp_path, ttl):
    talk = Conversation()
    frames = [talk.say(0, "S"), talk.segment(1, "RA", seq=0, ack=talk.next[0], time_ns=START + MS, ttl=ttl)]
    assert origins(tmp_path, frames) == [(UNKNOWN, ResetReason(0))]


def test_another_neighbour_is_told_and_proves_nothing(tmp_path):
    """Two routers on parallel paths have two hardware addresses."""
    talk = Conversation()
    frames = asked(talk)
    other = reset(talk)
    moved = other._replace(octets=other.octets[:6] + b"\x02\0\0\0\0\x09" + other.octets[12:])
    ((origin, reasons),) = origins(tmp_path, [*frames, moved])
    assert (origin, reasons & (ResetReason.SAME_MAC | ResetReason.OTHER_MAC)) == (HOST, ResetReason.OTHER_MAC)


def test_of_a_capture_that_is_gone_all_but_neighbours_is_told(tmp_path):
    talk = Conversation()
    flows = track_flows(decoded(tmp_path / "gone.pcap", [*asked(talk), reset(talk)]))
    (tmp_path / "gone.pcap").unlink()
    assert judge_resets(flows)["reasons"].tolist() == [ResetReason.SAME_TTL | ResetReason.SEQUENCE_DUE]


def test_one_hop_more_is_no_other_host(tmp_path):
    """Parallel paths may differ by a hop."""
    talk = Conversation()
    assert [origin for origin, _ in origins(tmp_path, [*asked(talk), reset(talk, ttl=60)])] == [HOST]


def test_a_like_identification_outweighs_another_ttl(tmp_path):
    talk = Conversation()
    assert [origin for origin, _ in origins(tmp_path, [*asked(talk, ip_id=9), reset(talk, ttl=250, ip_id=10)])] == [UNKNOWN]


def test_a_reset_of_the_initiator_and_a_copy_of_it(tmp_path):
    talk = Conversation()
    frames = [
        *asked(talk),
        talk.say(0, "R", time_ns=START + 70 * MS, ip_id=7),
        talk.segment(0, "R", seq=talk.next[0], time_ns=START + 70 * MS + 9, ip_id=7),
    ]
    table = judged(tmp_path, frames)
    assert (table["packet"].tolist(), table["direction"].tolist(), table["origin"].tolist()) == ([4], [0], [HOST])
