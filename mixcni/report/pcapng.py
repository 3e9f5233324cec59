"""pcapng files, written: one section, named interfaces in nanoseconds, enhanced packet blocks with comments.

IETF draft-ietf-opsawg-pcapng: sections 3.5 (options), 4.1 (section header), 4.2 (interface), 4.3 (enhanced packet) and
4.6 (statistics).
"""

import struct
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final, NamedTuple

from mixcni.words import printable

SECTION_HEADER, INTERFACE, STATISTICS, ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
OPT_END, OPT_COMMENT, SHB_USERAPPL, IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 0, 1, 4, 2, 3, 9
ISB_IFDROP: Final = 5
NANOSECONDS: Final = b"\x09"
UNKNOWN_LENGTH: Final = 0xFFFF_FFFF_FFFF_FFFF
MAX_TEXT: Final = 2_000  # octets of a comment or a name; an option holds 65 535


class Option(NamedTuple):
    """An option of a block: its code and its value."""

    code: int
    value: bytes


class InterfaceBlock(NamedTuple):
    """What an interface description says: a capture point, and the link type of its frames."""

    name: str
    description: str
    link_type: int


class PacketBlock(NamedTuple):
    """A frame as it is written; `interface` is the number of its interface, `time_ns` since the Unix epoch."""

    interface: int
    time_ns: int
    original_length: int
    octets: bytes
    comment: str


def text_option(code: int, text: str) -> Option:
    """Text as an option's value: UTF-8 without control characters, cut at a whole character."""
    return Option(code, printable(text).encode("utf-8", "replace")[:MAX_TEXT].decode("utf-8", "ignore").encode())


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _block(kind: int, body: bytes, options: Iterable[Option]) -> bytes:
    written = b"".join(struct.pack("<HH", o.code, len(o.value)) + _padded(o.value) for o in options if o.value)
    body = _padded(body) + (written + bytes(4) if written else b"")
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def write_pcapng(
    stream: BinaryIO,
    interfaces: Iterable[InterfaceBlock],
    packets: Iterable[PacketBlock],
    *,
    program: str,
    comment: str,
    drops: Sequence[int | None] = (),
) -> int:
    """Write one section, its interfaces and its packets; the number of packets.

    Parameters
    ----------
    program : what wrote it, shb_userappl
    comment : on the whole section, opt_comment
    drops : packets that each interface's capture lost, isb_ifdrop; None where that is not known
    """
    section = struct.pack("<IHHQ", BYTE_ORDER_MAGIC, 1, 0, UNKNOWN_LENGTH)
    stream.write(_block(SECTION_HEADER, section, [text_option(OPT_COMMENT, comment), text_option(SHB_USERAPPL, program)]))
    for interface in interfaces:
        options = [
            text_option(IF_NAME, interface.name),
            text_option(IF_DESCRIPTION, interface.description),
            Option(IF_TSRESOL, NANOSECONDS),
        ]
        stream.write(_block(INTERFACE, struct.pack("<HHI", interface.link_type, 0, 0), options))
    count = 0
    for packet in packets:
        time = max(packet.time_ns, 0)
        head = struct.pack("<IIIII", packet.interface, time >> 32, time & 0xFFFF_FFFF, len(packet.octets), packet.original_length)
        stream.write(_block(ENHANCED_PACKET, head + packet.octets, [text_option(OPT_COMMENT, packet.comment)]))
        count += 1
    for number, dropped in enumerate(drops):
        if dropped is not None:
            stream.write(_block(STATISTICS, struct.pack("<III", number, 0, 0), [Option(ISB_IFDROP, struct.pack("<Q", dropped))]))
    return count
