"""The octets of chosen packets, read from their files a second time: a PacketTable has none.

A capture is read once for its headers; payloads are fetched only of flows that begin like a protocol known here.
"""

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.packets import PacketTable, _Builder
from mixcni.errors import CaptureError
from mixcni.read import STANDARD_INPUT, CaptureFile, FrameBlock
from mixcni.read.frames import FrameArrays
from mixcni.schema import Layer


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
    builder = _Builder()
    for number, path in enumerate(packets.files):
        first, last = np.searchsorted(packets["file"], [number, number + 1])
        wanted = rows[slice(*np.searchsorted(rows, [first, last]))]
        done = 0
        if wanted.size:
            for block in CaptureFile(path).blocks():
                behind = block.first_frame_number + block.frames.start.size
                count = int(np.searchsorted(packets["frame_number"][wanted[done:]], behind))
                if count:
                    payloads.extend(_payloads_of(packets, block, wanted[done : done + count], builder))
                    done += count
                if done == wanted.size:
                    break
        if done < wanted.size:
            raise CaptureError("a capture read again", path, 0, int(wanted.size), done, "wanted frames")
    return payloads


def _payloads_of(packets: PacketTable, block: FrameBlock, rows: NDArray[np.int64], builder: _Builder) -> list[bytes]:
    places = packets["frame_number"][rows].astype(np.int64) - block.first_frame_number
    frames = FrameArrays(**{name: column[places] for name, column in block.frames._asdict().items()})
    if not np.array_equal(frames.captured, packets["captured_length"][rows]):
        path = packets.files[int(packets["file"][rows[0]])]
        had = int(frames.captured.sum(dtype=np.int64))
        wanted = int(packets["captured_length"][rows].sum(dtype=np.int64))
        raise CaptureError("a capture read again", path, 0, wanted, had, "lengths of frames when it was first read")
    builder.add(FrameBlock(block.octets, frames, block.first_frame_number, 0), 0)
    at = builder.sides.payload_at[: rows.size]
    sizes = builder.packets.arrays["payload_octets"][: rows.size].astype(np.int64)
    builder.forget_rows()
    ends = frames.start + frames.captured
    has_size = (packets["present"][rows] & (Layer.TCP | Layer.UDP)) != 0
    ends = np.where(has_size, np.minimum(ends, at + sizes), ends)
    octets = memoryview(block.octets)  # type: ignore[arg-type,unused-ignore]
    spans = zip(at.tolist(), ends.tolist(), strict=True)
    return [octets[begin:end].tobytes() if 0 <= begin < end else b"" for begin, end in spans]
