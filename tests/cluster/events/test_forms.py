"""Forms of events that no sample has, written as the programs' sources print them."""

import base64
import json

import pytest

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.events.hubbleflow import HubbleFlow
from mixcni.cluster.events.lost import LostEvents
from mixcni.cluster.events.monitorevent import MonitorEvent
from mixcni.cluster.events.packets import packet_of_octets, parse_summary
from mixcni.cluster.events.pwru import PwruEvent
from mixcni.cluster.events.retis import RetisEvent
from mixcni.cluster.events.times import in_year, time_in_year, time_of
from tests.cluster.dumps import only, state_of

SYN = bytes.fromhex(  # Ethernet, 10.244.3.7:41000 -> 10.242.2.149:8080, SYN
    "0a5800f20295" "0a5800f40307" "0800" "4500003c1c4640004006b1e6" "0af40307" "0af20295" "a028" "1f90" "00000001" "00000000"
    "a002faf0fe300000" "020405b4"
)  # fmt: skip


def hexdump(octets: bytes) -> str:
    """As Go's encoding/hex.Dump prints them."""
    lines = []
    for at in range(0, len(octets), 16):
        row = octets[at : at + 16]
        cells = " ".join(f"{octet:02x}" for octet in row[:8]) + "  " + " ".join(f"{octet:02x}" for octet in row[8:])
        lines.append(f"{at:08x}  {cells:<48} |{''.join(chr(octet) if 32 <= octet < 127 else '.' for octet in row)}|")
    return "\n".join(lines)


def ends(event: MonitorEvent | PwruEvent | RetisEvent | HubbleFlow) -> tuple[str, int | None, str, int | None, str | None]:
    return str(event.source), event.source_port, str(event.destination), event.destination_port, event.protocol


FLOW = "Feb  7 12:53:39.168: default/a:1 -> default/b:2 to-endpoint FORWARDED (TCP Flags: SYN)"
LOST_SYN = ("10.244.3.7", 41000, "10.242.2.149", 8080, "TCP")


def test_a_verbose_drop_has_the_packet_of_its_hex_dump() -> None:
    text = (
        "------------------------------------------------------------------------------\n"
        "CPU 01: MARK 0x71c3 FROM 1437 DROP: 74 bytes, reason Policy denied, identity world->59271, to endpoint 1437\n"
        f"{hexdump(SYN)}\n"
        "CPU 01: MARK 0x71c3 FROM 1437 DEBUG: Conntrack lookup 1/2: src=10.0.0.1:1 dst=10.0.0.2:2\n"
    )
    state = state_of(text)
    drop, debug = state.of_type(MonitorEvent)
    assert only(state).unparsed == ()
    assert (drop.type, drop.reason, drop.octets, drop.endpoint_id, drop.cpu) == ("drop", "Policy denied", 74, 1437, 1)
    assert (drop.source_identity, drop.destination_identity, drop.tcp_flags) == (2, 59271, ("SYN",))
    assert ends(drop) == LOST_SYN
    assert debug.says.startswith("Conntrack lookup")


def test_a_verbose_trace_has_the_packet_of_its_layers() -> None:
    text = (
        "CPU 03: MARK 0x0 FROM 7 to-endpoint: 74 bytes (74 captured), state new, interface lxc1, identity 2->9, to endpoint 7\n"
        "Ethernet\t{Contents=[..14..] Payload=[..62..] SrcMAC=0a:58 DstMAC=0a:59 EthernetType=IPv4 Length=0}\n"
        "IPv4\t{Contents=[..20..] Payload=[..40..] Version=4 SrcIP=10.244.3.7 DstIP=10.242.2.149 Options=[] Padding=[]}\n"
        "TCP\t{Contents=[..40..] SrcPort=41000 DstPort=8080(http-alt) Seq=1 FIN=false SYN=true RST=false ACK=false}\n"
        "  Packet has been truncated\n"
    )
    (event,) = state_of(text).of_type(MonitorEvent)
    assert (event.observed, event.state, event.interface, event.tcp_flags) == ("to-endpoint", "new", "lxc1", ("SYN",))
    assert ends(event) == LOST_SYN


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("CPU 02: Lost 17 events", "monitor"),
        (f"{FLOW}\nFeb  7 12:53:40.168 [node-1]: EVENTS LOST: HUBBLE_RING_BUFFER CPU(2) 17", "hubble HUBBLE_RING_BUFFER"),
        ('{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"17","cpu":2}}', "hubble PERF_EVENT_RING_BUFFER"),
    ],
)  # fmt: skip
def test_lost_events_are_counted(text: str, source: str) -> None:
    (lost,) = state_of(text).of_type(LostEvents)
    assert (lost.source, lost.count, lost.cpu) == (source, 17, 2)


