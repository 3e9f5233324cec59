"""Any text at all is read without an exception, in one pass, and each line that is cited is there."""

import re
import sys
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixcni.cluster import ClusterState
from mixcni.cluster.loading import MAX_UNPARSED, read_octets
from mixcni.cluster.plain import plain_entry
from tests.cluster import crafted
from tests.cluster.dumps import CT_TAIL, SAMPLES, state_of

TEXTS = {
    **{
        path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir()) if path.suffix != ".jsonl" and path.name != "README.md"
    },
    **{f"{name}.txt": text.encode() for name, (_, text, _) in crafted.TEXTS.items()},
    **{name: text.encode() for name, text in crafted.JSON_TEXTS.items()},
}
WORDS = sorted({word for octets in TEXTS.values() for word in octets.decode().split()})
LINES = sorted({line for octets in TEXTS.values() for line in octets.decode().split("\n")})


def hold(octets: bytes, name: str = "dump.txt") -> ClusterState:
    """Read octets, and hold what comes out against them."""
    found = read_octets(octets, name)
    state = ClusterState.of(found)
    assert state.dumps
    count = max(octets.count(b"\n"), octets.count(b"\r"), octets.count(b"\n\x00"), octets.count(b"\x00\n")) + 1
    for read in found:
        dump = read.dump
        assert 1 <= dump.line <= dump.last_line <= count
        assert len(dump.unparsed) <= MAX_UNPARSED
        assert dump.entries == len(read.entries)
        assert not (dump.unavailable and dump.entries)
        for entry in (*read.entries, *read.extras):
            assert dump.holds(entry.file, entry.line)
        for odd in dump.unparsed:
            assert dump.line <= odd.line <= dump.last_line
            assert odd.text.strip()
    repr(state)
    for kind, table in state.tables.items():
        if table and kind != "dumps":
            assert len(state.to_frame(kind)) == len(table)
            plain_entry(kind, table[-1])
    for entry in state.policy_map[:3]:
        state.policy_verdict(entry.endpoint_id or 1, "ingress", 2, 80, "TCP")
    for row in state.ipcache[:3]:
        state.identity_of(row.prefix.network_address)
    state.identity_of("10.0.0.1")
    state.is_cilium_node("10.0.0.1")
    return state


@given(st.binary(max_size=300))
@settings(max_examples=150)
def test_any_octets_are_read(octets: bytes) -> None:
    hold(octets)


@given(st.text(max_size=300))
@settings(max_examples=150)
def test_any_text_is_read(text: str) -> None:
    hold(text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=12).map(" ".join), max_size=12).map("\n".join))
@settings(max_examples=200)
def test_any_words_of_dumps_in_any_order_are_read(text: str) -> None:
    hold(text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.sampled_from(LINES), max_size=25).map("\n".join))
@settings(max_examples=200)
def test_any_lines_of_dumps_in_any_order_are_read(text: str) -> None:
    hold(text.encode())


@given(st.sampled_from(sorted(TEXTS)), st.data())
@settings(max_examples=250)
def test_a_dump_damaged_anywhere_is_read(name: str, data: st.DataObject) -> None:
    octets = bytearray(TEXTS[name])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(len(octets) - 1, 0)))
        length = data.draw(st.sampled_from([0, 1, 5, 80, 500]))
        octets[at : at + length] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"\n", b" ", b"...", b"=", b"-", b"9" * 30])
        )
    hold(bytes(octets), name)


