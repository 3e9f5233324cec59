"""Blind times lie between the events of their own node that were delivered."""

from mixcni.cluster.events.lost import BlindTimes, LostEvents


def windows(*steps: tuple[str, str | None, int | None]) -> list[tuple[int | None, int | None]]:
    """The windows of the losses among steps (event or lost, node, time)."""
    blind = BlindTimes()
    for kind, node, time_ns in steps:
        if kind == "event":
            blind.event(node, time_ns)
        else:
            blind.lost(LostEvents("hubble", 1, node, until_ns=time_ns))
    return [(lost.since_ns, lost.until_ns) for lost in blind.found]


def test_a_window_is_that_of_its_node() -> None:
    assert windows(
        ("event", "a", 10), ("event", "b", 15), ("lost", "a", None), ("event", "b", 20), ("event", "a", 30), ("event", "a", 40)
    ) == [(10, 30)]  # fmt: skip


def test_a_loss_of_no_known_node_is_as_wide_as_any() -> None:
    assert windows(("event", "a", 10), ("event", "b", 15), ("lost", None, None), ("event", "b", 20)) == [(10, 20)]


def test_a_loss_that_tells_its_time_ends_there_and_one_at_the_end_is_open() -> None:
    assert windows(("event", "a", 10), ("lost", "a", 12), ("event", "a", 30)) == [(10, 12)]
    assert windows(("lost", "a", None)) == [(None, None)]
