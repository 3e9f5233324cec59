"""Pairs of conversations joined in sets, of which no point has two that stand apart.

Contract: numbers are in [0, k); arrays are as long as is said.
"""

from mixcni.kernels.jit import i64, kernel


@kernel
def unite_pairs(one, other, turned, points, there, together, root, flipped, refused):
    """Join pairs in their order, each unless a point has both what is joined to the one and what is joined to the other.

    A set's root is its lowest number.

    one, other, turned : (m,) pairs
    there, together : (k * points,) bool, at points * number + point: whether the point has a number, and, written, a root's set
    root, flipped : (k,) the root of each number, and whether it stands the other way round, written; itself and False before
    refused : (m,) bool, written; False before
    """
    for i in range(len(one)):
        a, b = i64(one[i]), i64(other[i])
        low, high = find_root(root, flipped, a), find_root(root, flipped, b)
        if low == high:
            continue
        flip = bool(flipped[a]) ^ bool(flipped[b]) ^ bool(turned[i])
        if low > high:
            low, high = high, low
        for point in range(points):
            both = together[points * low + point] and together[points * high + point]
            if both and not (there[points * a + point] and there[points * b + point]):
                refused[i] = True
        if refused[i]:
            continue
        root[high], flipped[high] = low, flip
        for point in range(points):
            if together[points * high + point]:
                together[points * low + point] = True
    for number in range(len(root)):
        find_root(root, flipped, number)


@kernel
def find_root(root, flipped, number):
    """The root of a number's set, which is written as its own; so is whether it stands the other way round than that."""
    top, flip = i64(number), False
    while root[top] != top:
        flip ^= bool(flipped[top])
        top = i64(root[top])
    root[number], flipped[number] = top, flip
    return top
