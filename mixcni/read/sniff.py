"""Whether a file is a capture, by its first octets and not by its name."""

from pathlib import Path

from mixcni.read.pcap import MAGICS
from mixcni.read.pcapng import MAGIC
from mixcni.read.source import Source


def is_capture(path: Path) -> bool:
    """Whether the file begins as a pcap or pcapng file does, packed or not; an empty file does not.

    Raises
    ------
    UnreadableCapture : the file cannot be opened or read
    """
    with Source(path) as source:
        source.need(4)
        magic = source.text(source.begin, 4)
    return magic in MAGICS or magic == MAGIC
