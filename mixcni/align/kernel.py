"""Loops of alignment: hulls.

Contract: arrays of one length where they are named together; what is written has room for all rows.
"""

from mixcni.kernels.jit import kernel


@kernel
def lower_hull(x, y, vertices):
    """Write the rows of the lower convex hull of points in the order of x (then y), from left to right; how many they are.

    Andrew's monotone chain. Of points with one x only the lowest counts.
    """
    size = 0
    for i in range(len(x)):
        if size and x[vertices[size - 1]] == x[i]:
            continue
        while size >= 2:
            a, b = vertices[size - 2], vertices[size - 1]
            if (x[b] - x[a]) * (y[i] - y[a]) - (y[b] - y[a]) * (x[i] - x[a]) > 0:
                break
            size -= 1
        vertices[size] = i
        size += 1
    return size
