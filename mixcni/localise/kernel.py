"""Loops of localisation: where bounds stand among a stream's pieces, and how often each piece was transmitted.

Contract: arrays of one length where they are named together; every bound that is looked for is there.
"""

from mixcni.kernels.jit import i64, kernel


@kernel
def locate_bounds(stream, at, first, start, cursor, place):
    """Write the atom that begins at each bound; `place` may be `at` itself.

    Bounds come mostly in the order of their stream, so each is looked for behind the last one, else by bisection.

    stream, at : (n,) int64, the bounds
    first : (streams + 1,) int64, each stream's first atom; start : (a,) int64, where atoms begin, ascending in a stream
    cursor : (streams,) int64, scratch: any atom of each stream
    place : (n,) int64, written
    """
    for i in range(len(stream)):
        of, bound = i64(stream[i]), i64(at[i])
        stop, found = i64(first[of + 1]), i64(cursor[of])
        if found + 1 < stop and start[found + 1] <= bound:
            found += 1
        if start[found] != bound:
            low, high = i64(first[of]), stop
            while low < high:
                middle = (low + high) >> 1
                if start[middle] < bound:
                    low = middle + 1
                else:
                    high = middle
            found = low
        cursor[of] = found
        place[i] = found


@kernel
def cover_atoms(begin, stop, point, time_ns, widest, out):
    """Count the transmissions of each atom at each point, and write when the first and the last one was.

    begin, stop, point, time_ns : (r,) integers, of each transmission its atoms, exclusive; one of more than `widest` is left out
    out : AtomCounts, (points * a,) int64 each, those of a point together
    """
    size = len(out.counts) // out.points
    for i in range(len(begin)):
        if stop[i] - begin[i] > widest:
            continue
        base, time = i64(point[i]) * size, i64(time_ns[i])
        for cell in range(base + i64(begin[i]), base + i64(stop[i])):
            out.counts[cell] += 1
            out.first_ns[cell] = min(i64(out.first_ns[cell]), time)
            out.last_ns[cell] = max(i64(out.last_ns[cell]), time)
