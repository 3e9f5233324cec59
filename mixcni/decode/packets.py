"""Frames -> PacketTable: one row a frame, typed columns, addresses and outer stacks by code, options aside."""

from collections.abc import Callable, Sequence
from enum import IntFlag
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.fragments import FragmentTable, hide_fragments, own_fragments
from mixcni.decode.kernel import ADDRESSES_A_FRAME, STACKS_A_FRAME, decode_frames, hint_payloads
from mixcni.decode.kernel.transport import code_of
from mixcni.decode.reassembly import NO_LENGTH, Reassembler, read_fragment, whole_packet
from mixcni.decode.stacks import KIND_BITS, StackTable
from mixcni.kernels.codes import CodeTable
from mixcni.kernels.jit import run
from mixcni.read import CaptureFile, FrameBlock
from mixcni.schema import HINTS, NEIGHBOURS, OPTIONS, PACKETS, QUOTES, SACK_BLOCKS, TIMESTAMPS, Layer, Oddity, Schema
from mixcni.tables import AddressBook, Table, columns_in_one

SACK_BLOCKS_A_FRAME = 4  # what 40 octets of options hold (RFC 2018 section 3)
RECORD_HEADER = 16  # octets, of pcap
COUNTED = ("quotes", "options", "timestamps", "sacks", "neighbours")  # side tables that decoding itself writes
MOSTLY_ZERO = ("oddity", "stack", "file", "interface")  # written where they are not: pages that are left alone take no memory
SLACK = 1.05  # more rows than the frames of a block let expect of the rest of its file
AROUND = Layer.ETHERNET | Layer.VLAN | Layer.TUNNEL  # what a packet that was put together has from its frame
MOST_EXPECTED = 1 << 27  # rows: a sparse file may state a size that no memory holds


class PacketArrays(NamedTuple):
    """The columns that decoding fills, as the kernel writes them: row i of each is one packet."""

    present: NDArray[np.uint16]
    oddity: NDArray[np.uint16]
    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    ttl: NDArray[np.uint8]
    ip_id: NDArray[np.uint16]
    tcp_flags: NDArray[np.uint8]
    seg_wnd: NDArray[np.uint16]
    seg_seq: NDArray[np.uint32]
    seg_ack: NDArray[np.uint32]
    payload_octets: NDArray[np.uint32]
    stack: NDArray[np.int32]


class QuoteArrays(NamedTuple):
    """The columns of a QuoteTable as the kernel writes them."""

    packet: NDArray[np.int64]
    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    seg_seq: NDArray[np.uint32]


class OptionArrays(NamedTuple):
    """The columns of an OptionTable as the kernel writes them."""

    packet: NDArray[np.int64]
    mss: NDArray[np.int32]
    window_scale: NDArray[np.int16]
    flags: NDArray[np.uint16]
    sack_start: NDArray[np.int64]
    sack_count: NDArray[np.uint8]


class TimestampArrays(NamedTuple):
    """The columns of a TimestampTable as the kernel writes them."""

    packet: NDArray[np.uint32]
    ts_val: NDArray[np.uint32]
    ts_ecr: NDArray[np.uint32]


class SackArrays(NamedTuple):
    """The columns of a SackTable as the kernel writes them."""

    left: NDArray[np.uint32]
    right: NDArray[np.uint32]


class NeighbourArrays(NamedTuple):
    """The columns of a NeighbourTable as the kernel writes them."""

    packet: NDArray[np.int64]
    is_reply: NDArray[np.bool_]
    sender: NDArray[np.int32]
    target: NDArray[np.int32]
    mac: NDArray[np.int64]


class HintArrays(NamedTuple):
    """The columns of a HintTable as the kernel writes them."""

    packet: NDArray[np.int64]
    kind: NDArray[np.uint8]


class SideArrays(NamedTuple):
    """The tables of what a frame has beside its row, each with room for what is still to be decoded.

    payload_at : (n,) int64, of this block's frames: where in it the payload behind TCP or UDP begins, or the ICMP header; -1 none
    fragment_at : (n,) int64, where a fragment's IP header begins; read only where `present` has FRAGMENT
    """

    quotes: QuoteArrays
    options: OptionArrays
    timestamps: TimestampArrays
    sacks: SackArrays
    neighbours: NeighbourArrays
    payload_at: NDArray[np.int64]
    fragment_at: NDArray[np.int64]


class Counts(NamedTuple):
    """How many rows of each there are: in the side tables, and codes known."""

    quotes: int
    options: int
    timestamps: int
    sacks: int
    neighbours: int
    addresses: int
    stacks: int


class BookArrays(NamedTuple):
    """The hash tables that decoding fills."""

    slots: NDArray[np.int32]
    keys: NDArray[np.uint32]
    stack_slots: NDArray[np.int32]
    stack_keys: NDArray[np.uint32]


