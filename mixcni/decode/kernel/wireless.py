"""IEEE 802.11 data frames as monitor mode captures them: what capture programs put before a frame, and its own header."""

from mixcni.decode.kernel.numbers import (
    LINK_AVS,
    LINK_PPI,
    LINK_PRISM,
    LINK_RADIOTAP,
    LINK_WLAN,
    O_HEADER_CUT,
    O_LINK,
)
from mixcni.kernels.byteorder import be32, le16, le32, u8
from mixcni.kernels.jit import kernel

PRISM_OCTETS = 144
AVS_COOKIE = 0x80211000  # AVS headers say so of themselves on Prism's link type too; a version is in the last octet
RADIOTAP_TIMER, RADIOTAP_FLAGS, RADIOTAP_MORE = 0x1, 0x2, 0x80000000  # radiotap.org, the first bits of it_present
DATA_PAD = 0x20  # radiotap's flags: the header is padded to 32 bits
TYPE_DATA, WITHOUT_DATA, QUALITY = 0x08, 0x40, 0x80  # IEEE 802.11 section 9.2.4.1: frame control, first octet
BOTH_SYSTEMS, PROTECTED, HT_CONTROL = 0x03, 0x40, 0x80  # the second
AGGREGATE, SUBFRAME_HEADER = 0x80, 14  # section 9.2.4.5: an A-MSDU, of which the first subframe is read


@kernel
def radiotap_header(octets, at, end):
    """(octets of a radiotap header, whether the frame behind it has a padded header); 0 octets where it is cut."""
    size = le16(octets, at + 2) if end - at >= 8 else 0
    if size < 8 or end - at < size:
        return 0, 0
    present, field = le32(octets, at + 4), at + 8
    while le32(octets, field - 4) & RADIOTAP_MORE and field + 4 <= at + size:
        field += 4
    if present & RADIOTAP_TIMER:
        field = at + ((field - at + 7) & ~7) + 8
    padded = present & RADIOTAP_FLAGS and field < at + size and u8(octets, field) & DATA_PAD
    return size, 1 if padded else 0


@kernel
def before_wireless(octets, at, end, link_type):
    """(octets before the 802.11 header, whether that is padded, oddity) of a frame of this link type."""
    size, padded = 0, 0
    if link_type == LINK_WLAN:
        return 0, 0, 0
    if link_type == LINK_RADIOTAP:
        size, padded = radiotap_header(octets, at, end)
    elif link_type == LINK_AVS or link_type == LINK_PRISM:
        if end - at >= 8:
            is_avs = be32(octets, at) & 0xFFFFF000 == AVS_COOKIE
            size = be32(octets, at + 4) if is_avs or link_type == LINK_AVS else PRISM_OCTETS
    elif link_type == LINK_PPI:
        if end - at >= 8:
            if le32(octets, at + 4) != LINK_WLAN:
                return 0, 0, O_LINK
            size = le16(octets, at + 2)
    else:
        return 0, 0, O_LINK
    if size == 0 or end - at < size:
        return 0, 0, O_HEADER_CUT
    return size, padded, 0


@kernel
def wireless_header(octets, at, end, link_type):
    """(next octet, whether LLC follows, oddity) of a data frame; nothing follows where it has no data, or they are encrypted."""
    size, padded, oddity = before_wireless(octets, at, end, link_type)
    if oddity:
        return at, 0, oddity
    at += size
    if end - at < 24:
        return at, 0, O_HEADER_CUT
    control, flags = u8(octets, at), u8(octets, at + 1)
    if control & 0x0F != TYPE_DATA or control & WITHOUT_DATA or flags & PROTECTED:
        return at, 0, 0
    size, aggregate = 24, 0
    if flags & BOTH_SYSTEMS == BOTH_SYSTEMS:
        size += 6
    if control & QUALITY:
        if end - at < size + 2:
            return at, 0, O_HEADER_CUT
        aggregate = u8(octets, at + size) & AGGREGATE
        size += 2
        if flags & HT_CONTROL:
            size += 4
    if padded:
        size = size + 3 & ~3
    if aggregate:
        size += SUBFRAME_HEADER
    if end - at < size:
        return at, 0, O_HEADER_CUT
    return at + size, 1, 0