@pytest.mark.parametrize("name", TEXTS)
def test_a_sample_cut_at_any_octet_holds_no_more_than_the_whole(name: str) -> None:
    octets = TEXTS[name]
    whole = hold(octets, name)
    for at in range(0, len(octets), max(len(octets) // 12, 1)):
        cut = hold(octets[:at], name)
        for kind, table in cut.tables.items():
            # A row of a map that is cut before its value may be any map's.
            assert kind in ("dumps", "map") or len(table) <= len(whole.tables[kind])


STATES = {name: text.decode() for name, text in TEXTS.items() if not name.startswith(("monitor-", "hubble-"))}


def counted(text: str) -> tuple[Counter[str], int]:
    """Entries by kind, and how many lines were not understood."""
    found = [read.dump for read in read_octets(text.encode(), "dump.txt")]
    entries = Counter({dump.kind: 0 for dump in found})
    entries.update({dump.kind: sum(other.entries for other in found if other.kind == dump.kind) for dump in found})
    return +entries, sum(len(dump.unparsed_lines) for dump in found)


@given(st.lists(st.sampled_from(sorted(STATES)), min_size=2, max_size=4), st.sampled_from(["\n", "\n\n", "\n```\n", "\n$ \n"]))
@settings(max_examples=200)
@example(["ct-list-arthurchiao-2019-cheatsheet.txt", "kubernetes-objects.yaml", "status.json"], "\n")
@example(["kubernetes-objects.yaml", "ct-list-arthurchiao-2019-cheatsheet.txt"], "\n")
@example(["kubernetes-objects.yaml", "ipcache-list-f5-vtep-pubidx-30712842-vtepmac.txt"], "\n")
def test_dumps_joined_in_one_file_are_the_same_dumps(names: list[str], between: str) -> None:
    entries, unparsed = counted(between.join(STATES[name].rstrip("\n") for name in names))
    apart = [counted(STATES[name]) for name in names]
    assert entries == sum((each for each, _ in apart), Counter())
    assert unparsed == sum(each for _, each in apart)


PIECES = (
    " ",
    "\t",
    "x",
    "1",
    "9",
    ":",
    "a:",
    "1:",
    ".",
    "=",
    "-",
    "(",
    "[",
    '"',
    "`",
    "#",
    "# ",
    "> ",
    "$ ",
    "/",
    "\u00a0",
    "\x1b[",
    "\x1b]",
    "\u2026",
    "TCP ",
    "IN ",
    "-> ",
    "expires=1 ",
    "k8s:a=b ",
    "ENDPOINT ",
    "[ ",
    "(Last probed: ",
    "LABELS ",
    "Allow Ingress ",
    "level=",
    'time="',
    "cilium ",
)
FIRST = (
    "",
    "x\n",
    "TCP IN ",
    "TCP IN 10.0.0.1:1 -> ",
    f"TCP IN 10.0.0.1:1 -> 10.0.0.2:2 {CT_TAIL} ",
    "POLICY DIRECTION IDENTITY PORT/PROTO\nAllow ",
    "ENDPOINT POLICY IDENTITY\n7 Enabled ",
    "IP PREFIX/ADDRESS IDENTITY\n10.0.0.1/32 identity=",
    "ID LABELS\n1 ",
    "Nodes:\n a:\n Host connectivity to ",
    "Cluster health: 1/1 reachable\n a:\n  Host connectivity to 10.0.0.1:\n   ICMP to stack: OK",
    "Name IPv4 Address Endpoint CIDR\nn ",
    "root@",
    "2024-01-01T",
    "[",
    "{",
    "time=",
    "Error",
    "SERVICE ADDRESS BACKEND ADDRESS\n10.0.0.1:80 ",
    "ID Frontend Service Type Backend\n1 10.0.0.1:80 ClusterIP 1 => ",
    "TCP OUT 10.0.0.1:1 -> 10.0.0.2:2 XLATE_SRC ",
    "TCP OUT 10.0.0.1:1 -> 10.0.0.2:2 XLATE_SRC 1.2.3.4:5 Created=",
    "REASON DIRECTION PACKETS BYTES\nPolicy denied INGRESS ",
    "IP ADDRESS LOCAL ENDPOINT INFO\n10.0.0.1:0 id=1 ",
    "Key Value State Error\n1 ",
    "Endpoint FQDN TTL ExpirationTime IPs\n1 a 3 2024-01-01T00:00:00Z ",
    "KVStore: Ok\nIPAM: ",
    '{"Key": {"DestAddr": [',
    '[{"a": "',
)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("last", ["", "!"])
def test_long_lines_are_read_in_one_pass(first: str, last: str) -> None:
    # Whatever looks twice at each character of these takes minutes.
    for piece in PIECES:
        read_octets((first + piece * (40_000 // len(piece)) + last).encode(), "dump.txt")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "TCP IN ",
        "k8s:a=b",
        "7 Enabled",
        "...",
        "```",
        "$ cilium bpf ct list global",
        "no maps found",
        "10.0.0.1/32",
        "a:",
        "[",
        '{"a": ',
        '{"a": [',
        "[[1,",
        '{"cidr": "10.0.0.1/32"}\n{"fqdn": "a"}',
    ],
)
def test_many_lines_are_read_in_one_pass(line: str) -> None:
    assert read_octets(f"{line}\n".encode() * 20_000, "dump.txt")


def test_keys_spelt_with_escapes_are_looked_for_no_more_than_a_few_times() -> None:
    rows = ",\n".join(f'"\\u0031{at >> 8}.0.{at >> 8 & 255}.{at & 255}/32": ["identity={at}"]' for at in range(30_000))
    (read,) = read_octets(f'{{"10.0.0.1/32": ["identity=1"],\n{rows}}}'.encode(), "dump.txt")
    assert read.dump.kind == "ipcache"
    assert len(read.entries) + len(read.dump.unparsed_lines) > 0


def calls_of(octets: bytes) -> int:
    """How many functions are called to read octets: a measure of work that no clock disturbs."""
    count = 0

    def take(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(take)
    try:
        read_octets(octets, "dump.txt")
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", [*(f"{name}.txt" for name in crafted.TEXTS), *crafted.JSON_TEXTS])
def test_work_grows_with_the_length_of_a_dump_and_no_faster(name: str) -> None:
    octets = TEXTS[name] + b"\n"
    calls_of(octets)  # whatever is imported or compiled once is by now
    small, large = calls_of(octets * 20), calls_of(octets * 40)
    assert large < 2.2 * small


def test_unparsed_lines_beyond_a_limit_are_counted_and_not_kept() -> None:
    (dump,) = state_of("what is this\n" * (MAX_UNPARSED + 7)).dumps
    assert len(dump.unparsed) == MAX_UNPARSED
    assert re.search(r"\b7 more lines did not parse", dump.note)


@pytest.mark.parametrize(
    ("octets", "note"),
    [(b"", "empty"), (b"\x00\x01", "no text"), (b"# a remark\n", "nothing but comments, prompts and blank lines")],
)
def test_a_file_without_a_dump_is_shown_as_such(octets: bytes, note: str) -> None:
    (read,) = read_octets(octets, "dump.txt")
    assert (read.dump.kind, read.dump.entries, read.dump.note) == ("unrecognised", 0, note)
