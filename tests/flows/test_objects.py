"""What `mixcni flows` tells: objects by the contract of its JSON, and a DataFrame."""

import json

import numpy as np

from mixcni.decode import decode_packets
from mixcni.flows import track_flows
from mixcni.read import CaptureFile
from mixcni.schema import FLOWS
from tests.flows.rows import Row, handshake, said, tracked
from tests.flows.test_tshark import SAMPLES
from tests.wire import S

ASK = said(0, "PA", 1, 1, 10, time_ns=7, size=64)


def test_a_flow_is_an_object_by_the_contract():
    rows = [*handshake(time_ns=5, size=54), ASK, ASK._replace(time_ns=S), said(1, "PA", 1, 11, 20, time_ns=9, size=74)]
    (told,) = tracked(rows).objects(np.array([[1, 1]]))
    assert told["initiator"][1] == 40_000
    assert told["responder"][1] == 80
    assert {name: value for name, value in told.items() if name not in ("initiator", "responder")} == {
        "protocol": "tcp",
        "tunnel": None,
        "conn_state": "S1",
        "history": "ShADTd",
        "packets": [4, 2],
        "octets": [236, 128],
        "payload_octets": [20, 20],
        "retransmissions": 1,
        "out_of_order": 0,
        "duplicate_acks": 0,
        "first_ns": 5,
        "last_ns": S,
        "http": [1, 1],
        "copies": 0,
        "completeness": 15,
        "mixcni": {"retransmissions": 1, "out_of_order": 0, "duplicate_acks": 0},
    }


def test_what_was_not_told_is_null():
    (told,) = tracked([Row(0, 9, 1, 10, 17, 0, time_ns=-1)]).objects()
    assert (told["protocol"], told["first_ns"], told["last_ns"], told["http"]) == ("udp", None, None, None)


def test_flows_of_each_kind_are_told_among_others_as_alone():
    asked = [*handshake(time_ns=5), ASK, said(1, "PA", 1, 11, 20, time_ns=9), ASK, said(0, "FA", 11, 21), said(1, "R", 21)]
    datagrams = [Row(0, 9, 1, 10, 17, 0, payload=5, time_ns=S), Row(1, 10, 0, 9, 17, 0, payload=7, time_ns=S)]
    alone, others, both = (tracked(rows) for rows in (asked, datagrams, [*asked, *datagrams]))
    assert (alone["resets"].any(), alone["retransmissions"].any()) == (True, True)
    for name in FLOWS:
        assert both[name].tolist() == [*alone[name].tolist(), *others[name].tolist()], name
        assert both[name].dtype == others[name].dtype == FLOWS[name].dtype, name


def test_every_sample_is_told_as_json_and_as_a_frame():
    for path in SAMPLES:
        if path.suffix == ".snoop":
            continue
        flows = track_flows(decode_packets([CaptureFile(path)]))
        lines = [json.loads(json.dumps(told)) for told in flows.objects()]
        frame = flows.to_frame()
        assert len(lines) == len(flows) == len(frame)
        assert set(FLOWS) | {"tunnel", "first", "last"} == set(frame.columns)
        assert [line["conn_state"] for line in lines] == frame["conn_state"].tolist()
        assert [line["tunnel"] or "" for line in lines] == frame["tunnel"].tolist()


def test_a_tunnel_is_told_in_words():
    flows = tracked([row._replace(stack=1 if row.a == 0 else 2) for row in handshake()])
    tunnel = flows.objects()[0]["tunnel"]
    assert tunnel is not None
    assert tunnel.startswith("vxlan 7 ")
    assert flows.to_frame()["tunnel"].tolist() == [tunnel]


def test_our_figures_stand_beside_those_of_wireshark():
    path = next(path for path in SAMPLES if path.name == "tcp-every-packet-twice-http.pcap")
    told = track_flows(decode_packets([CaptureFile(path)])).objects()
    assert sum(flow["mixcni"]["retransmissions"] for flow in told) == 0
    assert sum(flow["retransmissions"] for flow in told) > 0
