"""What selective acknowledgments tell of repeated segments, event by event of one stream after the other.

The state is of one stream at a time and small: the runs that its receiver has lately said to have, and the latest repetitions.
"""

from mixcni.kernels.jit import i64, kernel

SACKED, TWICE, REPEATED, COPIED = 0, 1, 2, 3  # kinds of events
RUNS, RUN_WIDTH = 32, 2  # of octets acknowledged selectively; of more the lowest is forgotten
REPEATS, REPEAT_WIDTH = 64, 4  # repeated segments that a report may be of: start, end, offset up to which it was reported, event


@kernel
def add_run(runs, count, start, end):
    """Enter the run [start, end), joined with those that it touches; how many there are."""
    j = 0
    while j < count:
        at = RUN_WIDTH * j
        first, last = i64(runs[at]), i64(runs[at + 1])
        if first <= end and start <= last:
            start, end = min(start, first), max(end, last)
            count -= 1
            runs[at], runs[at + 1] = runs[RUN_WIDTH * count], runs[RUN_WIDTH * count + 1]
        else:
            j += 1
    if count == RUNS:
        lowest = 0
        for j in range(1, RUNS):
            if runs[RUN_WIDTH * j] < runs[RUN_WIDTH * lowest]:
                lowest = j
        count -= 1
        runs[RUN_WIDTH * lowest], runs[RUN_WIDTH * lowest + 1] = runs[RUN_WIDTH * count], runs[RUN_WIDTH * count + 1]
    runs[RUN_WIDTH * count], runs[RUN_WIDTH * count + 1] = start, end
    return count + 1


@kernel
def is_covered(runs, count, start, end):
    """Whether one run has all of [start, end)."""
    for j in range(count):
        if runs[RUN_WIDTH * j] <= start and end <= runs[RUN_WIDTH * j + 1]:
            return 1
    return 0


@kernel
def report_twice(repeats, count, start, end, needless):
    """Charge octets that came twice to the repetitions of them, the oldest first; where none is left over, all were needless.

    As long as fewer came twice than were sent again, one of the transmissions was lost, and which one is not known.
    """
    left, right, all_reported = start, end, 1  # [left, right) is not charged yet
    for k in range(max(count - REPEATS, 0), count):
        at = REPEAT_WIDTH * (k % REPEATS)
        reported, last = i64(repeats[at + 2]), i64(repeats[at + 1])
        if min(last, end) <= max(i64(repeats[at]), start):
            continue
        if left <= reported < min(last, right):
            repeats[at + 2] = min(last, right)
            if reported == left:
                left = min(last, right)
            else:
                right = reported
        if repeats[at + 2] < last:
            all_reported = 0
    if all_reported:
        for k in range(max(count - REPEATS, 0), count):
            at = REPEAT_WIDTH * (k % REPEATS)
            if min(i64(repeats[at + 1]), end) > max(i64(repeats[at]), start) and repeats[at + 3] >= 0:
                needless[repeats[at + 3]] = 1


@kernel
def follow_sacks(events, runs, repeats, needless):
    """Write which repeated segments were sent without need.

    events : EventArrays, (n,) each, those of a stream together and in the order of their packets
    runs, repeats : (RUNS * RUN_WIDTH,) and (REPEATS * REPEAT_WIDTH,) int64, scratch
    needless : (n,) uint8, zeroed; 1 for events that are such segments
    """
    run_count, repeat_count = 0, 0
    for i in range(len(events.kind)):
        if i == 0 or events.stream[i] != events.stream[i - 1]:
            run_count, repeat_count = 0, 0
        kind, start, end = i64(events.kind[i]), i64(events.start[i]), i64(events.end[i])
        if kind == SACKED:
            run_count = add_run(runs, run_count, start, end)
        elif kind == TWICE:
            report_twice(repeats, repeat_count, start, end, needless)
        else:
            if kind == REPEATED and is_covered(runs, run_count, start, end):
                needless[i] = 1
            at = REPEAT_WIDTH * (repeat_count % REPEATS)
            repeats[at], repeats[at + 1], repeats[at + 2] = start, end, start
            repeats[at + 3] = i if kind == REPEATED else -1
            repeat_count += 1
