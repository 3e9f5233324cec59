"""What a capture suffers moves no blame: it may leave a loss undecided, and never lays it on a hop that did not lose it."""

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import dpkt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixcni
from tests import faults
from tests.localise.test_properties import broken, framed
from tests.scene import End, Scene, Sent, captured, scene_of
from tests.wire import Frame, S, ip_frame, write_pcap

RUNS = settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
POINTS = st.sampled_from("ABC")
ANYTHING = st.integers(0, 2**32 - 1)
VXLAN_PORT = 8472  # Cilium's

Frames = dict[str, list[Frame]]
Broken = tuple[list[Sent], str, int]


def blamed(scene: Scene) -> set[tuple[str, str]]:
    """The hops that are blamed, each with its direction."""
    names = [point.name for point in scene.localisation.points]
    return {(names[loss.near] + names[loss.far], loss.direction.name) for loss in scene.localisation.losses}


def check(scene_of_broken: Broken, change: Callable[[Frames], Frames], *, exactly: bool) -> None:
    """Blame after a change: what it was before, or if not `exactly` less, or on a way that the hop is a part of."""
    frames = captured(framed(scene_of_broken[0]))
    before, after = blamed(scene_of(frames)), blamed(scene_of(change(frames)))
    if exactly:
        assert after == before
    for hop, way in after:
        assert any(hop[0] <= true[0] and true[1] <= hop[1] and way == its_way for true, its_way in before)


def at_point(point: str, change: Callable[[list[Frame]], list[Frame]]) -> Callable[[Frames], Frames]:
    return lambda frames: {name: change(mine) if name == point else mine for name, mine in frames.items()}


@RUNS
@given(broken(), POINTS, st.integers(-3600 * S, 3600 * S), st.floats(-150, 150))
def test_a_constant_and_a_slope_of_a_clock_move_no_blame(scene: Broken, point: str, offset: int, slope: float) -> None:
    check(scene, at_point(point, lambda frames: faults.skew(frames, offset, slope)), exactly=True)


@RUNS
@given(broken(), st.sampled_from(["BC", "C"]), st.booleans(), st.booleans())
def test_addresses_that_a_nat_rewrites_move_no_blame(scene: Broken, behind: str, source: bool, target: bool) -> None:
    """Where all that went to an address is lost before its translation was seen, none of it can be known behind that."""
    ends = {end for sent in framed(scene[0]) for end in ends_of(sent.frame)}
    seen_as: dict[End, End] = {}
    for address, port in sorted(ends):
        if source and address.startswith("10.244."):
            seen_as[address, port] = ("10.118.201.53", port + 7_000)
        if target and address.startswith("10.242."):
            seen_as[address, port] = ("10.242.9.9", 9_090)

    def renamed(_: Frames) -> Frames:
        return captured(framed(scene[0]), seen_as=dict.fromkeys(behind, seen_as))

    check(scene, renamed, exactly=False)


def ends_of(frame: Frame) -> list[End]:
    packet = dpkt.ethernet.Ethernet(frame.octets).data
    return [(socket.inet_ntoa(packet.src), packet.data.sport), (socket.inet_ntoa(packet.dst), packet.data.dport)]


def resegmented(frames: list[Frame], sizes: list[int]) -> list[Frame]:
    """Each segment as several of at most some sizes in turn, a microsecond apart; flags that close or push go with the last."""
    out = []
    for number, frame in enumerate(frames):
        packet = dpkt.ethernet.Ethernet(frame.octets).data
        tcp, size = packet.data, sizes[number % len(sizes)]
        payload, flags = bytes(tcp.data), tcp.flags
        starts = range(0, len(payload), size) if len(payload) > size else [0]
        for part, at in enumerate(starts):
            last = at == starts[-1]
            whole = dpkt.tcp.TCP(
                sport=tcp.sport, dport=tcp.dport, seq=(tcp.seq + at) % 2**32, ack=tcp.ack, win=tcp.win, opts=tcp.opts,
                flags=flags if last else flags & ~0x09, off=tcp.off, data=payload[at : at + size],
            )  # fmt: skip
            octets = ip_frame(socket.inet_ntoa(packet.src), socket.inet_ntoa(packet.dst), 6, whole, ttl=packet.ttl)
            out.append(Frame(frame.time_ns + 1_000 * part, octets))
    return out


@RUNS
@given(broken(), POINTS, st.lists(st.integers(100, 1500), min_size=1, max_size=4))
def test_segments_that_offload_cuts_otherwise_move_no_blame(scene: Broken, point: str, sizes: list[int]) -> None:
    check(scene, at_point(point, lambda frames: resegmented(frames, sizes)), exactly=True)


def encapsulated(frames: list[Frame]) -> list[Frame]:
    """Each frame in VXLAN (RFC 7348), between two nodes."""
    out = []
    for frame in frames:
        inner = struct.pack(">II", 8 << 24, 7 << 8) + frame.octets
        udp = dpkt.udp.UDP(sport=40_000, dport=VXLAN_PORT, data=inner, ulen=8 + len(inner))
        out.append(Frame(frame.time_ns, ip_frame("192.168.1.11", "192.168.2.12", 17, udp)))
    return out


@RUNS
@given(broken(), POINTS)
def test_a_tunnel_around_what_a_point_sees_moves_no_blame(scene: Broken, point: str) -> None:
    check(scene, at_point(point, encapsulated), exactly=True)


@RUNS
@given(broken(), POINTS, ANYTHING, st.sampled_from([0.02, 0.1, 0.4]))
def test_what_one_capture_lacks_moves_no_blame(scene: Broken, point: str, seed: int, share: float) -> None:
    check(scene, at_point(point, lambda frames: faults.drop(frames, seed, share)), exactly=False)


@RUNS
@given(broken(), POINTS, ANYTHING)
def test_frames_that_a_capture_has_twice_move_no_blame(scene: Broken, point: str, seed: int) -> None:
    check(scene, at_point(point, lambda frames: faults.duplicate(frames, seed, 1.0)), exactly=True)


@settings(RUNS, max_examples=4)
@given(broken(), st.permutations(range(4)))
def test_the_order_in_which_files_are_given_moves_no_blame(scene: Broken, order: list[int]) -> None:
    frames = captured(framed(scene[0]))
    found = []
    for files in (range(4), order):
        with TemporaryDirectory() as folder:
            written = {name: in_files(Path(folder), name, frames[name]) for name in "ABC"}
            report = mixcni.diagnose(mixcni.case_of_files({name: [written[name][n] for n in files] for name in "ABC"}))
            found.append([(loss["hop"], loss["direction"], loss["exchanges"]) for loss in report.losses])
    assert found[1] in (found[0], [])  # files that seem to leave holes between them leave it undecided


def in_files(folder: Path, name: str, frames: list[Frame]) -> list[Path]:
    """A capture in four files, one after the other."""
    size = -(-len(frames) // 4)
    return [write_pcap(folder / f"{name}-{n}.pcap", frames[n * size : (n + 1) * size]) for n in range(4)]
