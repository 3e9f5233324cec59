"""Archives of dumps read in place: `cilium sysdump` (zip), `cilium-bugtool` (tar, tar.gz), one in the other, gzipped files.

Nothing is ever written to disk, so that no path can leave anything; names serve as origins only, less what climbs upwards.
Links and devices are not followed. What is unpacked is limited in count, size, ratio and nesting, each before it is read;
an archive that is cut or damaged gives the members before that place.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NamedTuple

from mixcni.cluster.kind import Kind

MAX_MEMBERS: Final = 100_000  # a sysdump of 500 nodes has about that many
MAX_MEMBER_OCTETS: Final = 1 << 28  # a conntrack table of a million entries
MAX_OCTETS: Final = 1 << 33  # unpacked, of one archive with those inside it
MAX_RATIO: Final = 500  # unpacked octets a packed one; DEFLATE reaches 1032, tables of text about 30
FREE_OCTETS: Final = 1 << 24  # to which the ratio does not apply
MAX_NESTING: Final = 3
MAX_TAR_HEADER: Final = 1 << 20  # octets before a member of a tar: names and times
MAX_NAME: Final = 1000
_TOO_MANY: Final = f"more than {MAX_MEMBERS} files: this one and those behind it were not read"

_ZIP, _GZIP, _BZIP2, _XZ = b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
_TAR_AT: Final = 257
_SNIFF: Final = 512
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What the libraries raise for archives that are damaged, encrypted or packed in a way that they do not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The dumps of one agent, or of a whole cluster, that stand in an archive together."""

    name: str
    """The archive, or the bugtool's folder or archive in it."""
    pod: str | None = None
    node: str | None = None
    """By the pods in the same sysdump, or by the bugtool's own hostname."""
    version: str | None = None
    """Of Cilium, as its own commands or the pod's image say."""
    taken: str | None = None
    """The time in its name, `YYYY-MM-DDTHH:MM:SS`; with Z where the name says UTC, else of an unknown zone."""
    members: int = 0
    dumps: int = 0
    """Those of them that were recognised."""
    file: str = ""
    line: int = 1


class Member(NamedTuple):
    """One file in an archive."""

    origin: str
    """`archive.zip!path/in/archive`."""
    octets: bytes
    problem: str = ""
    """Why it could not be read; then it has no octets."""


@dataclass(slots=True)
class _Budget:
    """What may still be unpacked of an outermost archive."""

    members: int = MAX_MEMBERS
    octets: int = MAX_OCTETS
    packed: int = 0
    unpacked: int = field(default=0)

    def take(self, octets: int) -> None:
        self.octets -= octets
        self.unpacked += octets
        if self.octets < 0:
            raise ValueError(f"more than {MAX_OCTETS} octets unpacked")
        if self.unpacked > FREE_OCTETS and self.unpacked > MAX_RATIO * self.packed:
            raise ValueError(f"more than {MAX_RATIO} octets unpacked from each packed one")


class _Metered(io.RawIOBase):
    """An unpacking stream that counts what it gives, and stops where the budget or the allowance ends."""

    def __init__(self, stream: io.BufferedIOBase | IO[bytes], budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget
        self.allowance = MAX_TAR_HEADER

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self.allowance:
            size = self.allowance + 1
        octets = self._stream.read(size)
        self.allowance -= len(octets)
        if self.allowance < 0:
            raise ValueError(f"a tar header of more than {MAX_TAR_HEADER} octets")
        self._budget.take(len(octets))
        return octets


def is_archive(path: Path) -> bool:
    """Whether a file begins as an archive or a compressed file does; False for one that cannot be opened."""
    try:
        with path.open("rb") as stream:
            return _form(stream.read(_SNIFF)) is not None
    except OSError:
        return False


def open_members(path: Path, name: str) -> Iterator[Member]:
    """The files in an archive, one by one, those of archives inside it too; `name` is how its origins begin.

    Raises
    ------
    OSError : the file cannot be opened; what is wrong within it is a member with a problem
    """
    with path.open("rb") as stream:
        budget = _Budget(packed=path.stat().st_size)
        yield from _members(stream, name, budget, 1)


def _form(head: bytes) -> str | None:
    if head.startswith(_ZIP):
        return "zip"
    if head.startswith((_GZIP, _BZIP2, _XZ)):
        return "packed"
    return "tar" if head[_TAR_AT : _TAR_AT + 5] == b"ustar" else None


def _members(stream: IO[bytes], name: str, budget: _Budget, depth: int) -> Iterator[Member]:
    try:
        head = stream.read(_SNIFF)
        stream.seek(0)
        form = _form(head)
        if depth > MAX_NESTING:
            yield Member(name, b"", f"an archive nested deeper than {MAX_NESTING}")
        elif form == "zip":
            yield from _zip_members(stream, name, budget, depth)
        elif form == "tar":
            yield from _tar_members(_Metered(stream, budget), name, budget, depth)
        else:
            yield from _packed(stream, head, name, budget, depth)
    except _BROKEN as error:
        yield Member(name, b"", f"the archive is damaged or too large: {error}")


def _unpacker(stream: IO[bytes], head: bytes) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=stream)
    return bz2.BZ2File(stream) if head.startswith(_BZIP2) else lzma.LZMAFile(stream)


