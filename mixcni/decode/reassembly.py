"""Fragments put together to the packet that was sent (RFC 791 section 3.2, RFC 8200 section 4.5, RFC 815).

Their headers say which of its octets each has, so that a packet has its length where the snaplen cut some, and is cut there. Of
octets that came twice the first count; a packet in which they differ is flagged, for hosts drop it or choose otherwise (RFC
5722). What waits for its other fragments is bounded: the oldest is given up.
"""

from bisect import bisect_right
from typing import Final, NamedTuple

import numpy as np

from mixcni.decode.kernel.ip import ipv6_header
from mixcni.read import FrameBlock
from mixcni.read.frames import FrameArrays
from mixcni.schema import Oddity

LIFETIME_NS: Final = 60_000_000_000  # RFC 8200 section 4.5: fragments that come later are of another packet
LARGEST: Final = 65_535  # octets of a packet's payload (RFC 791 section 3.1)
MOST_WAITING: Final = 1 << 24  # octets, of all packets that are not whole yet
OVERHEAD: Final = 1 << 10  # octets that one such takes besides
NO_LENGTH: Final = Oddity.BAD_TOTAL_LENGTH | Oddity.LENGTH_ABSENT  # of fragments, whose place in the packet is not known then
IPV4_HEADER, IPV6_HEADER, FRAGMENT_HEADER = 20, 40, 8
LINKTYPE_IPV4, LINKTYPE_IPV6 = 228, 229

Key = tuple[int, ...]


class Fragment(NamedTuple):
    """One fragment: where its octets belong, and the header that the whole packet will have, without lengths.

    identity : what fragments of one packet have in common besides their addresses
    size : octets that it has; `octets` are those that were captured
    """

    identity: tuple[int, int]
    offset: int
    is_last: bool
    size: int
    octets: bytes
    header: bytes


def read_fragment(octets: memoryview, at: int, captured: int) -> Fragment:
    """The fragment whose IP header begins at `at` and was captured, as decoding says; the captured octets end at `captured`.

    IPv6's extension headers before the fragment header are left out of the whole packet's: no column has them.
    """
    if octets[at] >> 4 == 4:
        word = int.from_bytes(octets[at + 6 : at + 8])
        begin = at + (octets[at] & 0x0F) * 4
        stop = at + int.from_bytes(octets[at + 2 : at + 4])
        header = bytearray(octets[at : at + IPV4_HEADER])
        header[0], header[6:8] = 0x45, bytes(2)
        identity = int.from_bytes(octets[at + 4 : at + 6]), octets[at + 9]
        payload = bytes(octets[begin : min(stop, captured)])
        return Fragment(identity, (word & 0x1FFF) * 8, not word & 0x2000, stop - begin, payload, bytes(header))
    stop = at + IPV6_HEADER + int.from_bytes(octets[at + 4 : at + 6])
    *_, begin = ipv6_header(octets, at, captured, stop)
    word = int.from_bytes(octets[begin + 2 : begin + 4])
    header = bytearray(octets[at : at + IPV6_HEADER])
    header[6] = octets[begin]
    identity, begin = (int.from_bytes(octets[begin + 4 : begin + 8]), -1), begin + FRAGMENT_HEADER
    payload = bytes(octets[begin : min(stop, captured)])
    return Fragment(identity, word & 0xFFF8, not word & 1, stop - begin, payload, bytes(header))


class Datagram:
    """A packet while its fragments come in: its octets, and where none were yet.

    rows : of its fragments in the packet table; differ : whether octets that came twice did
    cut_at : from where on not all octets were captured
    """

    def __init__(self, time_ns: int) -> None:
        self.time_ns = time_ns
        self.octets = bytearray()
        self.rows: list[int] = []
        self.differ = False
        self.cut_at = LARGEST
        self._limit = LARGEST  # until its last fragment says where it ends
        self._starts, self._ends = [0], [LARGEST]  # of its holes, ascending

    @property
    def is_whole(self) -> bool:
        """Whether no octet is missing."""
        return not self._starts

    def put(self, fragment: Fragment, row: int) -> None:
        """Enter a fragment's octets where none were; what would stand beyond the packet's end is left out."""
        self.rows.append(row)
        begin, end = (min(at, self._limit) for at in (fragment.offset, fragment.offset + fragment.size))
        if len(fragment.octets) < fragment.size:
            self.cut_at = min(self.cut_at, fragment.offset + len(fragment.octets))
        octets = fragment.octets.ljust(fragment.size, b"\0")
        self.octets.extend(bytes(max(end - len(self.octets), 0)))
        place = bisect_right(self._ends, begin)
        while place < len(self._starts) and self._starts[place] < end:
            start, stop = self._starts[place], self._ends[place]
            first, last = max(start, begin), min(stop, end)
            self.octets[first:last] = octets[first - begin : last - begin]
            left = [part for part in ((start, first), (last, stop)) if part[0] < part[1]]
            self._starts[place : place + 1] = [part[0] for part in left]
            self._ends[place : place + 1] = [part[1] for part in left]
            place += len(left)
        known = min(end, max(self.cut_at, begin))
        self.differ |= self.octets[begin:known] != octets[: known - begin]
        if fragment.is_last and self._limit == LARGEST:
            self._end_at(end)

    def _end_at(self, end: int) -> None:
        """The packet ends here: nothing is missing behind."""
        self._limit = end
        while self._starts and self._starts[-1] >= end:
            self._starts.pop()
            self._ends.pop()
        if self._ends:
            self._ends[-1] = min(self._ends[-1], end)
        del self.octets[end:]


class Reassembler:
    """The packets of one capture point whose fragments are not all there yet."""

    def __init__(self) -> None:
        self._waiting: dict[Key, Datagram] = {}
        self._octets = 0

    def add(self, key: Key, fragment: Fragment, row: int, time_ns: int) -> Datagram | None:
        """The packet that this fragment makes whole; None where others are missing.

        Parameters
        ----------
        key : equal for the fragments of one packet: addresses, what is around it, and its identity
        time_ns : -1 where it is not known
        """
        datagram = self._waiting.get(key)
        if datagram is not None and 0 <= datagram.time_ns < time_ns - LIFETIME_NS:
            self._forget(key)
            datagram = None
        if datagram is None:
            datagram = self._waiting[key] = Datagram(time_ns)
            self._octets += OVERHEAD
        before = len(datagram.octets)
        datagram.put(fragment, row)
        self._octets += len(datagram.octets) - before
        if datagram.is_whole:
            self._forget(key)
            return datagram
        while self._octets > MOST_WAITING:
            self._forget(next(iter(self._waiting)))
        return None

    def _forget(self, key: Key) -> None:
        self._octets -= OVERHEAD + len(self._waiting.pop(key).octets)


def whole_packet(fragment: Fragment, datagram: Datagram) -> FrameBlock:
    """The whole packet as a frame of its own, with the header of the fragment that came last."""
    header, size = bytearray(fragment.header), len(datagram.octets)
    if len(header) == IPV4_HEADER:
        link_type = LINKTYPE_IPV4
        header[2:4] = min(IPV4_HEADER + size, LARGEST).to_bytes(2)
    else:
        link_type = LINKTYPE_IPV6
        header[4:6] = size.to_bytes(2)
    octets = np.frombuffer(bytes(header + datagram.octets[: datagram.cut_at]), dtype=np.uint8)
    frames = FrameArrays.of_size(1)
    frames.captured[:], frames.original[:] = octets.size, len(header) + size
    frames.link_type[:] = link_type
    return FrameBlock(octets, frames, 1, 0)
