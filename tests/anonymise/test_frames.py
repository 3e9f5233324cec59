"""Frames: decoding finds the same in them as before, but for the addresses; and nothing else of them is left."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.anonymise import Anonymiser
from mixcni.anonymise.frames import KEPT_LINKS
from mixcni.decode import PacketTable, decode_packets
from mixcni.errors import CaptureError
from mixcni.read import CaptureFile
from mixcni.report.pcapng import InterfaceBlock, PacketBlock, write_pcapng
from tests.cases import CAPTURES, FOUNDING, ROOT
from tests.decode.links import LINKS
from tests.wire import Conversation, Frame, decoded, icmp_error, ip_frame, write_pcap

SAMPLES = sorted(p for p in (ROOT / "tests/samples/pcaps").iterdir() if ".pcap" in p.name)
MASK = Anonymiser(bytes(range(32)))
ENDS = ("source", "destination")
SECRET = b"SECRET-payload-in-clear"


def frames_of(path: Path) -> list[tuple[int, bytes, int, int, int]]:
    """(interface, octets, time, original length, link type) of each frame."""
    found = []
    for block in CaptureFile(path).blocks():
        frames = block.frames
        for i in range(frames.start.size):
            octets = block.octets[int(frames.start[i]) :][: int(frames.captured[i])].tobytes()
            row = (frames.interface[i], frames.time_ns[i], frames.original[i], frames.link_type[i])
            interface, time, original, link_type = map(int, row)
            found.append((interface, octets, time, original, link_type))
    return found


def masked_copy(path: Path, target: Path) -> Path:
    frames = frames_of(path)
    kinds = sorted({frame[4] for frame in frames})
    with target.open("wb") as stream:
        write_pcapng(
            stream,
            [InterfaceBlock("", "", kind) for kind in kinds],
            [
                PacketBlock(kinds.index(kind), time, original, MASK.frame(octets, kind, original), "")
                for _, octets, time, original, kind in frames
            ],
            program="",
            comment="",
        )
    return target


def facts_of(table: PacketTable, *, mapped: bool) -> dict[str, list[object]]:
    """All that decoding says of packets, addresses as they are to be."""

    def address(code: int) -> str:
        if code < 0:
            return "-"
        return str(MASK.address(table.book.address(code)) if mapped else table.book.address(code))

    found: dict[str, list[object]] = {}
    for name in table:
        if name in {"interface", "file", "stack"}:
            continue
        column = table[name]
        found[name] = [address(code) for code in column.tolist()] if name in {"source", "destination"} else column.tolist()
    layers = []
    for stack in table["stack"].tolist():
        rows = table.stacks.layers(stack)
        layers.append(
            [
                (*(int(table.stacks[n][r]) for n in ("kind", "identifier")), *(address(int(table.stacks[e][r])) for e in ENDS))
                for r in rows
            ]
        )  # fmt: skip
    found["stack"] = list(layers)
    for side in (table.quotes, table.options, table.timestamps, table.sacks, table.neighbours):
        for name in side:
            values = side[name].tolist()
            if name in {"source", "destination", "sender", "target"}:
                values = [address(code) for code in values]
            if name != "mac":
                found[f"{type(side).__name__}.{name}"] = values
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_decoding_finds_the_same_headers_with_other_addresses(path: Path, tmp_path: Path) -> None:
    try:
        before = decode_packets([CaptureFile(path)])
    except CaptureError:
        pytest.skip("no capture")
    after = decode_packets([CaptureFile(masked_copy(path, tmp_path / "masked.pcapng"), strict=True)])
    wanted, found = facts_of(before, mapped=True), facts_of(after, mapped=False)
    if -1 in wanted["time_ns"]:
        del wanted["time_ns"], found["time_ns"]
    for name, values in wanted.items():
        wrong = [i for i, (a, b) in enumerate(zip(values, found[name], strict=True)) if a != b]
        assert not wrong, f"{name}, row {wrong[0]}: {values[wrong[0]]} became {found[name][wrong[0]]}"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_no_frame_keeps_an_address_or_a_run_of_its_payload(path: Path) -> None:
    """Octets that stay are headers: no eight letters in a row do, and no unicast hardware address."""
    try:
        frames = frames_of(path)
    except CaptureError:
        pytest.skip("no capture")
    for _, octets, _, original, kind in frames:
        masked = MASK.frame(octets, kind, original)
        assert len(masked) == len(octets)
        runs = bytes(c if 0x20 <= c < 0x7F else 0 for c in masked).split(b"\0")
        assert max(map(len, runs)) < 24
        if kind == 1 and len(octets) >= 14 and octets[:6] not in (bytes(6), b"\xff" * 6) and not octets[0] & 1:
            assert masked[:6] != octets[:6]


def test_payload_is_zeros_and_the_headers_are_not(tmp_path: Path) -> None:
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "PA", SECRET * 3), talk.say(1, "PA", SECRET)]
    frames.append(icmp_error("10.0.0.1", "10.244.3.7", frames[3], quote_octets=200))
    for frame in frames:
        masked = MASK.frame(frame.octets, 1, len(frame.octets))
        assert b"SECRET" not in masked
        assert masked[14 + 20 :][:2] == frame.octets[14 + 20 :][:2]
    table = decoded(tmp_path / "x.pcap", [Frame(f.time_ns, MASK.frame(f.octets, 1, len(f.octets))) for f in frames])
    assert table["payload_octets"][:5].tolist() == [0, 0, 0, 3 * len(SECRET), len(SECRET)]
    assert len(table.quotes) == 1


@pytest.mark.tshark
@pytest.mark.parametrize(
    "path",
    [
        CAPTURES / FOUNDING / "C.pcap",
        *(path for path in SAMPLES if path.stem in {"vxlan-http", "geneve", "gre-teb-http", "icmp-quotes-tcp", "sll-websocket"}),
        *(
            path
            for path in SAMPLES
            if path.stem in {"ipv6-in-ipv6", "ipip", "raw-ip-http", "mpls-vlan", "ipv6-extension-headers"}
        ),
    ],
    ids=lambda path: path.name,
)
def test_tshark_finds_no_checksum_wrong(path: Path, tmp_path: Path) -> None:
    target = masked_copy(path, tmp_path / "masked.pcapng")
    status = "checksum.status"
    wrong = " || ".join(f"{name}.{status} == 0" for name in ("ip", "tcp", "udp", "icmp", "icmpv6"))
    checks = [option for name in ("ip", "tcp", "udp") for option in ("-o", f"{name}.check_checksum:TRUE")]
    fields = ["-T", "fields", "-e", "frame.number", "-e", "frame.protocols"]
    done = subprocess.run(
        ["tshark", "-r", target, *checks, "-Y", f"({wrong}) && !icmp.type in {{3, 11}}", *fields],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""


@pytest.mark.parametrize("name", [name for name, (link_type, *_) in LINKS.items() if link_type not in KEPT_LINKS])
def test_of_link_types_whose_addresses_are_not_known_nothing_is_kept(name: str) -> None:
    link_type, octets, *_ = LINKS[name]
    assert MASK.frame(octets, link_type, len(octets)) == bytes(len(octets))


@pytest.mark.parametrize(
    ("name", "at"),
    [("Broadcom's tag", 0), ("Broadcom's tag in front", 4), ("Marvell's tag", 0), ("Marvell's extended tag", 0)],
)
def test_hardware_addresses_beside_a_switchs_tag_are_replaced(name: str, at: int) -> None:
    link_type, octets, *_ = LINKS[name]
    masked = MASK.frame(octets, link_type, len(octets))
    assert masked[at : at + 12] == b"".join(MASK.mac(octets[place : place + 6]) for place in (at, at + 6)) != octets[at : at + 12]
    assert (masked[:at], masked[at + 12 : at + 18]) == (octets[:at], octets[at + 12 : at + 18])


@pytest.mark.parametrize("name", ["Teredo", "Teredo with an origin"])
def test_what_teredo_carries_is_not_kept(name: str) -> None:
    _, octets, *_ = LINKS[name]
    assert MASK.frame(octets, 1, len(octets))[42:] == bytes(len(octets) - 42)


@given(st.binary(max_size=120), st.sampled_from([0, 1, 9, 50, 51, 101, 104, 108, 113, 228, 229, 276, 147]), st.integers(0, 200))
def test_any_octets_become_as_many_and_nothing_raises(octets: bytes, link_type: int, more: int) -> None:
    assert len(MASK.frame(octets, link_type, len(octets) + more)) == len(octets)


@given(st.data())
def test_bent_packets_decode_to_the_same_flags(data: st.DataObject) -> None:
    """A header that is cut or cannot be is as odd afterwards."""
    import tempfile

    talk = Conversation()
    inner = talk.segment(0, "S", seq=1, options=bytes.fromhex("020405b40402080a00000001000000000103030700")[:20])
    outer = data.draw(st.sampled_from([inner.octets, ip_frame("10.0.0.1", "10.0.0.2", 4, inner.octets[14:])]))
    octets = bytearray(outer)
    for _ in range(data.draw(st.integers(0, 3))):
        octets[data.draw(st.integers(12, len(octets) - 1))] = data.draw(
            st.sampled_from([0, 1, 4, 0x40, 0x45, 0x4F, 0x60, 0x80, 0xFF])
        )
    cut = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    with tempfile.TemporaryDirectory() as folder:
        tables = []
        for name, content in (("a", cut), ("b", MASK.frame(cut, 1, len(octets)))):
            path = write_pcap(Path(folder) / name, [Frame(0, content)])
            raw = bytearray(path.read_bytes())
            raw[24 + 12 : 24 + 16] = len(octets).to_bytes(4, "little")
            path.write_bytes(raw)
            tables.append(decode_packets([CaptureFile(path, strict=True)]))
    before, after = tables
    for name in ("present", "oddity", "payload_octets", "tcp_flags", "protocol", "seg_seq", "source_port", "ttl"):
        assert np.array_equal(before[name], after[name]), name
