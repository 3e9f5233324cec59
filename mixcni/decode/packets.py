"""Frames -> PacketTable: one row a frame, typed columns, addresses by code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.kernel import ADDRESSES_A_FRAME, decode_frames
from mixcni.kernels.hashing import enter_codes
from mixcni.kernels.jit import run
from mixcni.read import CaptureFile, FrameBlock
from mixcni.read.frames import NO_TIME
from mixcni.schema import PACKETS, QUOTES
from mixcni.tables import AddressBook, Table


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


class QuoteArrays(NamedTuple):
    """The columns of a QuoteTable as the kernel writes them."""

    packet: NDArray[np.int64]
    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    seg_seq: NDArray[np.uint32]


class QuoteTable(Table):
    """The flow keys that ICMP errors quote, one row an error."""

    schema = QUOTES


class PacketTable(Table):
    """The packets of one capture point in file order, file after file.

    `files` are the paths that the column `file` numbers; `book` has the addresses; `quotes` the headers quoted by ICMP errors.
    """

    schema = PACKETS
    files: tuple[Path, ...]
    book: AddressBook
    quotes: QuoteTable

    def __init__(
        self,
        columns: dict[str, NDArray[Any]],
        book: AddressBook,
        files: Sequence[Path] = (),
        quotes: QuoteTable | None = None,
    ) -> None:
        super().__init__(columns)
        self.book = book
        self.files = tuple(files)
        self.quotes = QuoteTable.empty() if quotes is None else quotes

    def to_frame(self) -> Any:
        """The packets as a DataFrame with addresses as text and times as UTC timestamps."""
        import pandas as pd

        frame = super().to_frame()
        for name in ("source", "destination"):
            frame[name] = pd.Series(self.book.texts(self[name]), dtype="str")
        frame["time"] = pd.to_datetime(frame["time_ns"], unit="ns", utc=True).where(self["time_ns"] != NO_TIME)
        return frame


class _BookBuilder:
    """The address book while it grows: a hash table at most half full."""

    first_slots: ClassVar[int] = 1 << 10

    def __init__(self) -> None:
        self.count = 0
        self._allocate(self.first_slots)

    def _allocate(self, slots: int) -> None:
        self.slots = np.full(slots, -1, dtype=np.int32)
        self.keys = np.zeros(4 * (slots // 2), dtype=np.uint32)

    def has_room(self) -> bool:
        return self.count < self.slots.size // 2 - ADDRESSES_A_FRAME

    def grow(self) -> None:
        old = self.keys
        self._allocate(4 * self.slots.size)
        self.keys[: old.size] = old
        run(enter_codes, self.count, self.slots, self.keys, self.count)

    def book(self) -> AddressBook:
        return AddressBook(self.keys[: 4 * self.count].reshape(-1, 4))


class _Builder:
    """Packet columns while they grow: one set of arrays a block, joined at the end."""

    def __init__(self) -> None:
        self.parts: list[dict[str, NDArray[Any]]] = []
        self.quote_parts: list[dict[str, NDArray[Any]]] = []
        self.book = _BookBuilder()
        self.rows = 0

    def add(self, block: FrameBlock, file: int) -> None:
        frames = block.frames
        count = frames.start.size
        columns = {name: np.zeros(count, dtype=PACKETS[name].dtype) for name in PACKETS}
        quotes = {name: np.zeros(count, dtype=column.dtype) for name, column in QUOTES.items()}
        out = PacketArrays(**{name: columns[name] for name in PacketArrays._fields})
        quote_arrays = QuoteArrays(**quotes)
        done, quote_count = 0, 0
        while done < count:
            done, quote_count, self.book.count = run(
                decode_frames,
                self.rows + count,  # one block alone is seldom large work, a file of many is
                block.octets,
                frames,
                done,
                done,
                out,
                quote_arrays,
                quote_count,
                self.book.slots,
                self.book.keys,
                self.book.count,
            )
            if not self.book.has_room():
                self.book.grow()
        columns["time_ns"][:] = frames.time_ns
        columns["frame_number"][:] = np.arange(block.first_frame_number, block.first_frame_number + count)
        columns["file"][:] = file
        columns["interface"][:] = frames.interface
        columns["original_length"][:] = frames.original
        columns["captured_length"][:] = frames.captured
        self.parts.append(columns)
        quotes["packet"][:quote_count] += self.rows
        self.quote_parts.append({name: array[:quote_count] for name, array in quotes.items()})
        self.rows += count

    def table(self, files: Sequence[Path]) -> PacketTable:
        return PacketTable(
            _join(self.parts, PacketTable), self.book.book(), files, QuoteTable(_join(self.quote_parts, QuoteTable))
        )


def _join(parts: list[dict[str, NDArray[Any]]], table: type[Table]) -> dict[str, NDArray[Any]]:
    empty = {name: np.empty(0, dtype=column.dtype) for name, column in table.schema.items()}
    return {name: np.concatenate([part[name] for part in [empty, *parts]]) for name in table.schema}


def decode_packets(captures: Sequence[CaptureFile]) -> PacketTable:
    """The packets of one capture point: every frame of `captures`, file after file, in file order.

    Parameters
    ----------
    captures : the point's files in the order of their time; each one's `damage` is set afterwards

    Raises
    ------
    CaptureError : a file cannot be opened, is no capture, or, when it was opened strict, is damaged
    """
    builder = _Builder()
    for number, capture in enumerate(captures):
        for block in capture.blocks():
            builder.add(block, number)
    return builder.table([capture.path for capture in captures])
