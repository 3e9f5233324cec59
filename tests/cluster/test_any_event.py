"""Any text and any damage to events and logs: read without an exception, every line accounted for, in one pass."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.cluster import ClusterState
from mixcni.cluster.kinds import KIND_OF_NAME
from mixcni.cluster.loading import read_octets
from tests.cluster.events.test_forms import PWRU
from tests.cluster.logs.test_conntrack import PLAIN
from tests.cluster.logs.test_envoy import ENVOY, GRPC_SERVICE, ISTIO, ISTIO_JSON

KINDS = ("monitor", "hubble", "pwru", "retis", "envoy", "conntrack")
SAMPLES = Path(__file__).parent / "events" / "samples"
RETIS = (
    "4152973315243 [nc] 14839 [tp] skb:kfree_skb #3c6ffff8d n 0 drop (NO_SOCKET)\n  if 2 (eth0) rxif 2\n"
    "  10.244.3.7.41000 > 10.242.2.149.8080 tos 0x0 ttl 64 id 1 off 0 len 60 proto TCP (6) flags [S] seq 1 win 3\n"
)
TEXTS = [path.read_text() for path in sorted(SAMPLES.iterdir()) if path.suffix != ".md"]
TEXTS += [PWRU, RETIS, f"{ISTIO}\n{ENVOY}\n", f"{PLAIN}\n{PLAIN} id=3\n", json.dumps(ISTIO_JSON), json.dumps(GRPC_SERVICE)]
LINES = sorted({line for text in TEXTS for line in text.split("\n")})
WORDS = sorted({word for line in LINES for word in line.split()})


def hold(octets: bytes) -> ClusterState:
    """Read octets; every entry and every odd line stands in its dump, and nothing is counted twice."""
    found = read_octets(octets, "events.txt")
    for read in found:
        dump = read.dump
        lines = [entry.line for entry in read.entries] + [odd.line for odd in dump.unparsed]
        assert all(dump.line <= line <= dump.last_line for line in lines)
        assert all(odd.text.strip() for odd in dump.unparsed)
        if dump.kind in KINDS:
            numbers = [entry.line for entry in read.entries]
            assert sorted(numbers) == numbers
    state = ClusterState.of(found)
    repr(state)
    return state


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=20).map("\n".join))
@settings(max_examples=120)
def test_any_lines_in_any_order_are_read(text: str) -> None:
    hold(text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=12).map(" ".join), max_size=8).map("\n".join))
@settings(max_examples=120)
def test_any_words_in_any_order_are_read(text: str) -> None:
    hold(text.encode("utf-8", "surrogatepass"))


@given(st.sampled_from(TEXTS), st.data())
@settings(max_examples=150)
def test_events_damaged_anywhere_are_read(text: str, data: st.DataObject) -> None:
    octets = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, max(len(octets) - 1, 0)))
        length = data.draw(st.sampled_from([0, 1, 5, 80]))
        octets[at : at + length] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"\n", b" ", b"-", b"9" * 30, b"(", b'"', b"{"])
        )
    hold(bytes(octets))


@pytest.mark.parametrize("text", TEXTS)
def test_terminals_and_pasting_change_nothing(text: str) -> None:
    plain = hold(text.encode())

    def facts(state: ClusterState) -> list[str]:
        rows = [entry for kind in KINDS for entry in state.table(kind)]
        return [str([getattr(row, name) for name in row.__dataclass_fields__ if name not in ("file", "line")]) for row in rows]

    assert facts(hold(text.replace("\n", "\r\n").encode())) == facts(plain)
    coloured = "\n".join(f"\x1b[1;32m{line}\x1b[0m" for line in text.split("\n"))
    assert facts(hold(coloured.encode())) == facts(plain)
    assert facts(hold("\n".join(f"    {line}" for line in text.split("\n")).encode())) == facts(plain)


PIECES = (
    " ", "x", "9", ":", ".", "-", "(", ")", "[", "]", '"', "{", "}", ", ", "->", " -> ", "<- ", "=", "a=b ", "src=1 ",
    "1.1.1.1:1 ", "EVENTS LOST ", "DROPPED ", "FORWARDED (", "0x1 ", "UF,", "|", "/", "> ", "a.1 > b.2 ", "TIMESTAMP: ",
    "identity 1->2 ", "drop (", "CPU 1: ",
)  # fmt: skip
HEADS = (
    "xx drop (", "xx drop (a) to endpoint 1, ", "Policy verdict log: flow 0x1 local EP ID 1, remote ID 2, ",
    "-> endpoint 1 flow 0x1 ", "<- Request http from 1 (", "CPU 01: MARK 0x1 FROM 1 DROP: 7 bytes, reason ",
    "Jan 26 09:07:03.396: ", "Jan 26 09:07:03.396: a:1 <> b:2 ",
    "TIMESTAMP SOURCE DESTINATION TYPE VERDICT SUMMARY\nJan 26 09:07:03.396 ", "SKB CPU PROCESS FUNC\n0xffff9fc40335a0e8 4 ",
    "4152973315243 [nc] 1 [tp] skb:kfree_skb\n  ", '[2022-12-12T08:01:02.345Z] "GET / HTTP/1.1" 503 ',
    '[2022-12-12T08:01:02.345Z] "', "tcp 6 117 SYN_SENT src=1.1.1.1 ", '{"flow":{"time":"', "00000000  ", "IPv4 {", ">> ",
)  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_long_lines_are_read_in_one_pass(head: str) -> None:
    # Whatever looks twice at each character of these takes minutes.
    for piece in PIECES:
        read_octets((head + piece * (30_000 // len(piece))).encode(), "events.txt")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_table_that_its_reader_fills(kind: str) -> None:
    known = KIND_OF_NAME[kind]
    assert known.entry is not None
    assert known.read is not None
    assert any(hold(text.encode()).table(kind) for text in TEXTS)
