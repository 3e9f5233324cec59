"""What a policy map decides, release by release (the lookup table of section 2 of the dump grammar)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.policy import decide
from mixcni.errors import ParameterError
from tests.cluster.dumps import ENDPOINT_TITLES, POLICY_TITLES, only, state_of

PEER, ANY, OTHER = 4711, 0, 4712
PORT, PROTO, ALL = "8080/TCP", "TCP", "ANY"
RELEASES = ("1.12", "1.13", "1.14", "1.16", "1.17", "1.18", "1.19")


def rows(*texts: str) -> tuple[PolicyEntry, ...]:
    """Ingress rows as `Allow 4711 8080/TCP`, with a proxy's port behind it where there is one."""
    lines = []
    for text in texts:
        policy, peer, ports, *proxy = text.split()
        lines.append(f"{policy} Ingress {peer} {ports} {proxy[0] if proxy else 'NONE'} 0 0")
    state = state_of(POLICY_TITLES + "\n" + "\n".join(lines))
    assert len(state.policy_map) == len(texts)
    return state.policy_map


def hit(version: str | None, *texts: str) -> tuple[bool | None, str | None]:
    """What becomes of the peer's packet to 8080/TCP, and the row that was hit as peer and ports."""
    verdict = decide(rows(*texts), "ingress", PEER, 8080, "tcp", version)
    entry = verdict.entry
    return verdict.allowed, None if entry is None else f"{entry.identity} {entry.ports}"


ORDER_BEFORE_1_13 = [f"{PEER} {PORT}", f"{ANY} {PORT}", f"{PEER} {ALL}", f"{ANY} {ALL}"]
ORDER_TO_1_16 = [f"{PEER} {PORT}", f"{ANY} {PORT}", f"{PEER} {PROTO}", f"{ANY} {PROTO}", f"{PEER} {ALL}", f"{ANY} {ALL}"]


@pytest.mark.parametrize(
    ("version", "order"),
    [
        ("1.8", ORDER_BEFORE_1_13),
        ("1.12", ORDER_BEFORE_1_13),
        ("1.13", ORDER_TO_1_16),
        ("1.14", ORDER_TO_1_16),
        ("1.16", ORDER_TO_1_16),
    ],
)
def test_up_to_1_16_the_first_of_the_stated_order_is_hit(version: str, order: list[str]) -> None:
    for first, later in itertools.combinations(order, 2):
        assert hit(version, f"Allow {first}", f"Deny {later}") == (True, first)
        assert hit(version, f"Deny {later}", f"Allow {first}") == (True, first)
        assert hit(version, f"Deny {first}", f"Allow {later}") == (False, first)


@pytest.mark.parametrize("version", ["1.17", "1.18", "1.19"])
def test_from_1_17_on_deny_wins_over_whatever_is_more_specific(version: str) -> None:
    for first, later in itertools.permutations(ORDER_TO_1_16, 2):
        same_peer = first.split()[0] == later.split()[0]
        if same_peer:
            continue  # one lookup: it sees its most specific row alone
        assert hit(version, f"Allow {first}", f"Deny {later}") == (False, later)


@pytest.mark.parametrize("version", ["1.17", "1.18", "1.19"])
def test_from_1_17_on_a_redirect_wins_over_an_allow_and_then_the_longer_prefix(version: str) -> None:
    assert hit(version, f"Allow {PEER} {PORT}", f"Allow {ANY} {ALL} 12345") == (True, f"{ANY} {ALL}")
    assert hit(version, f"Allow {PEER} {ALL}", f"Allow {ANY} {PORT}") == (True, f"{ANY} {PORT}")
    assert hit(version, f"Allow {PEER} {PORT}", f"Allow {ANY} {PORT}") == (True, f"{PEER} {PORT}")


@pytest.mark.parametrize("version", ["1.8", "1.12"])
def test_before_1_13_a_row_of_a_protocol_without_a_port_is_not_asked_for(version: str) -> None:
    assert hit(version, f"Allow {PEER} {PROTO}") == (False, None)
    assert hit("1.13", f"Allow {PEER} {PROTO}") == (True, f"{PEER} {PROTO}")
    assert hit("1.12-1.13", f"Allow {PEER} {PROTO}")[0] is None


@pytest.mark.parametrize(("version", "deny_first"), [("1.16", False), ("1.17", True), ("1.14-1.16", False), ("1.17-1.18", True)])
def test_a_verdict_on_which_releases_differ_stands_where_the_release_is_known(version: str, deny_first: bool) -> None:
    texts = (f"Allow {PEER} {PORT}", f"Deny {ANY} {ALL}")
    assert hit(version, *texts)[0] is not deny_first
    for unknown in (None, "1.14-1.18", "1.16+"):
        verdict = decide(rows(*texts), "ingress", PEER, 8080, "TCP", unknown)
        assert (verdict.allowed, verdict.entry) == (None, None)
        assert "the release is not known" in verdict.why