def _packed(stream: IO[bytes], head: bytes, name: str, budget: _Budget, depth: int) -> Iterator[Member]:
    """A compressed file: a tar, or one file."""
    with _unpacker(stream, head) as unpacked:
        inner = unpacked.read(_SNIFF)
    stream.seek(0)
    with _unpacker(stream, head) as unpacked:
        metered = _Metered(unpacked, budget)
        if _form(inner) == "tar":
            yield from _tar_members(metered, name, budget, depth)
            return
        metered.allowance = MAX_MEMBER_OCTETS
        parts: list[bytes] = []
        while part := metered.read(1 << 20):
            parts.append(part)
        yield from _offered(name, b"".join(parts), budget, depth)


def _tar_members(stream: _Metered, name: str, budget: _Budget, depth: int) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        while True:
            stream.allowance += MAX_TAR_HEADER
            info = archive.next()
            if info is None:
                return
            stream.allowance = MAX_TAR_HEADER + max(info.size, 0)
            if not info.isreg():
                continue
            origin = f"{name}!{_inside(info.name)}"
            if not budget.members:
                yield Member(origin, b"", _TOO_MANY)
                return
            budget.members -= 1
            if problem := _too_large(info.size):
                yield Member(origin, b"", problem)
                continue
            opened = archive.extractfile(info)
            yield from _offered(origin, b"" if opened is None else opened.read(), budget, depth)
            archive.members = []  # type: ignore[attr-defined]  # else it keeps every header


def _zip_members(stream: IO[bytes], name: str, budget: _Budget, depth: int) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            origin = f"{name}!{_inside(info.filename)}"
            if not budget.members:
                yield Member(origin, b"", _TOO_MANY)
                return
            budget.members -= 1
            problem = _too_large(info.file_size)
            if not problem and info.file_size > FREE_OCTETS and info.file_size > MAX_RATIO * max(info.compress_size, 1):
                problem = f"{info.file_size} octets from {info.compress_size} packed ones: more than {MAX_RATIO} each"
            if problem:
                yield Member(origin, b"", problem)
                continue
            try:
                octets = archive.read(info)
            except _BROKEN as error:
                yield Member(origin, b"", f"cannot be unpacked: {error}")
                continue
            budget.take(len(octets))
            yield from _offered(origin, octets, budget, depth)


def _offered(origin: str, octets: bytes, budget: _Budget, depth: int) -> Iterator[Member]:
    """A file, or the files in it if it is an archive itself."""
    if _form(octets[:_SNIFF]) is None:
        yield Member(origin, octets)
        return
    budget.packed += len(octets)
    yield from _members(io.BytesIO(octets), origin, budget, depth + 1)


def _too_large(octets: int) -> str:
    return f"{octets} octets, more than {MAX_MEMBER_OCTETS}" if octets > MAX_MEMBER_OCTETS else ""


def _inside(name: str) -> str:
    """A member's path less what would lead out of the archive, and without control characters."""
    parts = (part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    return "".join(char if char.isprintable() else "\ufffd" for char in "/".join(parts)[:MAX_NAME]) or "unnamed"


KIND: Final = Kind(name="archive", entry=Bundle)
