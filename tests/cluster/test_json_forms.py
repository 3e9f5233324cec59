"""A listing as JSON gives what its table gives; JSON that is cut, joined or chattered into gives the rest."""

import dataclasses
import json
from typing import Any

import pytest

from mixcni.cluster import ClusterState
from tests.cluster.crafted import CT_JSON, HEALTH_JSON, STATUS_JSON, TEXTS, TWINS, listing
from tests.cluster.dumps import only, state_of

# What one of the two forms does not print.
NOT_COMPARED: dict[str, set[str]] = {
    "nat": {"created", "created_sec"},
    "policy_map": {"auth"},
    "endpoints": {"pod"},
    "services": {"name", "extra"},
    "fqdn_cache": {"lookup_time"},
    "ip_list": {"namespace", "pod"},
    "map": {"map"},
}


def fields_of(state: ClusterState, kind: str) -> list[dict[str, Any]]:
    """The entries of a kind without their places."""
    left_out = {"file", "line"} | NOT_COMPARED.get(kind, set())
    rows = [
        {name: getattr(entry, name) for name in entry.__dataclass_fields__ if name not in left_out} for entry in state.table(kind)
    ]
    for row in rows:
        if "backends" in row:
            row["backends"] = tuple(dataclasses.replace(backend, line=0) for backend in row["backends"])
        if kind == "policy_map" and row["protocol"] is None:
            row["port"] = row["port_end"] = None
    return rows


@pytest.mark.parametrize("indent", [None, 2], ids=["in one line", "indented"])
@pytest.mark.parametrize("kind", TWINS)
def test_the_json_of_a_listing_gives_the_entries_of_its_table(kind: str, indent: int | None) -> None:
    text, value = TWINS[kind]
    table, listing = state_of(text), state_of(json.dumps(value, indent=indent))
    assert {dump.kind for dump in (*table.dumps, *listing.dumps)} == {kind}
    assert [dump.unparsed for dump in (*table.dumps, *listing.dumps)] == [()] * (len(table.dumps) + len(listing.dumps))
    assert fields_of(listing, kind) == fields_of(table, kind)


@pytest.mark.parametrize(("name", "kind", "entries"), [(name, *TEXTS[name][::2]) for name in TEXTS])
def test_a_crafted_table_has_its_entries_and_no_unparsed_line(name: str, kind: str, entries: int) -> None:
    state = state_of(TEXTS[name][1])
    assert [(dump.kind, dump.entries, dump.unparsed) for dump in state.dumps if dump.kind != "health"] == [(kind, entries, ())]


@pytest.mark.parametrize(("name", "kind"), [(name, TEXTS[name][0]) for name in TEXTS if name not in ("status", "map")])
def test_a_table_flattened_by_copy_and_paste_gives_the_same_entries(name: str, kind: str) -> None:
    text = TEXTS[name][1]
    flat = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    assert fields_of(state_of(flat), kind) == fields_of(state_of(text), kind)
    assert [dump.unparsed for dump in state_of(flat).dumps] == [()]


@pytest.mark.parametrize("name", ["lb-frontends", "lb-backends", "lb-revnat", "lb-ranges"])
def test_the_json_of_each_map_of_the_load_balancer_gives_its_rows(name: str) -> None:
    text = TEXTS[name][1]
    table, found = state_of(text), state_of(json.dumps(listing(text), indent=2))
    assert {dump.kind for dump in found.dumps} == {"lb"}
    assert fields_of(found, "lb") == fields_of(table, "lb")
    assert only(found).unparsed == ()


def test_entries_of_json_cite_the_line_that_they_begin_on() -> None:
    text = json.dumps(CT_JSON, indent=2)
    lines = text.split("\n")
    for entry in state_of(text).ct:
        assert lines[entry.line - 1] == "  {"
    text = json.dumps(TWINS["ipcache"][1], indent=2)
    for row in state_of(text).ipcache:
        assert str(row.prefix) in text.split("\n")[row.line - 1]


@pytest.mark.parametrize("swap", [True, False], ids=["network order", "turned"])
def test_the_order_of_octets_in_ports_is_told_by_all_connections_of_a_dump(swap: bool) -> None:
    rows = json.loads(json.dumps(CT_JSON))
    for row in rows if not swap else ():
        for name in ("SourcePort", "DestPort"):
            row["Key"][name] = (row["Key"][name] & 0xFF) << 8 | row["Key"][name] >> 8
    assert [(e.source_port, e.destination_port) for e in state_of(json.dumps(rows)).ct] == [
        (41000, 8080),
        (40000, 53),
        (41000, 8080),
    ]


def test_a_service_entry_of_json_is_client_to_service() -> None:
    row = json.loads(json.dumps(CT_JSON[0]))
    row["Key"]["Flags"] = 4
    row["Value"].update(RxPackets=0, RxBytes=12)
    (entry,) = state_of(json.dumps([row])).ct
    assert (entry.direction, entry.service, str(entry.source), str(entry.destination)) == ("SVC", True, "10.0.1.4", "10.0.0.9")
    assert (entry.backend_id, entry.rx_bytes) == (12, None)