@pytest.mark.parametrize("version", [*RELEASES, None])
def test_without_a_row_the_packet_is_dropped_by_default(version: str | None) -> None:
    assert hit(version, f"Allow {OTHER} {ALL}", f"Allow {PEER} 9090/TCP", f"Allow {PEER} 8080/UDP") == (False, None)
    assert hit(version, f"Allow {ANY} {PORT}") == (True, f"{ANY} {PORT}")


@given(
    st.lists(st.tuples(st.sampled_from(["Allow", "Deny"]), st.sampled_from([PEER, ANY, OTHER]),
             st.sampled_from([PORT, PROTO, ALL, "9090/TCP", "8080/UDP"])), min_size=1, max_size=5),
    st.sampled_from(["1.12", "1.13", "1.16"]),
)  # fmt: skip
def test_verdicts_up_to_1_16_are_those_of_the_table_read_from_the_top(picked: list[tuple[str, int, str]], version: str) -> None:
    texts = {(peer, ports): policy for policy, peer, ports in picked}  # a map has each key once
    order = ORDER_BEFORE_1_13 if version == "1.12" else ORDER_TO_1_16
    wanted: tuple[bool, str | None] = (False, None)
    for key in order:
        peer, ports = key.split()
        if (int(peer), ports) in texts:
            wanted = texts[int(peer), ports] == "Allow", key
            break
    assert hit(version, *(f"{policy} {peer} {ports}" for (peer, ports), policy in texts.items())) == wanted


def test_a_range_of_ports_holds_its_ends_and_weighs_less_than_one_port() -> None:
    entries = rows(f"Allow {PEER} 8080-8095/TCP", f"Deny {PEER} 8090/TCP")

    def allowed(port: int) -> bool | None:
        return decide(entries, "ingress", PEER, port, "TCP", "1.16").allowed

    assert [allowed(port) for port in (8079, 8080, 8090, 8095, 8096)] == [False, True, False, True, False]


def test_icmp_is_asked_for_by_type() -> None:
    entries = rows(f"Allow {PEER} 8/ICMP")
    assert decide(entries, "ingress", PEER, 8, "ICMP").allowed is True
    assert decide(entries, "ingress", PEER, 0, 1).allowed is False
    assert decide(entries, "ingress", PEER, 8, 6).allowed is False


def test_directions_are_kept_apart() -> None:
    entries = rows(f"Allow {ANY} {ALL}")
    assert decide(entries, "egress", PEER, 80, "TCP").allowed is False


@pytest.mark.parametrize(
    ("auth", "allowed", "word"),
    [("disabled", True, "allows"), ("spire", None, "spire"), ("test-always-fail", False, "189")],
)
def test_authentication_that_is_asked_for_leaves_the_verdict_open(auth: str, allowed: bool | None, word: str) -> None:
    titles = "POLICY DIRECTION IDENTITY PORT/PROTO PROXY PORT AUTH TYPE BYTES PACKETS PREFIX"
    state = state_of(f"{titles}\nAllow Ingress {PEER} 8080/TCP NONE {auth} 0 0 24")
    verdict = decide(state.policy_map, "ingress", PEER, 8080, "TCP", "1.14")
    assert verdict.allowed is allowed
    assert word in verdict.why


def test_deny_names_its_drop_reason_and_its_line() -> None:
    verdict = decide(rows(f"Deny {PEER} {PORT}"), "ingress", PEER, 8080, "TCP", "1.13")
    assert "181, Policy denied by denylist" in verdict.why
    assert "dump-0.txt, line 2" in verdict.why


def test_from_1_19_on_a_deny_beside_an_allow_says_that_priorities_are_not_printed() -> None:
    why = decide(rows(f"Deny {PEER} {PORT}", f"Allow {ANY} {ALL}"), "ingress", PEER, 8080, "TCP", "1.19").why
    assert "priority" in why


LABELLED = "POLICY DIRECTION LABELS (source:key[=value]) PORT/PROTO PROXY PORT BYTES PACKETS\n"


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [(("k8s:app=a", "k8s:ns=x"), True), (("k8s:app=a",), False), (("k8s:ns=x", "k8s:app=a"), True), (None, None)],
)
def test_a_row_with_labels_is_the_peers_if_all_of_its_labels_are(labels: tuple[str, ...] | None, allowed: bool | None) -> None:
    entries = state_of(f"{LABELLED}Allow Ingress k8s:app=a ANY NONE 0 0\nk8s:ns=x").policy_map
    assert decide(entries, "ingress", PEER, 80, "TCP", "1.12", labels=labels).allowed is allowed


