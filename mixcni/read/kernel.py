"""Walking the records of a capture file, a buffer at a time.

Each walk returns (frames written, next octet, status). It stops before a record that is not whole within the buffer
(MORE), when the arrays are full (FULL), at a length that cannot be (BAD), and, in pcapng, before a block that is not a
packet (OTHER): that one is the caller's. A frame that was written lies whole within the buffer.
"""

from mixcni.kernels.byteorder import u16, u32
from mixcni.kernels.jit import i64, kernel

MORE, FULL, BAD, OTHER = 0, 1, 2, 3
OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 2, 3, 6
COMMENT, EPB_DROPCOUNT = 1, 4  # option codes
NANO = 1_000_000_000
NO_TIME = -1
LAST_OFFSET = 1 << 61  # seconds; an if_tsoffset beyond it is no time
LAST_SECOND = 9_000_000_000  # about the year 2255: time in int64 ns ends in 2262


@kernel
def walk_pcap(octets, begin, end, big, header, nanoseconds, old, link_type, max_captured, frames):
    """Write the frames of classic pcap records (IETF draft-ietf-opsawg-pcap section 5).

    octets : (b,) uint8; [begin, end) is filled
    big, nanoseconds : 0 or 1
    header : 16, or 24 in Kuznetzov's modified format
    old : whether either length may come first (until version 2.3, libpcap's savefile.c): the captured one is not the larger
    frames : FrameArrays, written
    """
    count, at = 0, begin
    while True:
        if count == len(frames.start):
            return count, at, FULL
        if end - at < header:
            return count, at, MORE
        captured, original = u32(octets, at + 8, big), u32(octets, at + 12, big)
        if old and captured > original:
            captured, original = original, captured
        if captured > max_captured:
            return count, at, BAD
        if end - at - header < captured:
            return count, at, MORE
        fraction = u32(octets, at + 4, big)
        frames.start[count] = at + header
        frames.captured[count] = captured
        frames.original[count] = original
        frames.time_ns[count] = u32(octets, at, big) * NANO + (fraction if nanoseconds else fraction * 1000)
        frames.link_type[count] = link_type
        frames.interface[count] = 0
        count += 1
        at += header + captured


@kernel
def ticks_to_ns(high, low, ticks_per_second, offset_seconds):
    """Nanoseconds of the 64-bit pcapng timestamp `high` * 2**32 + `low`, rounded down; NO_TIME without a resolution.

    A time that int64 nanoseconds cannot hold stands at LAST_SECOND, or at its negative.

    high, low : in [0, 2**32)
    ticks_per_second : at most 2**62; 0 where it is unknown
    offset_seconds : in [-LAST_OFFSET, LAST_OFFSET]
    """
    if ticks_per_second == 0:
        return NO_TIME
    half = high << 31 | low >> 1  # 63 bits, so that int64 holds it
    seconds = half // ticks_per_second
    rest = 2 * (half - seconds * ticks_per_second) + (low & 1)
    seconds = 2 * min(seconds, LAST_OFFSET)
    if rest >= ticks_per_second:
        rest -= ticks_per_second
        seconds += 1
    seconds = min(max(seconds + offset_seconds, -LAST_SECOND), LAST_SECOND)
    return seconds * NANO + scaled(rest, ticks_per_second)


@kernel
def scaled(rest, ticks_per_second):
    """Whole part of rest * NANO / ticks_per_second for rest < ticks_per_second <= 2**62, without leaving int64."""
    if ticks_per_second <= 1 << 33:
        return rest * NANO // ticks_per_second
    whole, part = 0, 0
    for bit in range(29, -1, -1):  # NANO has 30 bits: long multiplication, reduced at every step
        whole, part = 2 * whole, 2 * part
        if part >= ticks_per_second:
            whole, part = whole + 1, part - ticks_per_second
        if NANO >> bit & 1:
            part += rest
            if part >= ticks_per_second:
                whole, part = whole + 1, part - ticks_per_second
    return whole


@kernel
def has_note(octets, at, end, big):
    """Whether the options of an Enhanced Packet Block in [at, end) have a comment or a drop count (sections 3.5 and 4.3)."""
    while end - at >= 4:
        code, length = u16(octets, at, big), u16(octets, at + 2, big)
        if code == 0 or end - at - 4 < length:
            return 0
        if code == COMMENT or code == EPB_DROPCOUNT:
            return 1
        at += 4 + (length + 3 & ~3)
    return 0


@kernel
def walk_pcapng(octets, begin, end, big, max_block, interfaces, frames, notes):
    """Write the frames of pcapng packet blocks (IETF draft-ietf-opsawg-pcapng sections 4.3, 4.4 and appendix A).

    Returns the number of notes written as well, at the end.

    octets : (b,) uint8; [begin, end) is filled and begins at a block
    big : 0 or 1, this section's byte order
    interfaces : InterfaceArrays of the section, at most 2**16
    frames : FrameArrays, written
    notes : (n,) int64, n frames; written: rows of `frames` whose options have a comment or a drop count
    """
    count, at, noted = 0, begin, 0
    while True:
        if count == len(frames.start):
            return count, at, FULL, noted
        if end - at < 12:
            return count, at, MORE, noted
        kind = u32(octets, at, big)
        if kind != ENHANCED_PACKET and kind != SIMPLE_PACKET and kind != OBSOLETE_PACKET:
            return count, at, OTHER, noted
        length = u32(octets, at + 4, big)
        fixed = 16 if kind == SIMPLE_PACKET else 32
        if length < fixed or length > max_block or length & 3:
            return count, at, BAD, noted
        if end - at < length:
            return count, at, MORE, noted
        if u32(octets, at + length - 4, big) != length:
            return count, at, BAD, noted
        interface = 0
        if kind == ENHANCED_PACKET:
            interface = u32(octets, at + 8, big)
        elif kind == OBSOLETE_PACKET:
            interface = u16(octets, at + 8, big)
        if interface >= len(interfaces.link_type):
            return count, at, BAD, noted
        if kind == SIMPLE_PACKET:
            original = u32(octets, at + 8, big)
            captured = min(original, length - 16)
            if interfaces.snap_length[0] > 0:
                captured = min(captured, i64(interfaces.snap_length[0]))
            frames.start[count] = at + 12
            frames.time_ns[count] = NO_TIME
        else:
            captured = u32(octets, at + 20, big)
            original = u32(octets, at + 24, big)
            if captured > length - 32:
                return count, at, BAD, noted
            frames.start[count] = at + 28
            frames.time_ns[count] = ticks_to_ns(
                u32(octets, at + 12, big),
                u32(octets, at + 16, big),
                i64(interfaces.ticks_per_second[interface]),
                i64(interfaces.offset_seconds[interface]),
            )
            padded = 28 + (captured + 3 & ~3)
            if kind == ENHANCED_PACKET and length - 4 > padded and has_note(octets, at + padded, at + length - 4, big):
                notes[noted] = count
                noted += 1
        frames.captured[count] = captured
        frames.original[count] = original
        frames.link_type[count] = interfaces.link_type[interface]
        frames.interface[count] = interface
        count += 1
        at += length
