"""Unsigned integers out of octets, in network byte order (RFC 1700) and in a file's own.

The caller has checked that the octets are there. In the compiled form each reader of a fixed order is one load of the
machine (mixcni.kernels.native).
"""

from mixcni.kernels.jit import i64, kernel


@kernel
def u8(octets, at):
    """The octet at `at`."""
    return i64(octets[at])


@kernel
def be16(octets, at):
    """The 16-bit integer at `at`, most significant octet first."""
    return i64(octets[at]) << 8 | i64(octets[at + 1])


@kernel
def be32(octets, at):
    """The 32-bit integer at `at`, most significant octet first."""
    return i64(octets[at]) << 24 | i64(octets[at + 1]) << 16 | i64(octets[at + 2]) << 8 | i64(octets[at + 3])


@kernel
def le16(octets, at):
    """The 16-bit integer at `at`, least significant octet first."""
    return i64(octets[at + 1]) << 8 | i64(octets[at])


@kernel
def le32(octets, at):
    """The 32-bit integer at `at`, least significant octet first."""
    return i64(octets[at + 3]) << 24 | i64(octets[at + 2]) << 16 | i64(octets[at + 1]) << 8 | i64(octets[at])


@kernel
def u32(octets, at, big):
    """The 32-bit integer at `at`, in the byte order that `big` (0 or 1) says."""
    return be32(octets, at) if big else le32(octets, at)


@kernel
def u16(octets, at, big):
    """The 16-bit integer at `at`, in the byte order that `big` (0 or 1) says."""
    return be16(octets, at) if big else le16(octets, at)