def test_world_and_a_cidr_identity_never_have_the_labels_of_pods() -> None:
    entries = state_of(f"{LABELLED}Allow Ingress k8s:app=a ANY NONE 0 0").policy_map
    assert decide(entries, "ingress", 2, 80, "TCP", "1.12").allowed is False
    assert decide(entries, "ingress", (1 << 24) + 5, 80, "TCP", "1.12").allowed is False


@pytest.mark.parametrize(("direction", "version"), [("inward", "1.12"), ("ingress", "newest")])
def test_words_that_are_none_are_the_callers_mistake(direction: str, version: str) -> None:
    with pytest.raises(ParameterError):
        decide((), direction, PEER, 80, "TCP", version)


# Columns and rows of the table.


@pytest.mark.parametrize(
    ("titles", "row", "version"),
    [
        ("DIRECTION IDENTITY PORT/PROTO PROXY PORT BYTES PACKETS", "Ingress 2 80/TCP NONE 3 4", "1.0-1.8"),
        (POLICY_TITLES, "Allow Ingress 2 80/TCP NONE 3 4", "1.9-1.13"),
        (
            POLICY_TITLES.replace("BYTES PACKETS", "AUTH TYPE BYTES PACKETS PREFIX"),
            "Allow Ingress 2 80/TCP NONE disabled 3 4 24",
            "1.14-1.18",
        ),
        (
            POLICY_TITLES.replace("BYTES PACKETS", "AUTH TYPE BYTES PACKETS PREFIX"),
            "Allow Ingress ANY 80/TCP NONE disabled - - 24",
            "1.18",
        ),
        (
            POLICY_TITLES.replace("BYTES PACKETS", "AUTH TYPE BYTES PACKETS PREFIX COOKIE"),
            "Deny Egress 2 80/TCP NONE disabled 3 4 24 5",
            "1.19+",
        ),
        (
            POLICY_TITLES.replace("BYTES PACKETS", "AUTH TYPE BYTES PACKETS PREFIX").replace(
                "IDENTITY", "LABELS (source:key[=value])"
            ),
            "Allow Ingress reserved:unknown 80/TCP NONE disabled 3 4 24",
            "1.14-1.17",
        ),
    ],
)
def test_the_columns_tell_the_releases(titles: str, row: str, version: str) -> None:
    state = state_of(f"{titles}\n{row}")
    (entry,) = state.policy_map
    assert str(only(state).version) == version
    assert (entry.ports, entry.deny, entry.ingress) == ("80/TCP", row.startswith("Deny"), "Ingress" in row)
    assert entry.bytes in (3, None)
    assert entry.cookie == (5 if "COOKIE" in titles else None)


@pytest.mark.parametrize(
    ("cell", "port", "port_end", "protocol"),
    [
        ("ANY", None, None, None),
        ("8080/TCP", 8080, 8080, "TCP"),
        ("TCP", None, None, "TCP"),
        ("8080-8095/TCP", 8080, 8095, "TCP"),
        ("8/ICMP", 8, 8, "ICMP"),
        ("0/ICMP", 0, 0, "ICMP"),
        ("0/TCP", None, None, "TCP"),
    ],
)
def test_ports_and_protocols_are_told_apart(cell: str, port: int | None, port_end: int | None, protocol: str | None) -> None:
    (entry,) = state_of(f"{POLICY_TITLES}\nAllow Ingress 2 {cell} NONE 0 0").policy_map
    assert (entry.port, entry.port_end, entry.protocol) == (port, port_end, protocol)


@pytest.mark.parametrize("cell", ["TCP/8080", "99999/TCP", "9-8/TCP", "?"])
def test_a_row_with_no_port_and_protocol_is_unparsed_and_the_map_not_whole(cell: str) -> None:
    state = state_of(f"{POLICY_TITLES}\nAllow Ingress 2 {cell} NONE 0 0\nAllow Ingress 1 ANY NONE 0 0")
    assert [entry.identity for entry in state.policy_map] == [1]
    assert [odd.line for odd in only(state).unparsed] == [2]
    assert only(state).partial == "the row in line 2 could not be read"


@pytest.mark.parametrize(
    ("labels", "identity"),
    [
        (["reserved:unknown"], 0),
        (["reserved:host"], 1),
        (["reserved:world"], 2),
        (["reserved:kube-apiserver", "reserved:remote-node"], 7),
        (["cidr:10.0.0.0/8", "reserved:world"], None),
        (["k8s:app=a"], None),
    ],
)
def test_reserved_labels_have_their_numbers_and_others_none(labels: list[str], identity: int | None) -> None:
    (entry,) = state_of(f"{LABELLED}Allow Ingress {labels[0]} ANY NONE 0 0\n" + "\n".join(labels[1:])).policy_map
    assert (entry.identity, entry.labels) == (identity, tuple(labels))
    assert (entry.peer == "any peer") is (identity == 0)


