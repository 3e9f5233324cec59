"""Dumps travel: terminals, chat windows and editors change their form, and what is read of them stays the same."""

import re
from collections.abc import Callable

import pytest

from mixcni.cluster import ClusterState
from mixcni.cluster.loading import read_octets
from tests.cluster import crafted
from tests.cluster.dumps import READ, RECORDED, SAMPLES, facts, only, state_of

DUMPS = {
    **{path.name: path.read_text() for path in sorted(SAMPLES.glob("*.txt")) if not re.match(r"monitor|hubble", path.name)},
    **{path.name: path.read_text() for path in sorted((RECORDED / "networkpolicy-drop" / "cilium").glob("*.txt"))},
    **{f"{name}.crafted": text for name, (_, text, _) in crafted.TEXTS.items()},
    **crafted.JSON_TEXTS,
}
TABLES = sorted(name for name in DUMPS if not name.endswith(".json") and not name.startswith("policy-get"))


def of_octets(octets: bytes, name: str) -> list[tuple[object, ...]]:
    """What is read of octets, without the places."""
    return facts(ClusterState.of(read_octets(octets, name)))


@pytest.mark.parametrize("name", TABLES)
def test_a_dump_that_lost_its_alignment_holds_the_same(name: str) -> None:
    text = DUMPS[name]
    flattened = "\n".join(" ".join(line.split(" ")).strip() and re.sub(r" +", " ", line).strip() for line in text.split("\n"))
    assert of_octets(flattened.encode(), name) == of_octets(text.encode(), name)
    assert of_octets(text.encode(), name)