def test_a_verdict_of_1_14_and_an_agent_message() -> None:
    text = (
        "Policy verdict log: flow 0x1 local EP ID 5, remote ID kube-apiserver, proto 6, egress, action allow, "
        "auth: spire, match L3-L4, [fd00::1]:1234 -> [fd00::2]:443 tcp SYN\n"
        '>> Endpoint created: {"id":5,"labels":["a"]}\n'
        "<- network flow 0x2 , identity world->unknown state unknown ifindex eth0 orig-ip 0.0.0.0: [unknown]\n"
    )
    verdict, agent, trace = state_of(text).of_type(MonitorEvent)
    assert ends(verdict) == ("fd00::1", 1234, "fd00::2", 443, "TCP")
    assert (verdict.direction, verdict.destination_identity, verdict.match) == ("egress", 7, "L3-L4")
    assert agent.says.startswith("Endpoint created: {")
    assert (trace.observed, trace.interface, trace.source) == ("from-network", "eth0", None)


def test_the_other_layouts_of_hubble_observe() -> None:
    block = (
        "  TIMESTAMP: Jan 26 09:07:03.396\n       NODE: node-1\n     SOURCE: 10.244.3.7:41000\nDESTINATION: default/b:8080\n"
        "       TYPE: Policy denied\n    VERDICT: DROPPED\n    SUMMARY: TCP Flags: SYN\n"
    )
    table = (
        "TIMESTAMP             SOURCE              DESTINATION      TYPE            VERDICT   SUMMARY\n"
        "Jan 26 09:07:03.396   10.244.3.7:41000    default/b:8080   Policy denied   DROPPED   TCP Flags: SYN\n"
    )
    folded = "\n".join(" ".join(line.split()) for line in table.splitlines())
    compact = (
        "2022-01-26T09:07:03.396Z [node-1]: 10.244.3.7:41000 (world) <> default/b:8080 (ID:9) "
        "Policy denied DROPPED (TCP Flags: SYN)"
    )
    for text in (f"{block}------------\n{block}", table, folded, compact):
        state = state_of(text)
        assert only(state).unparsed == (), text
        flow = state.of_type(HubbleFlow)[-1]
        assert (str(flow.source), flow.source_port, flow.destination_name, flow.destination_port) == (
            "10.244.3.7", 41000, "default/b", 8080,
        )  # fmt: skip
        assert (flow.drop_reason, flow.verdict, flow.tcp_flags) == ("Policy denied", "DROPPED", ("SYN",))


def test_older_json_is_the_bare_flow() -> None:
    flow = {
        "time": {"seconds": 1675774419, "nanos": 5},
        "verdict": "DROPPED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2"},
        "l4": {"TCP": {"source_port": 1, "destination_port": 2, "flags": {"SYN": True}}},
        "event_type": {"type": 5},
        "traffic_direction": "INGRESS",
    }
    (found,) = state_of(json.dumps(flow)).of_type(HubbleFlow)
    assert (found.time_ns, found.verdict, found.direction) == (1675774419000000005, "DENIED", "ingress")
    assert ends(found) == ("10.0.0.1", 1, "10.0.0.2", 2, "TCP")


