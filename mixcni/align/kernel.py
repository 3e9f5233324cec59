"""Loops of alignment: hulls, and the clustering of equal datagrams.

Contract: arrays of one length where they are named together; what is written has room for all rows.
"""

from mixcni.kernels.jit import i64, kernel


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


@kernel
def cluster_equal(group, point, time_ns, longest, cluster):
    """Number the clusters of rows that are one datagram: of one group, at different points, the last `longest` after the first.

    group, point, time_ns : rows in the order of group, then time
    cluster : written
    """
    number, seen, begun = -1, 0, 0
    for i in range(len(group)):
        bit = 1 << i64(point[i])
        if i == 0 or group[i] != group[i - 1] or seen & bit or i64(time_ns[i]) - begun > longest:
            number += 1
            seen, begun = 0, i64(time_ns[i])
        seen |= bit
        cluster[i] = number
