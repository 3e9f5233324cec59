"""The octets of chosen packets, read from their files a second time: a PacketTable has none.

A capture is read once for its headers; payloads are fetched only of flows that begin like a protocol known here.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.kernel import copy_spans
from mixcni.decode.packets import PacketTable, _Builder
from mixcni.errors import CaptureError
from mixcni.kernels.jit import run
from mixcni.read import STANDARD_INPUT, CaptureFile, FrameBlock
from mixcni.read.chosen import ReadFrames, read_chosen
from mixcni.read.frames import FrameArrays
from mixcni.schema import Layer

T = TypeVar("T")
MOST_PAYLOAD: Final = (1 << 32) - 1
OCTETS_AN_ITEM: Final = 128  # copied one by one they take as long as an item of mixcni.kernels.jit
SENDER_OCTETS: Final = 6
SENDER_AT: Final = {1: 6, 113: 6, 276: 12}
"""Where a frame has its sender's hardware address, by link type: Ethernet (IEEE 802.3), LINUX_SLL, LINUX_SLL2."""


def can_read_again(packets: PacketTable) -> bool:
    """Whether the files of a table still give what they gave: pipes and standard input can be read once."""
    return bool(packets.files) and all(path != STANDARD_INPUT and path.is_file() for path in packets.files)


def read_payloads(packets: PacketTable, rows: NDArray[np.int64]) -> list[bytes]:
    """What was captured behind the TCP or UDP header of each packet, of ICMP the header as well; empty where there is none.

    Parameters
    ----------
    packets : decoded from files that can be read again
    rows : (n,) of `packets`, ascending

    Raises
    ------
    CaptureError : a file cannot be opened any more, or has changed since it was decoded
    """
    payloads: list[bytes] = []
    every = packets.fragments.added_to(rows)
    for octets, begin, end, _, reassembled in _payloads_in(packets, every):
        read = _spans(octets, begin, end)
        for row, payload in reassembled.items():
            read[row] = payload
        payloads.extend(read)
    return payloads if every is rows else [payloads[row] for row in np.searchsorted(every, rows).tolist()]