PWRU = (
    "SKB                CPU PROCESS          NETNS      MARK/x        IFACE       PROTO  MTU   LEN   TUPLE FUNC\n"
    "0xffff9fc40335a0e8 4   ~r/bin/curl:8966 4026531992 0            eth0:2      0x0800 1500  60    "
    "10.244.3.7:41000->10.242.2.149:8080(tcp:SYN) ip_local_out\n"
    "0xffff9fc40335a0e8 4   ~r/bin/curl:8966 4026531992 0            eth0:2      0x0800 1500  60    "
    "10.244.3.7:41000->10.242.2.149:8080(tcp) kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP)\n"
)


def test_pwru_tells_a_drop_from_a_way_through() -> None:
    state = state_of(PWRU)
    passed, dropped = state.of_type(PwruEvent)
    assert only(state).unparsed == ()
    assert (passed.function, passed.is_drop, passed.tcp_flags) == ("ip_local_out", False, ("SYN",))
    assert (dropped.drop_reason, dropped.is_drop, dropped.interface, dropped.octets) == ("NETFILTER_DROP", True, "eth0:2", 60)
    assert ends(dropped) == LOST_SYN


def test_pwru_in_json_and_in_its_oldest_form() -> None:
    value = {
        "skb": "0xffff888", "cpu": 1, "process": "curl:1", "func": "sk_skb_reason_drop(SKB_DROP_REASON_NO_SOCKET)",
        "tuple": {"saddr": "10.244.3.7", "daddr": "10.242.2.149", "sport": 41000, "dport": 8080, "proto": 6},
    }  # fmt: skip
    (event,) = state_of(json.dumps(value)).of_type(PwruEvent)
    assert (event.drop_reason, event.is_drop, ends(event)) == ("NO_SOCKET", True, LOST_SYN)
    old = (
        "               SKB    CPU          PROCESS                     FUNC\n"
        "0xffff98d2c2d5ce00      8        [<empty>]  kfree_skb_reason(SKB_DROP_REASON_NO_SOCKET) "
        "netns=4026531992 mark=0x0 ifindex=2 proto=8 mtu=1500 len=60 10.244.3.7:41000->10.242.2.149:8080(tcp)\n"
    )
    (event,) = state_of(old).of_type(PwruEvent)
    assert (event.drop_reason, event.netns, event.octets, ends(event)) == ("NO_SOCKET", "4026531992", 60, LOST_SYN)


def test_retis_in_text() -> None:
    text = (
        "4152973315243 [nc] 14839 [tp] skb:kfree_skb #3c6ffff8d (skb ffff8d) n 0 drop (NO_SOCKET)\n"
        "    kfree_skb_reason+0x8f\n  ns 1/4026531840 if 2 (eth0) rxif 2\n"
        "  10.244.3.7.41000 > 10.242.2.149.8080 tos 0x0 ttl 64 id 1 off 0 [DF] len 60 proto TCP (6) flags [S] seq 1 win 3\n"
        "4152973315250 [nc] 14839 [k] ip6_input\n  ::1.60634 > ::1.80 label 0x1 len 40 hoplim 64 proto TCP (6) flags [S.]\n"
    )
    state = state_of(text)
    drop, passed = state.of_type(RetisEvent)
    assert only(state).unparsed == ()
    assert (drop.drop_reason, drop.probe, drop.interface, ends(drop)) == ("NO_SOCKET", "skb:kfree_skb", "eth0", LOST_SYN)
    assert (passed.is_drop, passed.tcp_flags, ends(passed)) == (False, ("SYN", "ACK"), ("::1", 60634, "::1", 80, "TCP"))