class QuoteTable(Table):
    """The flow keys that ICMP errors quote, one row an error."""

    schema = QUOTES


class OptionTable(Table):
    """The TCP options of segments that have others than timestamps, one row a segment, in the order of the packets."""

    schema = OPTIONS


class TimestampTable(Table):
    """The timestamps of segments that have them, mostly nearly all, in the order of the packets (RFC 7323 section 3)."""

    schema = TIMESTAMPS


class SackTable(Table):
    """SACK blocks, those of a segment together (rows by OptionTable's `sack_start` and `sack_count`)."""

    schema = SACK_BLOCKS


class NeighbourTable(Table):
    """Questions for a neighbour's hardware address, and their answers: ARP, and ICMPv6 neighbour discovery."""

    schema = NEIGHBOURS


class HintTable(Table):
    """What payloads begin like, one row a payload that begins like a protocol known here, in the order of the packets."""

    schema = HINTS


class PacketTable(Table):
    """The packets of one capture point in file order, file after file.

    `files` are the paths that the column `file` numbers; `book` has the addresses; `stacks` what is around packets; `quotes` the
    headers quoted by ICMP errors; `options`, `timestamps` and `sacks` TCP's options; `neighbours` ARP and neighbour discovery;
    `hints` what payloads begin like; `fragments` of which frames a packet was put together. Such a packet has the row of the
    fragment that came last; the others have no layer above IP.
    """

    schema = PACKETS
    files: tuple[Path, ...]
    book: AddressBook
    stacks: StackTable
    quotes: QuoteTable
    options: OptionTable
    timestamps: TimestampTable
    sacks: SackTable
    neighbours: NeighbourTable
    hints: HintTable

    def __init__(
        self,
        columns: dict[str, NDArray[Any]],
        book: AddressBook,
        files: Sequence[Path] = (),
        *,
        stacks: StackTable | None = None,
        quotes: QuoteTable | None = None,
        options: OptionTable | None = None,
        timestamps: TimestampTable | None = None,
        sacks: SackTable | None = None,
        neighbours: NeighbourTable | None = None,
        hints: HintTable | None = None,
        fragments: FragmentTable | None = None,
    ) -> None:
        super().__init__(columns)
        self.book = book
        self.files = tuple(files)
        self.stacks = stacks or StackTable.outermost()
        self.quotes = quotes or QuoteTable.empty()
        self.options = options or OptionTable.empty()
        self.timestamps = timestamps or TimestampTable.empty()
        self.sacks = sacks or SackTable.empty()
        self.neighbours = neighbours or NeighbourTable.empty()
        self.hints = hints or HintTable.empty()
        self.fragments = fragments or FragmentTable.empty()

    @property
    def not_decoded(self) -> NDArray[np.bool_]:
        """(n,) whether a packet has a link type that is not decoded: nothing is known of what it carries."""
        return has_flag(self["oddity"], Oddity.UNKNOWN_LINK_TYPE)

    def to_frame(self) -> Any:
        """The packets as a DataFrame with addresses and tunnels as text and times as UTC timestamps."""
        import pandas as pd

        frame = super().to_frame()
        for name in ("source", "destination"):
            frame[name] = pd.Series(self.book.texts(self[name]), dtype="str")
        frame["time"] = pd.to_datetime(frame["time_ns"], unit="ns", utc=True).mask(frame["time_ns"] < 0)
        texts = np.array(self.stacks.texts(self.book), dtype=object)
        frame["stack"] = pd.Series(texts[self["stack"]], dtype="str")
        return frame


def has_flag(flags: NDArray[Any], flag: IntFlag) -> NDArray[np.bool_]:
    """(n,) whether each of these flags has one: by its plain number, for with an IntFlag numpy makes int64 of them all first."""
    return np.asarray((flags & flag.value) != 0)


