"""TCP sequence numbers: arithmetic on a circle of 2**32 (RFC 9293 section 3.4)."""

from mixcni.kernels.jit import i64, kernel

HALF = 1 << 31
MASK = (1 << 32) - 1


@kernel
def seq_delta(a, b):
    """Signed distance from `a` to `b` in octets, in [-2**31, 2**31)."""
    return ((i64(b) - i64(a) + HALF) & MASK) - HALF
