"""What the SYNs of flows offer, whichever of the packets' side tables have it."""

import pytest

from mixcni.align.united import NO_OPTIONS, UnitedFlows
from mixcni.flows import track_flows
from mixcni.schema import OptionFlag
from tests.wire import Conversation, decoded

MSS, SACK, TIMES = b"\2\4\x05\xb4", b"\4\2\1\1", b"\1\1\x08\x0a\0\0\0\5\0\0\0\0"
NONE = NO_OPTIONS


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (b"", (NONE, NONE, NONE, NONE)),
        (MSS, (1460, -1, 0, NONE)),
        (TIMES, (-1, -1, OptionFlag.TIMESTAMPS, 5)),
        (MSS + SACK + TIMES, (1460, -1, OptionFlag.TIMESTAMPS | OptionFlag.SACK_PERMITTED, 5)),
    ],
    ids=["none", "MSS", "timestamps alone", "those of a usual SYN"],
)
def test_what_a_syn_offers_is_found(tmp_path, options, told):
    talk = Conversation()
    frames = [talk.segment(1, "A", seq=1, options=TIMES), talk.segment(0, "S", seq=9, options=options)]
    flows = track_flows(decoded(tmp_path / "A.pcap", frames))
    every = UnitedFlows([flows], [flows.packets["time_ns"]])
    assert tuple(every.syn_options[int(every.syn_seen.argmax())].tolist()) == told


def test_timestamps_are_those_of_their_own_segments(tmp_path):
    talk = Conversation()
    frames = [talk.segment(0, "A", seq=seq, options=TIMES if seq % 2 else b"") for seq in range(1, 5)]
    flows = track_flows(decoded(tmp_path / "A.pcap", frames))
    every = UnitedFlows([flows], [flows.packets["time_ns"]])
    segments = every.segments_of(every.flow.astype("int64"))
    assert list(zip(segments["seq"].tolist(), segments["ts_val"].tolist(), strict=True)) == [(1, 5), (2, -1), (3, 5), (4, -1)]