class _Columns:
    """A table's columns while rows are added: arrays with room behind the last row."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.rows = 0
        self.arrays = {name: np.empty(0, dtype=column.dtype) for name, column in schema.items()}

    def reserve(self, rows: int, expected: int = 0) -> None:
        """Have room for `rows` more, all 0, and at once for the rows expected in all; untouched room costs no memory."""
        needed = self.rows + rows
        old = next(iter(self.arrays.values())).size
        if needed <= old:
            return
        larger = columns_in_one(self.schema, max(needed, expected, old + old // 2))
        for name, array in self.arrays.items():
            if array[: self.rows].any():
                larger[name][: self.rows] = array[: self.rows]
        self.arrays = larger

    def finished(self) -> dict[str, NDArray[Any]]:
        """The columns without the room behind them."""
        return {name: array[: self.rows] for name, array in self.arrays.items()}


class _Builder:
    """The packets of one point while files are decoded, block by block.

    Parameters
    ----------
    expected : frames that will come in all, where blocks do not tell
    """

    def __init__(self, expected: int = 0) -> None:
        self.expected = expected
        self.packets = _Columns(PACKETS)
        self.sides = {
            "quotes": _Columns(QUOTES),
            "options": _Columns(OPTIONS),
            "timestamps": _Columns(TIMESTAMPS),
            "sacks": _Columns(SACK_BLOCKS),
            "neighbours": _Columns(NEIGHBOURS),
            "hints": _Columns(HINTS),
        }
        self.addresses = CodeTable(ADDRESSES_A_FRAME)
        self.stacks = CodeTable(STACKS_A_FRAME)
        self.stacks.count = 1  # code 0 is the empty stack, which has no key
        self.payload_at = np.empty(0, dtype=np.int64)
        self.fragment_at = np.empty(0, dtype=np.int64)
        self.frames = 0  # so far
        self.fragments = Reassembler()
        self.fragment_rows = [np.empty(0, dtype=np.int64)]
        self.parts: list[tuple[int, int]] = []  # (row of a fragment, row of the packet that it is part of)
        self.payloads: dict[int, bytes] = {}  # of the packets that this block's fragments made whole, by row

    def forget_rows(self) -> None:
        """Drop the packets so far, and keep the codes of addresses and stacks."""
        for name in MOSTLY_ZERO:
            self.packets.arrays[name][: self.packets.rows] = 0
        del self.fragment_rows[1:]
        for table in (self.packets, *self.sides.values()):
            table.rows = 0

    def add(self, block: FrameBlock, file: int) -> None:
        """Decode the frames of a block, and keep their rows."""
        frames, packets = block.frames, self.packets
        count, first = frames.start.size, packets.rows
        octets = int(frames.captured.sum(dtype=np.int64)) + RECORD_HEADER * count
        behind = min(int(SLACK * count * block.octets_behind / octets), MOST_EXPECTED)
        packets.reserve(count, first + count + behind)
        self._reserve_sides(count, behind)
        columns = packets.arrays
        out = PacketArrays(**{name: columns[name] for name in PacketArrays._fields})
        self.frames += count
        work = max(self.frames + behind, self.expected)  # the file comes in many blocks
        self._decode(block, first, out, self.payload_at, self.fragment_at, work)
        rows = slice(first, first + count)
        columns["time_ns"][rows] = frames.time_ns
        columns["frame_number"][rows] = np.arange(block.first_frame_number, block.first_frame_number + count)
        if file:
            columns["file"][rows] = file
        if frames.interface.any():
            columns["interface"][rows] = frames.interface
        columns["original_length"][rows] = frames.original
        columns["captured_length"][rows] = frames.captured
        packets.rows += count
        self.payloads = {}
        fragments = np.flatnonzero(has_flag(out.present[rows], Layer.FRAGMENT))
        if fragments.size:
            self.fragment_rows.append(first + fragments)
        for at in fragments.tolist():
            captured = int(frames.start[at]) + int(frames.captured[at])
            self._add_fragment(block.octets, int(self.fragment_at[at]), captured, first + at, out)

    def _reserve_sides(self, count: int, behind: int) -> None:
        """Have room for what `count` more frames can have, and for what those `behind` them have, if it is as much as so far."""
        if self.payload_at.size < count:
            self.payload_at, self.fragment_at = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        ahead = (count + behind) / max(self.frames, 1)
        for name, table in self.sides.items():
            most = SACK_BLOCKS_A_FRAME * count if name == "sacks" else count
            table.reserve(most, table.rows + most + int(SLACK * ahead * table.rows))

    def _decode(
        self,
        block: FrameBlock,
        first: int,
        out: PacketArrays,
        payload_at: NDArray[np.int64],
        fragment_at: NDArray[np.int64],
        work: int,
    ) -> None:
        """Decode the frames of a block into the rows from `first` on, and look at their payloads."""
        count, tables = block.frames.start.size, self.sides
        sides = SideArrays(
            QuoteArrays(**tables["quotes"].arrays),
            OptionArrays(**tables["options"].arrays),
            TimestampArrays(**tables["timestamps"].arrays),
            SackArrays(**tables["sacks"].arrays),
            NeighbourArrays(**tables["neighbours"].arrays),
            payload_at,
            fragment_at,
        )
        rows = {name: tables[name].rows for name in COUNTED}
        counts = Counts(**rows, addresses=self.addresses.count, stacks=self.stacks.count)
        done = 0
        while done < count:
            books = BookArrays(*self.addresses.arrays, *self.stacks.arrays)
            done, *found = run(decode_frames, work, block.octets, block.frames, done, first + done, out, sides, counts, books)
            counts = Counts(*found)
            self.addresses.count, self.stacks.count = counts.addresses, counts.stacks
            self.addresses.grow_if_full(work)
            self.stacks.grow_if_full(work)
        for name in COUNTED:
            tables[name].rows = getattr(counts, name)
        hints = tables["hints"]
        arrays = HintArrays(**hints.arrays)
        hints.rows = run(hint_payloads, work, block.octets, block.frames, payload_at, first, out, arrays, hints.rows)

    def _add_fragment(self, octets: NDArray[np.uint8], at: int, captured: int, row: int, out: PacketArrays) -> None:
        """Keep the fragment at `at`, in a frame that ends at `captured`; its row becomes that of a packet that it makes whole."""
        if out.oddity[row] & NO_LENGTH:
            return
        fragment = read_fragment(memoryview(octets), at, captured)  # type: ignore[arg-type,unused-ignore]
        key = (*(int(column[row]) for column in (out.source, out.destination, out.stack)), *fragment.identity)
        datagram = self.fragments.add(key, fragment, row, int(self.packets.arrays["time_ns"][row]))
        if datagram is None:
            return
        self.parts += [(part, row) for part in datagram.rows if part != row]
        whole = whole_packet(fragment, datagram)
        before = {name: int(getattr(out, name)[row]) for name in ("present", "oddity", "ip_id", "stack")}
        out.oddity[row] = out.stack[row] = 0
        places = np.empty(2, dtype=np.int64)
        self._reserve_sides(1, 0)
        self._decode(whole, row, out, places[:1], places[1:], self.frames)
        out.present[row] |= before["present"] & AROUND
        out.oddity[row] |= before["oddity"] & ~Oddity.HEADER_CUT | (Oddity.FRAGMENTS_DIFFER if datagram.differ else 0)
        if not out.stack[row]:
            out.ip_id[row] = before["ip_id"]
        out.stack[row] = self._stack_within(int(out.stack[row]), before["stack"])
        begin, fragment_at = places.tolist()
        end = begin + int(out.payload_octets[row]) if out.present[row] & (Layer.TCP | Layer.UDP) else whole.octets.size
        self.payloads[row] = whole.octets[begin:end].tobytes() if begin >= 0 else b""
        if out.present[row] & Layer.FRAGMENT:  # a fragment in a tunnel whose own packet was one
            self._add_fragment(whole.octets, fragment_at, whole.octets.size, row, out)

    def _stack_within(self, stack: int, around: int) -> int:
        """The outer stack that has the layers of `stack` inside those of `around`."""
        if not stack or not around:
            return stack or around
        word, *rest = self.stacks.arrays.keys[4 * stack : 4 * stack + 4].tolist()
        outer = self._stack_within(word >> KIND_BITS, around)
        layer = outer << KIND_BITS | word & ((1 << KIND_BITS) - 1)
        code, self.stacks.count = run(code_of, 1, layer, *rest, *self.stacks.arrays, self.stacks.count)
        self.stacks.grow_if_full(self.frames)
        return int(code)

    def table(self, files: Sequence[Path]) -> PacketTable:
        """All packets so far."""
        columns = self.packets.finished()
        own_fragments(columns, np.concatenate(self.fragment_rows))
        sides = {name: table.finished() for name, table in self.sides.items()}
        fragments = hide_fragments(columns, sides, self.parts)
        return PacketTable(
            columns,
            AddressBook(self.addresses.words()),
            files,
            stacks=StackTable.of_words(self.stacks.words()),
            quotes=QuoteTable(sides["quotes"]),
            options=OptionTable(sides["options"]),
            timestamps=TimestampTable(sides["timestamps"]),
            sacks=SackTable(sides["sacks"]),
            neighbours=NeighbourTable(sides["neighbours"]),
            hints=HintTable(sides["hints"]),
            fragments=FragmentTable(fragments),
        )


def decode_packets(captures: Sequence[CaptureFile], on_read: Callable[[int], None] | None = None) -> PacketTable:
    """The packets of one capture point: every frame of `captures`, file after file, in file order.

    Parameters
    ----------
    captures : the point's files in the order of their time; each one's `damage` is set afterwards
    on_read : called block by block with how many octets more of the file on disk were read for it

    Raises
    ------
    CaptureError : a file cannot be opened, is no capture, or, when it was opened strict, is damaged
    """
    builder = _Builder()
    for number, capture in enumerate(captures):
        before = 0
        for block in capture.blocks():
            builder.add(block, number)
            if on_read is not None:
                on_read(capture.octets_read - before)
                before = capture.octets_read
    return builder.table([capture.path for capture in captures])
