"""A firewall that chooses other initial sequence numbers, or takes options out of a SYN, does not make two connections of one."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from tests.localise.test_fates import ANSWERED, CLIENT, END_MS, POINTS, SERVER, background, lost
from tests.scene import Scene, Talk, captured, scene_of
from tests.wire import MS, Frame

MOVED = (3_000_000_000, 77_777)  # of the initiator's numbers, and of the responder's
NODE, POD = "10.118.201.53", "10.242.2.200"
SERVER_PORT = (8080).to_bytes(2)


def renumbered(frame: Frame) -> Frame:
    """A frame as it is behind the firewall: each side's SEQ is moved, and with it the other's ACK (but not in a bare SYN)."""
    octets = bytearray(frame.octets)
    ours, theirs = MOVED[::-1] if octets[34:36] == SERVER_PORT else MOVED
    for at, moved in ((38, ours), (42, theirs if octets[47] & 0x10 else 0)):
        octets[at : at + 4] = ((int.from_bytes(octets[at : at + 4]) + moved) % 2**32).to_bytes(4)
    return Frame(frame.time_ns, bytes(octets))


def answered_late(port: int, hop: str, *, stamped: int = 1_000_000) -> Talk:
    """A connection whose response is lost on a hop; on none: it is answered to the end of the captures."""
    talk = Talk(initiator=(CLIENT, port), stamped=stamped)
    talk.handshake(1000)
    asked = talk.say(1100, 0, "PA", 100)
    replied = talk.say(1110, 1, "PA", 200, lost=hop)
    for ms in (1400, 2000, 4000) if hop else ():
        talk.again(ms, asked)
        talk.again(ms + 10, replied, lost=hop)
    if not hop:
        talk.exchange(END_MS)
    return talk


def unbegun(port: int, hop: str) -> Talk:
    """The same, and no capture has its handshake."""
    talk = answered_late(port, hop)
    talk.sent = talk.sent[3:]
    return talk


def unasked(port: int, hop: str) -> Talk:
    """A connection whose SYN-ACK is lost on a hop."""
    talk = Talk(initiator=(CLIENT, port), stamped=2_000_000)
    asked = talk.say(1000, 0, "S")
    replied = talk.say(1010, 1, "SA", lost=hop)
    for ms in (2000, 4000):
        talk.again(ms, asked)
        talk.again(ms + 10, replied, lost=hop)
    return talk


def behind_firewall(*talks: Talk) -> Scene:
    """B and C stand behind it."""
    frames = captured([one for talk in talks for one in talk.sent])
    return scene_of({"A": frames["A"]} | {name: [renumbered(frame) for frame in frames[name]] for name in "BC"}, POINTS)


@pytest.mark.parametrize("hop", ["AB", "BC"])
@pytest.mark.parametrize("failing", [answered_late, unasked])
def test_renumbered_connections_lose_responses_where_they_do(failing: Callable[[int, str], Talk], hop: str) -> None:
    seen = behind_firewall(answered_late(42_000, ""), failing(43_000, hop))
    assert len(seen.alignment.conversations) == 2
    told = [seen.told(row)[-1] for row in (0, 1)]
    assert sorted(told) == [ANSWERED, lost(hop, "response")]


@pytest.mark.parametrize("talk", [unbegun, partial(answered_late, stamped=0)], ids=["in its midst", "without timestamps"])
def test_what_may_be_a_renumbered_connection_is_blamed_on_nobody(talk: Callable[[int, str], Talk]) -> None:
    seen = behind_firewall(talk(42_000, ""), talk(43_000, "AB"))
    assert seen.localisation.losses == ()
    assert len(seen.alignment.candidates) == 4  # two pairs, each way round


def test_the_next_connection_of_a_port_is_not_the_renumbered_one() -> None:
    first = Talk(initiator=(CLIENT, 43_000), iss=77)
    first.repeated((1000, 2000), 0, "S", lost="AB")
    second = Talk(initiator=(CLIENT, 43_000), iss=900_000)
    second.handshake(20_000)
    second.exchange(20_100)
    second.sent = [replace(one, missed="A") for one in second.sent]
    seen = scene_of(captured([*background().sent, *first.sent, *second.sent]), POINTS)
    assert len(seen.alignment.conversations) == 3


def stripped(frame: Frame) -> Frame:
    """A frame whose timestamps are NOPs (RFC 7323 section 3.2)."""
    return Frame(frame.time_ns, re.sub(rb"\x08\x0a.{8}", b"\1" * 10, frame.octets, flags=re.DOTALL))


def test_a_syn_whose_timestamps_are_taken_out_at_a_nat_is_the_same_connection() -> None:
    """The NAT changes both ends, so that but one initial number is common where the SYN-ACK is lost."""
    ends = {(CLIENT, 43_000): (NODE, 2000), (CLIENT, 42_000): (NODE, 3000), (SERVER, 8080): (POD, 80)}
    frames = captured([*background().sent, *unasked(43_000, "AB").sent], seen_as={"B": ends, "C": ends})
    seen = scene_of({"A": frames["A"]} | {name: [stripped(frame) for frame in frames[name]] for name in "BC"})
    assert seen.told(1) == [lost("AB", "response")]


def proxied(port: int, *, lost: bool) -> dict[str, list[Frame]]:
    """A SYN proxy between A and B speaks for the responder, then opens a connection of its own with the initiator's number."""
    near, far = (Talk(initiator=(CLIENT, port), iss=port, irs=irs) for irs in (1, 900_000))
    for talk, begun, late in ((near, (1000, 1001, 1011), 0), (far, (1012, 1020, 1021), 1)):
        for ms, side, flags in zip(begun, (0, 1, 0), ("S", "SA", "A"), strict=True):
            talk.say(ms, side, flags)
        asked = talk.say(1100 + late, 0, "PA", 100)
        replied = talk.say(1112 - late, 1, "PA", 200)
        for ms in (1400, 2000, 4000) if lost else ():
            talk.again(ms + late, asked)
            talk.again(ms + 12 - late, replied)
        if not lost:
            talk.say(1113 + late, 0, "A")
            talk.say(END_MS + late, 0, "PA", 100)
            talk.say(END_MS + 12 - late, 1, "PA", 200)
    heard = [one.frame for one in near.sent if not lost or one.side == 0 or one.frame.time_ns < near.sent[3].frame.time_ns]
    return {"A": heard, "B": [one.frame for one in far.sent]}


def test_behind_a_syn_proxy_a_response_is_lost_where_it_is_and_handshakes_tell_nothing_of_clocks() -> None:
    parts = [proxied(42_000, lost=False), proxied(43_000, lost=True)]
    frames = {name: sorted((frame for part in parts for frame in part[name]), key=lambda frame: frame.time_ns) for name in "AB"}
    seen = scene_of(frames)
    told = [seen.told(row)[-1] for row in (0, 1)]
    assert sorted(told) == [ANSWERED, lost("AB", "response")]
    clock = seen.alignment.clocks[1]
    assert clock.uncertainty_ns is not None
    assert abs(clock.offset_ns) <= clock.uncertainty_ns < 10 * MS
