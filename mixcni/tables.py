"""Frozen columnar tables: arrays of one length under the names of a schema.

A table checks names, dtypes and lengths once, when it is made; its arrays are read-only from then on. Methods return new
tables. pandas appears only in `to_frame`, where a user looks.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mixcni.errors import SchemaError
from mixcni.schema import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

IPV4_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2: how an IPv4 address stands in 16 octets
ALIGNMENT = 64  # octets: a line of the cache


def columns_in_one(schema: Schema, rows: int) -> dict[str, NDArray[Any]]:
    """A schema's columns, all 0, in one piece of memory: the system gives it as it is used, in large pages where it is large."""
    sizes = [rows * np.dtype(column.dtype).itemsize for column in schema.values()]
    starts = np.cumsum([0, *(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes)]).tolist()
    memory = np.zeros(starts[-1], dtype=np.uint8)
    return {
        name: memory[start : start + size].view(column.dtype)
        for (name, column), start, size in zip(schema.items(), starts, sizes, strict=False)
    }


class Table:
    """Columns of one length, checked against `schema`, read-only.

    Parameters
    ----------
    columns : mapping of column name to a 1-D array, with exactly the schema's names and dtypes

    Raises
    ------
    SchemaError : a column is missing, unknown, of another dtype or of another length
    """

    schema: ClassVar[Mapping[str, Column]] = {}

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns: dict[str, NDArray[Any]] = {}
        unknown = sorted(set(columns) - set(self.schema))
        if unknown:
            raise SchemaError(f"{type(self).__name__} knows no column {unknown[0]!r}; it has {', '.join(self.schema)}")
        length: int | None = None
        for name, column in self.schema.items():
            if name not in columns:
                raise SchemaError(f"{type(self).__name__} needs a column {name!r} of {column.dtype}")
            array = columns[name]
            if array.dtype != np.dtype(column.dtype) or array.ndim != 1:
                raise SchemaError(f"column {name!r} is {array.ndim}-D {array.dtype}, wanted 1-D {column.dtype}")
            if length is not None and array.size != length:
                raise SchemaError(f"column {name!r} has {array.size} rows, the columns before it have {length}")
            length = array.size
            view = array.view()
            view.flags.writeable = False
            self._columns[name] = view
        self._length = length or 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {len(self):,} rows, {len(self.schema)} columns, {self.nbytes:,} octets"

    @property
    def nbytes(self) -> int:
        """Octets that the columns take."""
        return sum(array.nbytes for array in self._columns.values())

    @classmethod
    def empty(cls) -> Self:
        """A table of no rows, with all columns."""
        return cls({name: np.empty(0, dtype=column.dtype) for name, column in cls.schema.items()})

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name; the arrays are read-only."""
        return dict(self._columns)

    def to_frame(self) -> pd.DataFrame:
        """The table as a DataFrame; column notes are in `.attrs["schema"]`."""
        import pandas as pd

        frame = pd.DataFrame(dict(self._columns))
        frame.attrs["schema"] = {name: column._asdict() for name, column in self.schema.items()}
        return frame


def rows_of_packets(beside: Table, packet: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the row of each packet in a table that has one for some packets, in their order; -1 where there is none."""
    known = beside["packet"]
    if not known.size:
        return np.full(packet.size, -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(known, packet.astype(known.dtype)), known.size - 1)
    return np.where(known[at] == packet, at, -1)


class AddressBook:
    """IP addresses by code: row `code` of `words` is the address in network byte order, IPv4 as IPv4-mapped.

    Parameters
    ----------
    words : (n, 4) uint32, the 128 bits of each address, most significant word first
    """

    def __init__(self, words: NDArray[np.uint32]) -> None:
        if words.ndim != 2 or words.shape[1] != 4 or words.dtype != np.uint32:
            raise SchemaError(f"an address book is (n, 4) uint32, got {words.shape} {words.dtype}")
        self.words = words.copy()
        self.words.flags.writeable = False
        self._texts: dict[int, str] = {}

    def __len__(self) -> int:
        return int(self.words.shape[0])

    def packed(self, code: int) -> bytes:
        """The 16 octets of address `code`."""
        return bytes(self.words[code].astype(">u4").tobytes())

    def address(self, code: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The address with this code; an IPv4-mapped one as the IPv4 address that it stands for."""
        packed = self.packed(code)
        return ipaddress.ip_address(packed[12:] if packed.startswith(IPV4_MAPPED) else packed)

    def text(self, code: int) -> str:
        """The address as text, `-` for code -1 (no IP header)."""
        if code < 0:
            return "-"
        found = self._texts.get(code)
        if found is None:
            found = self._texts[code] = str(self.address(code))
        return found

    def texts(self, codes: NDArray[np.integer[Any]]) -> list[str]:
        """The text of each code."""
        return [self.text(int(code)) for code in codes]


def unite_address_books(books: Sequence[AddressBook]) -> tuple[AddressBook, list[NDArray[np.int32]]]:
    """One address book for all, and for each book given the new code of each old one.

    Returns
    -------
    book : AddressBook, each address once
    recoding : one (len(book),) int32 array a book
    """
    every = np.concatenate([book.words for book in books]) if books else np.empty((0, 4), dtype=np.uint32)
    unique, inverse = np.unique(every, axis=0, return_inverse=True)
    inverse = inverse.astype(np.int32).reshape(-1)
    bounds = np.cumsum([0, *(len(book) for book in books)])
    return AddressBook(unique), [inverse[a:b] for a, b in itertools.pairwise(bounds)]


def recode(codes: NDArray[np.int32], recoding: NDArray[np.int32]) -> NDArray[np.int32]:
    """`codes` through `recoding`; -1 (no address) stays -1."""
    if recoding.size == 0:
        return codes
    return np.where(codes >= 0, recoding[np.maximum(codes, 0)], np.int32(-1)).astype(np.int32)
