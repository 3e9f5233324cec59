"""One capture file: its format found by content, its frames by the block, its damage told."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from mixcni.errors import UnknownFormat
from mixcni.read.frames import Damage, FrameBlock, Interface
from mixcni.read.pcap import MAGICS, PcapReader
from mixcni.read.pcapng import MAGIC, PcapngReader
from mixcni.read.source import Source, stop


class CaptureFile:
    """A pcap or pcapng file, plain or gzip.

    Parameters
    ----------
    path : the file
    strict : raise at damage, where else everything before it is kept and `damage` says what was dropped

    Nothing is read before `blocks` is asked for its first.
    """

    def __init__(self, path: str | Path, *, strict: bool = False) -> None:
        self.path = Path(path)
        self.strict = strict
        self.damage: tuple[Damage, ...] = ()
        self.interfaces: tuple[Interface, ...] = ()

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames in file order, by the block; `damage` and `interfaces` are set when it ends.

        A block's arrays are reused for the next one.

        Raises
        ------
        UnreadableCapture : the file cannot be opened or read
        UnknownFormat : its first octets are those of no format read here
        CaptureError : it is damaged, and `strict`; raised behind the last good frame
        """
        with Source(self.path) as source:
            if source.need(4):
                reader = self._reader(source)
                yield from reader.blocks()
                self.damage = tuple(reader.damage)
                self.interfaces = tuple(reader.interfaces)
            else:
                limit = source.stream_error or "magic number"
                self.damage = (stop(source, "a capture file", 4, limit, truncated=True),)
        if self.strict and self.damage:
            raise self.damage[0].error()

    def _reader(self, source: Source) -> PcapReader | PcapngReader:
        magic = source.text(source.begin, 4)
        if magic in MAGICS:
            return PcapReader(source)
        if magic == MAGIC:
            return PcapngReader(source)
        raise UnknownFormat(self.path, magic.hex(" "))

    def sha256(self) -> str:
        """The file's checksum as it lies on disk, so that a report names its inputs beyond doubt."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
