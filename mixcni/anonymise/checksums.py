"""The Internet checksum (RFC 1071) over octets that were changed."""


def checksum(octets: bytes | bytearray | memoryview) -> int:
    """The complement of the ones' complement sum of the 16-bit words; an odd octet at the end is padded with zero."""
    data = bytes(octets)
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data, "big") % 0xFFFF  # 2**16 is 1 modulo 0xFFFF: the sum of the words, with its carries
    return 0xFFFF - total if total else (0 if any(data) else 0xFFFF)


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """What TCP, UDP and ICMPv6 sum besides themselves (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    if len(source) == 4:
        return source + destination + bytes([0, protocol]) + (length & 0xFFFF).to_bytes(2, "big")
    return source + destination + length.to_bytes(4, "big") + bytes([0, 0, 0, protocol])