@pytest.mark.parametrize("command", ["$ cilium bpf ipcache list\n", ""], ids=["a command below", "a table below"])
def test_json_cut_in_an_element_gives_those_before_and_keeps_its_lines(command: str) -> None:
    lines = json.dumps(CT_JSON, indent=2).split("\n")
    second = [at for at, line in enumerate(lines) if line == "  {"][1]
    table = "IP PREFIX/ADDRESS IDENTITY\n10.0.0.1/32 1 0 0.0.0.0\n"
    cut, below = state_of("\n".join(lines[: second + 6]) + f"\n{command}{table}").dumps
    assert (cut.kind, cut.entries, below.kind, below.entries) == ("ct", 1, "ipcache", 1)
    broken = range(second + 1, second + 7)
    assert cut.unparsed_lines == tuple(number for number in broken if set(lines[number - 1]) - set(" {}[],"))
    assert cut.partial == f"the JSON from line {cut.unparsed_lines[0]} on does not decode"


def test_json_broken_in_one_element_gives_the_others() -> None:
    lines = json.dumps(CT_JSON, indent=2).split("\n")
    second = [at for at, line in enumerate(lines) if line == "  {"][1]
    lines[second + 2] = '      "DestAddr": ['
    lines[second + 3] = "      oops,"
    state = state_of("\n".join(lines))
    assert [(e.protocol, str(e.source)) for e in state.ct] == [("TCP", "10.0.0.9"), ("TCP", "fd00::9")]
    assert second + 4 in only(state).unparsed_lines


def test_several_listings_in_one_file_are_several_dumps_of_their_kinds() -> None:
    texts = [json.dumps(value) for _, value in TWINS.values()]
    state = state_of("\n".join(texts))
    assert [dump.kind for dump in state.dumps] == list(TWINS)
    assert [dump.line for dump in state.dumps] == list(range(1, len(TWINS) + 1))
    apart = [only(state_of(text)).entries for text in texts]
    assert [dump.entries for dump in state.dumps] == apart


def test_dumps_may_share_a_line_and_each_line_that_does_not_decode_is_of_one() -> None:
    text = '[\n -1,{"fqdn": "a.example"},\n {"fqdn": "b.example",\n  "ips": oops}\n]'
    odd, names = state_of(text).dumps
    assert (odd.kind, odd.line, odd.last_line, odd.unparsed_lines) == ("unrecognised", 1, 2, (2,))
    assert (names.kind, names.line, names.last_line, names.entries, names.unparsed_lines) == ("fqdn_cache", 2, 5, 1, (3, 4))


def test_maps_of_several_endpoints_in_one_array_are_one_dump_each() -> None:
    first = TWINS["policy_map"][1][0]
    state = state_of(json.dumps([first, {**first, "EndpointID": "7", "Content": first["Content"][:1]}], indent=1))
    assert [(dump.endpoint_id, dump.entries) for dump in state.dumps] == [(25, 3), (7, 1)]
    assert [len(state.policy_entries(number) or ()) for number in (25, 7)] == [3, 1]


def test_health_as_json_has_probes_of_all_addresses() -> None:
    state = state_of(json.dumps(HEALTH_JSON, indent=2))
    local, other = state.health
    assert (local.name, local.is_local, local.node_reachable, local.endpoints_reachable) == ("kind-worker2", True, False, True)
    assert [str(address) for address in local.addresses] == ["172.18.0.3", "fc00::3"]
    assert [(p.target, p.protocol, p.reachable, p.rtt_ns) for p in local.probes][:2] == [
        ("host", "icmp", True, 100),
        ("host", "http", True, 200),
    ]
    assert (other.node_reachable, other.endpoints_reachable, str(other.endpoint_address)) == (None, False, "10.0.0.3")
    (summary,) = state.health_summaries
    assert (summary.total, summary.probe_interval_ns, summary.probed_at_ns) == (2, 96_500_000_000, 1714557600 * 10**9)
    assert only(state).node == "kind-worker2"


def test_status_as_json_has_one_entry_a_member_and_names_release_and_node() -> None:
    state = state_of(json.dumps(STATUS_JSON, indent=2))
    assert [entry.name for entry in state.table("status")] == list(STATUS_JSON)
    assert [entry.value for entry in state.table("status")][1] == "Ok 1.18.7 (v1.18.7-2adae214)"
    assert (str(only(state).version), only(state).node) == ("1.18", "kind/worker2")


@pytest.mark.parametrize(
    ("text", "kind", "entries"),
    [
        ("$ cilium fqdn cache list -o json\n[]\n", "fqdn_cache", 0),
        ("$ cilium service list -o json\nnull\n", "services", 0),
        ('{"what": "is this"}', "unrecognised", 0),
        ('[{"Key": {}, "Value": {"Lifetime": 3}}]', "ct", 0),
        ('{"policy": "[{\\"endpointSelector\\": {}, \\"ingress\\": [{}]}]", "revision": 3}', "policy_rules", 1),
        ("[]\nRevision: 1\n", "policy_rules", 0),
        ('[{"reason": "x", "direction": "ingress", "packets": 36893488147419103232, "bytes": 1}]', "metrics", 0),
    ],
)
def test_json_that_holds_nothing_is_of_the_kind_that_its_command_or_shape_tells(text: str, kind: str, entries: int) -> None:
    dump = only(state_of(text))
    assert (dump.kind, dump.entries) == (kind, entries)


def test_metrics_of_old_releases_have_their_directions_below_the_reason() -> None:
    row = {
        "reason": 133,
        "description": "Policy denied (L3)",
        "values": {"ingress": {"packets": 5, "bytes": 7}, "egress": {"packets": 1, "bytes": 2}},
    }
    metrics = state_of(json.dumps([row])).metrics
    assert [(m.reason, m.reason_code, m.direction, m.packets, m.is_drop) for m in metrics] == [
        ("Policy denied (L3)", 133, "INGRESS", 5, True), ("Policy denied (L3)", 133, "EGRESS", 1, True),
    ]  # fmt: skip