def copy_payloads(
    packets: PacketTable,
    rows: NDArray[np.int64],
    into: NDArray[np.uint8],
    places: NDArray[np.int64],
    *,
    most: int = MOST_PAYLOAD,
) -> NDArray[np.bool_]:
    """Write the payload of each packet of TCP or UDP to its place; (n,) whether it was captured so far, else none is written.

    Parameters
    ----------
    packets, rows : as `read_payloads` has them, no fragments among them
    into : with room for the payload octets of each from its place on
    most : octets of each payload that are wanted

    Raises
    ------
    CaptureError : as there
    """
    is_whole = np.zeros(rows.size, dtype=np.bool_)
    done = 0
    for octets, begin, end, part, _ in _payloads_in(packets, rows):
        mine = slice(done, done + part.size)
        sizes = np.minimum(packets["payload_octets"][part], most)
        is_whole[mine] = (begin >= 0) & (end - begin >= sizes)
        run(copy_spans, into.size // OCTETS_AN_ITEM, octets, begin, np.where(is_whole[mine], sizes, 0), into, places[mine])
        done += part.size
    return is_whole


class _Payloads(NamedTuple):
    """Where payloads stand in some octets, and (by place in `rows`) those that their packets' fragments made."""

    octets: NDArray[np.uint8]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    rows: NDArray[np.int64]
    reassembled: dict[int, bytes]


def _payloads_in(packets: PacketTable, rows: NDArray[np.int64]) -> Iterator[_Payloads]:
    """The payloads of these rows, block after block; begin -1 where there is none."""
    builder = _Builder(expected=len(packets))  # in the form that has decoded them
    for octets, frames, part in _frames_again(packets, rows):
        builder.add(FrameBlock(octets, frames, 1, 0), 0)
        at = builder.payload_at[: part.size]
        sizes = builder.packets.arrays["payload_octets"][: part.size].astype(np.int64)
        builder.forget_rows()
        ends = frames.start + frames.captured
        has_size = (packets["present"][part] & (Layer.TCP | Layer.UDP)) != 0
        yield _Payloads(octets, at, np.where(has_size, np.minimum(ends, at + sizes), ends), part, builder.payloads)


def payloads_again(packets: PacketTable, rows: NDArray[np.int64]) -> list[bytes] | None:
    """As `read_payloads`, of rows in any order; None where the files no longer give them, which who reads messages says."""
    order = np.argsort(rows, kind="stable")
    payloads = _if_there(packets, lambda: read_payloads(packets, rows[order]))
    if payloads is None:
        return None
    found = [b""] * rows.size
    for row, payload in zip(order.tolist(), payloads, strict=True):
        found[row] = payload
    return found


def payload_heads_again(
    packets: PacketTable, rows: NDArray[np.int64], most: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """(n, most) the first octets of each packet's payload, 0 behind its end, and (n,) whether they were captured.

    As `copy_payloads`, of rows in any order; None where the files no longer give them, as of `payloads_again`.
    """
    order = np.argsort(rows, kind="stable")
    octets, is_there = np.zeros((rows.size, most), dtype=np.uint8), np.zeros(rows.size, dtype=np.bool_)
    found = _if_there(packets, lambda: copy_payloads(packets, rows[order], octets.reshape(-1), most * order, most=most))
    if found is None:
        return None
    is_there[order] = found
    return octets, is_there


def _if_there(packets: PacketTable, read: Callable[[], T]) -> T | None:
    """What is read again; None where the files no longer give what they gave."""
    try:
        return read() if can_read_again(packets) else None
    except CaptureError:
        return None


def read_senders(packets: PacketTable, rows: NDArray[np.int64]) -> list[bytes]:
    """The hardware address from which each frame came, as its link layer has it; empty where it has none, or it was cut.

    Parameters and errors are those of `read_payloads`.
    """
    senders: list[bytes] = []
    for octets, frames, _ in _frames_again(packets, rows):
        begin = np.full(frames.start.size, -1, dtype=np.int64)
        for link_type, place in SENDER_AT.items():
            fits = (frames.link_type == link_type) & (frames.captured >= place + SENDER_OCTETS)
            begin[fits] = frames.start[fits] + place
        senders.extend(_spans(octets, begin, begin + SENDER_OCTETS))
    return senders


def _spans(octets: NDArray[np.uint8], begin: NDArray[np.int64], end: NDArray[np.int64]) -> list[bytes]:
    view = memoryview(octets)  # type: ignore[arg-type,unused-ignore]
    return [view[a:b].tobytes() if 0 <= a < b else b"" for a, b in zip(begin.tolist(), end.tolist(), strict=True)]


def _frames_again(
    packets: PacketTable, rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint8], FrameArrays, NDArray[np.int64]]]:
    """(octets of a block, the wanted frames in it, their rows), block after block."""
    file = packets["file"]
    for number, path in enumerate(packets.files):
        first, last = (int(np.searchsorted(file, file.dtype.type(number), side)) for side in ("left", "right"))
        wanted = rows[slice(*np.searchsorted(rows, [first, last]))]
        done = 0
        if wanted.size:
            every = ReadFrames(*(packets[name][first:last] for name in ("captured_length", "original_length", "time_ns")))
            for octets, frames in read_chosen(path, every, wanted - first):
                yield octets, frames, wanted[done : done + frames.start.size]
                done += frames.start.size
        if done < wanted.size:  # where they stand, their lengths do not tell
            for block in CaptureFile(path).blocks():
                behind = block.first_frame_number + block.frames.start.size
                count = int(np.searchsorted(packets["frame_number"][wanted[done:]], behind))
                if count:
                    part = wanted[done : done + count]
                    yield block.octets, _chosen(packets, block, part), part
                    done += count
                if done == wanted.size:
                    break
        if done < wanted.size:
            raise CaptureError("a capture read again", path, 0, int(wanted.size), done, "wanted frames")


def _chosen(packets: PacketTable, block: FrameBlock, rows: NDArray[np.int64]) -> FrameArrays:
    """The frames of these rows, if they still are what they were."""
    places = packets["frame_number"][rows].astype(np.int64) - block.first_frame_number
    frames = FrameArrays(**{name: column[places] for name, column in block.frames._asdict().items()})
    if not np.array_equal(frames.captured, packets["captured_length"][rows]):
        path = packets.files[int(packets["file"][rows[0]])]
        had = int(frames.captured.sum(dtype=np.int64))
        wanted = int(packets["captured_length"][rows].sum(dtype=np.int64))
        raise CaptureError("a capture read again", path, 0, wanted, had, "lengths of frames when it was first read")
    return frames