FORMS: dict[str, Callable[[str], bytes]] = {
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "UTF-8 with its mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16, little end first": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "trailing blanks": lambda text: "\n".join(f"{line}   " for line in text.split("\n")).encode(),
    "colours": lambda text: "\n".join(f"\x1b[1;32m{line}\x1b[0m" for line in text.split("\n")).encode(),
    "indented": lambda text: "\n".join(f"    {line}" for line in text.split("\n")).encode(),
    "commented": lambda text: "\n".join(f"# {line}" for line in text.rstrip("\n").split("\n")).encode(),
    "quoted": lambda text: "\n".join(f"> {line}" for line in text.rstrip("\n").split("\n")).encode(),
    "fenced": lambda text: f"```text\n{text.rstrip()}\n```\n".encode(),
    "no-break spaces": lambda text: text.replace("  ", "\u00a0 ").encode(),
    "tabs": lambda text: re.sub(r"  +", "\t", text).encode(),
    "noise above": lambda text: (
        'Defaulted container "cilium-agent" out of: cilium-agent, mount-cgroup (init)\n'
        f'level=info msg="x" subsys=y\ntime="2022-12-12T08:00:00Z" level=warning msg=z\n{text}'
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", DUMPS)
def test_the_form_in_which_a_dump_travelled_changes_nothing(name: str, form: str) -> None:
    text = DUMPS[name]
    assert of_octets(FORMS[form](text), name) == of_octets(text.encode(), name)


@pytest.mark.parametrize(
    "noise",
    [
        'Defaulted container "cilium-agent" out of: cilium-agent, config (init)',
        "Unable to use a TTY - input is not a terminal or the right kind of file",
        'time="2022-12-12T08:00:00Z" level=info msg="hello"',
        'level=warning msg="hello" subsys=x',
        "---------------------",
        "=====================",
        "root@node-1:~# ",
        "$",
        "# a remark",
        "",
    ],
)
def test_noise_between_the_lines_is_no_part_of_the_dump(noise: str) -> None:
    lines = ["IP PREFIX/ADDRESS IDENTITY", "10.0.0.1/32 identity=1 encryptkey=0 tunnelendpoint=0.0.0.0"]
    state = state_of("\n".join([noise, lines[0], noise, lines[1], noise]))
    (entry,) = state.ipcache
    assert entry.identity == 1
    assert [dump.unparsed for dump in state.dumps if dump.kind != "ipcache"] in ([], [()])
    assert entry.line == 4


@pytest.mark.parametrize(
    ("prompt", "node"),
    [
        ("$ ", None),
        ("root@node-1:/home/cilium# ", "node-1"),
        ("[ubuntu@node-2 ~]$ ", "node-2"),
        ("(node1) $ ", None),
        ("# ", None),
    ],
)
def test_a_prompt_names_the_command_and_sometimes_the_node(prompt: str, node: str | None) -> None:
    dump = only(
        state_of(
            f"{prompt}cilium bpf policy get 2636\nDIRECTION IDENTITY PORT/PROTO PROXY PORT BYTES PACKETS\nIngress 1 ANY NONE 0 0"
        )
    )
    assert (dump.kind, dump.endpoint_id, dump.node, dump.entries) == ("policy_map", 2636, node, 1)


@pytest.mark.parametrize("mark", ["...", "....", "..", "\u2026", "  ...  "])
def test_dots_stand_for_lines_left_out(mark: str) -> None:
    dump = only(state_of(f"IP PREFIX/ADDRESS IDENTITY\n10.0.0.1/32 1 0 0.0.0.0\n{mark}\n10.0.0.2/32 1 0 0.0.0.0"))
    assert (dump.entries, dump.partial) == (2, "lines were left out at line 3")


ERRORS = {
    "ct": "Unable to open /sys/fs/bpf/tc/globals/cilium_ct4_global: no such file or directory. Skipping.",
    "policy_map": "no maps found",
    "ipcache": "error dumping contents of map: object /sys/fs/bpf/tc/globals/cilium_ipcache: no such file or directory",
    "identities": 'Error: Cannot get identities for given labels []: Get "http:///cilium.sock/v1/identity": connection refused',
    "endpoints": "> Error while running 'cilium endpoint list':  exit status 1",
    "health": 'Error: Cannot get status: Get "http://%2Fvar%2Frun%2Fcilium%2Fhealth.sock/v1beta/status": dial unix',
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("below", ["", "\nIs the agent running?"])
def test_the_text_of_an_error_is_no_empty_table(kind: str, below: str) -> None:
    state = state_of(ERRORS[kind] + below if kind != "endpoints" else ERRORS[kind])  # that line is always the last
    assert [(dump.kind, dump.entries) for dump in state.dumps] == [(kind, 0)]
    assert only(state).unavailable == ERRORS[kind]
    assert not state.has_complete(kind)


@pytest.mark.parametrize(
    ("command", "kind"),
    [("cilium bpf ct list 33", "ct"), ("cilium endpoint list", "endpoints"), ("cilium-dbg node list", "nodes")],
)
@pytest.mark.parametrize(
    "error", ["Invalid argument: unknown type 33", "Is the agent running?", "command terminated with exit code 1", ""]
)
def test_the_command_above_an_error_says_what_is_unavailable(command: str, kind: str, error: str) -> None:
    dump = only(state_of(f"$ {command}\n{error}\n"))
    assert (dump.kind, dump.unavailable) == (kind, error or "the command printed nothing")


def test_an_error_without_a_name_belongs_to_the_failure_named_below_it() -> None:
    dump = only(state_of("Is the agent running?\n> Error while running 'cilium endpoint list':  exit status 1"))
    assert (dump.kind, dump.unavailable) == ("endpoints", "Is the agent running?")


def test_a_table_of_kubernetes_does_not_swallow_the_dump_below_it() -> None:
    state = state_of(
        "NAME READY STATUS RESTARTS AGE\nshop 1/1 Running 0 3d\n\nIP PREFIX/ADDRESS IDENTITY\n10.0.0.1/32 1 0 0.0.0.0\n"
    )
    assert [(dump.kind, dump.entries) for dump in state.dumps] == [("kubernetes", 0), ("ipcache", 1)]


def test_all_samples_in_one_paste_are_the_samples() -> None:
    texts = [text for name, text in DUMPS.items() if name.startswith("seed")]
    together = state_of("\n\n".join(texts))
    apart = [state_of(text) for text in texts]
    for kind in READ:
        assert len(together.tables[kind]) == sum(len(state.tables[kind]) for state in apart)
    assert [unparsed for dump in together.dumps for unparsed in dump.unparsed] == []


# Tables of one row a release or form, held against their section of the grammar.

IPCACHE = [
    ("43640", (43640, None, None, None, None), "1.0-1.4"),
    ("43640 0 10.50.8.52", (43640, 0, "10.50.8.52", None, None), "1.5-1.11"),
    ("43640 0 10.50.8.52 7", (43640, 0, "10.50.8.52", 7, None), "1.5-1.11"),
    ("43640 0 10.50.8.52 0x1f", (43640, 0, "10.50.8.52", 31, None), "1.5-1.11"),
    ("identity=5 encryptkey=1 tunnelendpoint=10.0.0.9", (5, 1, "10.0.0.9", None, None), "1.12-1.15"),
    ("identity=5 encryptkey=1 tunnelendpoint=10.0.0.9 nodeid=7", (5, 1, "10.0.0.9", 7, None), "1.12-1.14"),
    ("identity=5 encryptkey=1 tunnelendpoint=10.0.0.9 nodeid=0x1f", (5, 1, "10.0.0.9", 31, None), "1.12-1.14"),
    ("identity=5 encryptkey=1 tunnelendpoint=10.0.0.9, flags=hastunnel", (5, 1, "10.0.0.9", None, ("hastunnel",)), "1.16+"),
    ("identity=5 encryptkey=1 tunnelendpoint=10.0.0.9 flags=<none>", (5, 1, "10.0.0.9", None, ()), "1.16+"),
    (
        "identity=5 encryptkey=1 tunnelendpoint=10.0.0.9 flags=skiptunnel,hastunnel",
        (5, 1, "10.0.0.9", None, ("skiptunnel", "hastunnel")),
        "1.16+",
    ),
    (
        "identity=5 encryptkey=1 tunnelendpoint=10.0.0.9 flags=skiptunnel, hastunnel",
        (5, 1, "10.0.0.9", None, ("skiptunnel", "hastunnel")),
        "1.16+",
    ),
]


@pytest.mark.parametrize(("value", "wanted", "version"), IPCACHE)
@pytest.mark.parametrize("prefix", ["10.0.0.1/32", "fd00::1/128"])
def test_an_ipcache_row_of_each_release(prefix: str, value: str, wanted: tuple[object, ...], version: str) -> None:
    state = state_of(f"IP PREFIX/ADDRESS IDENTITY\n{prefix} {value}")
    (entry,) = state.ipcache
    tunnel = None if entry.tunnel_endpoint is None else str(entry.tunnel_endpoint)
    assert (entry.identity, entry.encrypt_key, tunnel, entry.node_id, entry.flags) == wanted
    assert (str(entry.prefix), str(only(state).version)) == (prefix, version)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (
            "7 Enabled Disabled 5 k8s:a=b fd00::1 10.0.0.1 ready",
            ("Enabled", "Disabled", 5, ("k8s:a=b",), "10.0.0.1", "fd00::1", "ready"),
        ),
        (
            "7 Disabled (Audit) Disabled (Audit) 1 reserved:host ready",
            ("Disabled (Audit)", "Disabled (Audit)", 1, ("reserved:host",), None, None, "ready"),
        ),
        (
            "7 Unknown Unknown <no label id> no labels No address waiting-for-identity",
            ("Unknown", "Unknown", None, (), None, None, "waiting-for-identity"),
        ),
        ("7 Enabled Enabled 5 k8s:a=b 10.x.x.x not-ready", ("Enabled", "Enabled", 5, ("k8s:a=b",), None, None, "not-ready")),
    ],
)
def test_a_row_of_endpoints_is_read_by_what_its_words_are(row: str, wanted: tuple[object, ...]) -> None:
    state = state_of(f"ENDPOINT POLICY (ingress) POLICY (egress) IDENTITY LABELS (source:key[=value]) IPv6 IPv4 STATUS\n{row}")
    (e,) = state.endpoints
    addresses = tuple(None if address is None else str(address) for address in (e.ipv4, e.ipv6))
    assert (e.ingress_policy, e.egress_policy, e.identity, e.labels, *addresses, e.status) == wanted
    assert only(state).unparsed == ()


@pytest.mark.parametrize(
    ("text", "rows", "version"),
    [
        (
            "  a (localhost) 10.0.0.1 reachable reachable\n  b 10.0.0.2 unreachable (unknown)",
            [(True, True), (False, None)],
            "1.8-1.16",
        ),
        ("  a (localhost) 10.0.0.1 true true\n  b 10.0.0.2 true false", [(True, True), (True, False)], "1.6-1.7"),
        ("  a (localhost) 10.0.0.1 1/1 1/1\n  b 10.0.0.2 1/2 0/1", [(True, True), (False, False)], "1.17+"),
    ],
)
def test_the_states_of_nodes_tell_the_release(text: str, rows: list[tuple[bool | None, bool | None]], version: str) -> None:
    state = state_of(f"Cluster health: 1/2 reachable (2022-12-12T08:19:02Z)\n  Name IP Node Endpoints\n{text}")
    assert [(node.node_reachable, node.endpoints_reachable) for node in state.health] == rows
    assert [(node.name, node.is_local) for node in state.health] == [("a", True), ("b", False)]
    assert str(only(state).version) == version


LONG = """Cluster health: 1/2 reachable (2024-01-02T03:04:05.000000006Z) (Probe interval: 1m36.5s)
Name IP Node Endpoints
  a (localhost):
    Host connectivity to 10.0.0.1:
      ICMP to stack: OK, RTT=431.893\u00b5s (Last probed: 2024-01-02T03:04:05Z)
      HTTP to agent: Get "http://10.0.0.1:4240/hello": context deadline exceeded (Timeout) (Last probed: 2024-01-02T03:04:05Z)
    Host connectivity to fd00::1:
      ICMP to stack: OK, RTT=1.2ms
"""


def test_the_long_form_of_1_18_has_probes_with_times_and_errors_with_colons() -> None:
    state = state_of(LONG)
    (node,), (summary,) = state.health, state.health_summaries
    assert [(p.protocol, str(p.address), p.rtt_ns, p.reachable) for p in node.probes] == [
        ("icmp", "10.0.0.1", 431_893, True), ("http", "10.0.0.1", None, False), ("icmp", "fd00::1", 1_200_000, True),
    ]  # fmt: skip
    assert node.probes[1].says == 'Get "http://10.0.0.1:4240/hello": context deadline exceeded (Timeout)'
    assert ([str(address) for address in node.addresses], node.node_reachable) == (["10.0.0.1", "fd00::1"], False)
    assert (summary.probe_interval_ns, summary.probed_at_ns) == (96_500_000_000, 1_704_164_645_000_000_006)
    assert str(only(state).version) == "1.18+"


@pytest.mark.parametrize(("titles", "row", "version"), [("", "", "1.0-1.14"), (" Source", " custom-resource", "1.15+")])
def test_the_source_of_a_node_is_printed_since_1_15(titles: str, row: str, version: str) -> None:
    state = state_of(f"Name IPv4 Address Endpoint CIDR IPv6 Address Endpoint CIDR{titles}\na/n 10.0.0.1 10.1.0.0/24{row}")
    assert (str(only(state).version), state.nodes[0].source) == (version, row.strip() or None)


def test_identities_with_a_count_of_endpoints_have_it() -> None:
    state = state_of(
        "ID LABELS REFCOUNT\n1 reserved:host 1\n7 reserved:kube-apiserver 0\n  reserved:remote-node\n4711 k8s:a=b 3\n"
    )
    assert [(i.id, i.labels, i.refcount) for i in state.identities] == [
        (1, ("reserved:host",), 1), (7, ("reserved:kube-apiserver", "reserved:remote-node"), 0), (4711, ("k8s:a=b",), 3),
    ]  # fmt: skip


_TITLES_OR_CHATTER = re.compile(
    r"""\s*(?:[$\#]|\(?[\w.-]+\)?(?:@[\w.-]+)?[:~\w/]*\ ?[$\#]\ cilium          # a prompt, or an author's remark
    |Defaulted\ container|-{3,}|\.{2,}$|ENFORCEMENT\b|Nodes:$
    |(?:ENDPOINT|ID|IP|Key|KEY|SERVICE|Name|REASON)\ +[A-Z]                    # titles
    |Endpoint\ ID:|Path:                                                        # which are in every row's endpoint_id too
    |Note\ that\ for\ Linux|LPM\ map\ type|walk\ /\ dump|return\ any|cilium\ map\ get\ cilium_ipcache$)""",
    re.VERBOSE,
)


@pytest.mark.parametrize("name", TABLES)
def test_a_line_that_could_be_missing_without_a_trace_is_a_title_or_chatter(name: str) -> None:
    # Nothing is lost silently: every other line is an entry, a part of one, or counted as not understood.
    lines = DUMPS[name].split("\n")

    def told(some: list[str]) -> tuple[object, ...]:
        state = ClusterState.of(read_octets("\n".join(some).encode(), name))
        return facts(state), [(dump.partial is None, len(dump.unparsed), dump.note) for dump in state.dumps]

    whole = told(lines)
    ignored = [line for at, line in enumerate(lines) if line.strip() and told(lines[:at] + lines[at + 1 :]) == whole]
    assert [line for line in ignored if not _TITLES_OR_CHATTER.match(line)] == []