@pytest.mark.parametrize(
    "packet",
    [
        {
            "skb": {
                "ip": {"saddr": "10.244.3.7", "daddr": "10.242.2.149", "protocol": 6},
                "tcp": {"sport": 41000, "dport": 8080, "flags": 2},
            }
        },
        {"packet": {"len": 74, "capture_len": len(SYN), "packet": base64.b64encode(SYN).decode()}},
    ],
    ids=["headers", "octets"],
)
def test_retis_in_json_has_times_by_the_offset_that_it_starts_with(packet: dict[str, object]) -> None:
    start = {"startup": {"retis_version": "1.5.0", "clock_monotonic_offset": {"sec": 1670832000, "nsec": 7}}}
    event = {
        "common": {"timestamp": 1000, "smp_id": 1, "task": {"comm": "nc", "pid": 5}},
        "kernel": {"symbol": "skb:kfree_skb", "probe_type": "raw_tracepoint"},
        "skb-drop": {"drop_reason": "NETFILTER_DROP"},
        **packet,
    }
    state = state_of(f"{json.dumps(start)}\n{json.dumps(event)}\n")
    (found,) = state.of_type(RetisEvent)
    assert only(state).kind == "retis"
    assert (found.time_ns, found.drop_reason, found.tcp_flags) == (1670832000000001007, "NETFILTER_DROP", ("SYN",))
    assert ends(found) == LOST_SYN


@pytest.mark.parametrize(
    ("text", "source", "port", "protocol", "flags", "says"),
    [
        ("10.0.0.112 :54134 -> 10.0.0.147:80 tcp SYN, ACK", "10.0.0.112", 54134, "TCP", ("SYN", "ACK"), ""),
        ("10.0.0.1 -> 10.0.0.2 icmp EchoRequest", "10.0.0.1", None, "ICMP", (), "EchoRequest"),
        ("fe80::1 -> ff02::1 RouterAdvertisement", "fe80::1", None, "ICMPv6", (), "RouterAdvertisement"),
        ("10.0.0.1:1 -> 10.0.0.2:2 udp [tunnel 1.1.1.1:5 -> 2.2.2.2:8472 vxlan]", "10.0.0.1", 1, "UDP", (), ""),
        ("0a:58:0a:f4:03:07 -> ff:ff:ff:ff:ff:ff ARP", "None", None, "ARP", (), ""),
    ],
)
def test_a_summary_is_read(text: str, source: str, port: int | None, protocol: str, flags: tuple[str, ...], says: str) -> None:
    packet = parse_summary(text, AddressBook())
    assert packet is not None
    assert (str(packet.source), packet.source_port, packet.protocol, packet.tcp_flags) == (source, port, protocol, flags)
    assert packet.says.startswith(says)


def test_octets_of_a_frame_are_read_as_far_as_they_go() -> None:
    for length in range(len(SYN)):
        packet = packet_of_octets(SYN[:length])
        assert packet is None if length < 34 else str(packet.destination) == "10.242.2.149"  # type: ignore[union-attr]
    tagged = SYN[:12] + bytes.fromhex("8100000a") + SYN[12:]
    assert packet_of_octets(tagged) == packet_of_octets(SYN)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("2022-12-12T08:00:00Z", 1670832000_000000000),
        ("2022-12-12T10:00:00.5+02:00", 1670832000_500000000),
        ("2022-12-12 08:00:00.000000001 UTC", None),
        ("2022-13-12T08:00:00Z", None),
        ("Jan 26 09:07:03.396", None),
    ],
)
def test_a_time_with_its_zone_is_absolute(text: str, time_ns: int | None) -> None:
    assert time_of(text) == time_ns


def test_a_time_without_year_counts_from_the_years_beginning() -> None:
    assert time_in_year("Jan  1 00:00:01.5") == 1_500_000_000
    assert time_in_year("Dec 12 08:00:00") == in_year(1670832000 * 10**9)
    assert time_in_year("Foo 12 08:00:00") is None


def test_a_table_of_flows_without_a_column_that_counts_leaves_its_rows_over() -> None:
    titles = "TIMESTAMP             SOURCE              VERDICT   SUMMARY"
    state = state_of(f"{titles}\nJan 26 09:07:03.396   default/a:41000   DROPPED   TCP Flags: SYN\n")
    assert not state.of_type(HubbleFlow)
    assert [odd.why for odd in only(state).unparsed] == ["wanted the columns DESTINATION SOURCE TIMESTAMP TYPE VERDICT"]
