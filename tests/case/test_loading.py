"""Loading points: in threads or not it is the same, and progress ends at the octets of all files."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from mixcni.case import loading
from mixcni.case.loading import load_points
from mixcni.errors import CaptureError
from tests.cases import CAPTURES, FOUNDING

FILES = [[CAPTURES / FOUNDING / f"{name}.pcap"] for name in "ABC"]


@pytest.mark.parametrize("large", [0, 1 << 40], ids=["threads", "no threads"])
def test_points_come_in_the_order_given(monkeypatch: pytest.MonkeyPatch, large: int):
    monkeypatch.setattr(loading, "LARGE", large)
    loaded = load_points([*FILES, FILES[0]])
    assert [point.flows.packets.files for point in loaded] == [tuple(files) for files in [*FILES, FILES[0]]]
    for name in loaded[0].flows:
        assert np.array_equal(loaded[0].flows[name], loaded[3].flows[name])
    for name in loaded[0].exchanges:
        assert np.array_equal(loaded[0].exchanges[name], loaded[3].exchanges[name])


@pytest.mark.parametrize("large", [0, 1 << 40], ids=["threads", "no threads"])
def test_progress_never_goes_back_and_ends_at_the_whole(monkeypatch: pytest.MonkeyPatch, large: int):
    monkeypatch.setattr(loading, "LARGE", large)
    told: list[tuple[int, int]] = []
    load_points(FILES, lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for (path,) in FILES)
    assert {total for _, total in told} == {size}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == size


@pytest.mark.parametrize("large", [0, 1 << 40], ids=["threads", "no threads"])
def test_the_first_point_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, large: int):
    monkeypatch.setattr(loading, "LARGE", large)
    bad, worse = tmp_path / "bad.pcap", tmp_path / "worse.pcap"
    bad.write_bytes(b"no capture")
    worse.write_bytes(b"nor is this")
    with pytest.raises(CaptureError, match=r"bad\.pcap"):
        load_points([FILES[0], [bad], [worse]])


def test_standard_input_is_no_point() -> None:
    with pytest.raises(CaptureError, match="standard input can be read once"):
        load_points([[Path("-")]])


@pytest.mark.parametrize(("processors", "threads"), [({3}, False), ({0, 3}, True)], ids=["one processor", "two"])
def test_threads_are_started_for_the_processors_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, processors: set[int], threads: bool
):
    monkeypatch.setattr(loading, "LARGE", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: processors, raising=False)
    names: set[str] = set()
    load_points(FILES, lambda *_: names.add(threading.current_thread().name))
    assert (threading.main_thread().name not in names) == threads
