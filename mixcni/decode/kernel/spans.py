"""Copying pieces of octets."""

from mixcni.kernels.jit import i64, kernel


@kernel
def copy_spans(octets, begin, sizes, into, places):
    """Copy `sizes` octets from each `begin` to each place of `into`; who calls knows that they are there, and have room."""
    for i in range(len(begin)):
        at, to = i64(begin[i]), i64(places[i])
        for j in range(i64(sizes[i])):
            into[to + j] = octets[at + j]
