"""One capture file: its format found by content, its frames by the block, its damage told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mixcni.errors import UnknownFormat
from mixcni.read.frames import Comment, Damage, FrameBlock, Interface
from mixcni.read.pcap import MAGICS, PcapReader
from mixcni.read.pcapng import MAGIC, PcapngReader
from mixcni.read.source import Source, stop

MAGIC_OCTETS: Final = 4


class CaptureFile:
    """A pcap or pcapng file, plain or packed (gzip, zstd, lz4).

    Parameters
    ----------
    path : the file; `-` is standard input, which can be read once
    strict : raise at damage, where else everything before it is kept and `damage` says what was dropped

    Nothing is read before `blocks` is asked for its first.
    """

    def __init__(self, path: str | Path, *, strict: bool = False) -> None:
        self.path = Path(path)
        self.strict = strict
        self.damage: tuple[Damage, ...] = ()
        self.interfaces: tuple[Interface, ...] = ()
        self.comments: tuple[Comment, ...] = ()
        self.octets_read = 0  # by `blocks` so far, of the file as it lies on disk

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames in file order, by the block; `damage`, `interfaces` and `comments` are set when it ends.

        A block's arrays are reused for the next one.

        Raises
        ------
        UnreadableCapture : the file cannot be opened or read
        UnknownFormat : its first octets are those of no format read here
        CaptureError : it is damaged, and `strict`; raised behind the last good frame
        """
        with Source(self.path) as source:
            if source.need(MAGIC_OCTETS):
                reader = self._reader(source)
                for block in reader.blocks():
                    self.octets_read = source.octets_read
                    yield block
                self.damage = tuple(reader.damage)
                self.interfaces = tuple(reader.interfaces)
                self.comments = tuple(reader.comments)
            else:
                limit = source.stream_error or "magic number"
                self.damage = (stop(source, "a capture file", MAGIC_OCTETS, limit, truncated=True),)
        if self.strict and self.damage:
            raise self.damage[0].error()

    def _reader(self, source: Source) -> PcapReader | PcapngReader:
        magic = source.text(source.begin, MAGIC_OCTETS)
        if magic in MAGICS:
            return PcapReader(source, resume=not self.strict)
        if magic == MAGIC:
            return PcapngReader(source, resume=not self.strict)
        raise UnknownFormat(self.path, magic.hex(" "))