# Whose map a dump is.

MAP = f"{POLICY_TITLES}\nAllow Ingress 1 ANY NONE 0 0\n"


def endpoints(*rows_: str) -> str:
    """An endpoint list of rows `ID INGRESS`."""
    lines = [
        f"{number} {policy} Disabled 100{at} k8s:app=a 10.0.0.{at} ready"
        for at, (number, policy) in enumerate(map(str.split, rows_), 1)
    ]
    return "\n".join([ENDPOINT_TITLES, *lines])


@pytest.mark.parametrize(
    ("listed", "assumed"),
    [
        ((), "there is no other policy map, and no endpoint list"),
        (("7 Enabled",), "it is the only endpoint in the endpoint list"),
        (("7 Enabled", "8 Disabled"), "it is the only endpoint with policy enforcement"),
    ],
)
def test_a_map_that_can_be_no_other_endpoints_is_taken_and_that_is_said(listed: tuple[str, ...], assumed: str) -> None:
    state = state_of(MAP, endpoints(*listed)) if listed else state_of(MAP)
    assert (state.policy_map_is_assumed(7) or "").endswith(assumed)
    assert state.policy_entries(7) == state.policy_map


@pytest.mark.parametrize("listed", [("7 Enabled", "8 Enabled"), ("8 Enabled",), ("7 Disabled", "8 Disabled")])
def test_a_map_that_could_be_another_endpoints_is_not_taken(listed: tuple[str, ...]) -> None:
    state = state_of(MAP, endpoints(*listed))
    assert (state.policy_entries(7), state.policy_map_is_assumed(7)) == (None, None)
    verdict = state.policy_verdict(7, "ingress", 2, 80, "TCP")
    assert verdict.allowed is None
    assert "no dump of the policy map" in verdict.why


@pytest.mark.parametrize(
    "text",
    [f"$ cilium bpf policy get 7\n{MAP}", f"Endpoint ID: 7\nPath: /sys/fs/bpf/tc/globals/cilium_policy_v2_00007\n\n{MAP}",
     f"/sys/fs/bpf/tc/globals/cilium_policy_00007:\n{MAP}", f"#### BPF Policy Get 7\n\n```\n{MAP}```"],
    ids=["command", "preamble from 1.14 on", "preamble to 1.13", "heading"],
)  # fmt: skip
def test_a_map_whose_owner_is_named_is_that_endpoints(text: str) -> None:
    state = state_of(text, endpoints("7 Enabled", "8 Enabled"))
    assert state.policy_map_is_assumed(7) is None
    assert state.policy_entries(7) == state.policy_map
    assert state.policy_entries(8) is None


def test_two_maps_without_a_name_are_nobodys() -> None:
    state = state_of(MAP, MAP, endpoints("7 Enabled"))
    assert (state.policy_entries(7), state.policy_map_is_assumed(7)) == (None, None)


def test_the_name_of_a_file_names_the_owner() -> None:
    state = state_of(bpf_policy_get_7=MAP, bpf_policy_get_8=MAP.replace("Ingress 1", "Ingress 2"))
    for number, identity in ((7, 1), (8, 2)):
        entries = state.policy_entries(number)
        assert entries is not None
        assert [entry.identity for entry in entries] == [identity]


def test_of_two_dumps_of_a_map_numbers_count_more_than_labels_and_the_later_more_than_the_earlier() -> None:
    labelled = f"$ cilium bpf policy get 7\n{LABELLED}Allow Ingress k8s:app=a ANY NONE 0 0\n"
    numbered = f"$ cilium bpf policy get 7 -n\n{MAP}"
    for texts in ((labelled, numbered), (numbered, labelled)):
        entries = state_of(*texts).policy_entries(7)
        assert entries is not None
        assert [entry.identity for entry in entries] == [1]
    later = state_of(numbered, numbered.replace("Ingress 1", "Ingress 6")).policy_entries(7)
    assert later is not None
    assert [entry.identity for entry in later] == [6]


def test_maps_of_all_endpoints_in_one_file_are_kept_apart() -> None:
    state = state_of(
        f"Endpoint ID: 7\nPath: /p/cilium_policy_00007\n\n{MAP}\n\nEndpoint ID: 8\nPath: /p/cilium_policy_00008\n\n{MAP}"
    )
    assert [(dump.endpoint_id, dump.entries) for dump in state.dumps] == [(7, 1), (8, 1)]
    assert [entry.line for entry in state.policy_entries(8) or ()] == [12]
