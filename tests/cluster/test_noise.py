"""What terminals, kubectl, scripts and web pages put around and between the lines of dumps changes nothing of what is read."""

import html
import re
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixcni.cluster import ClusterState
from mixcni.cluster.loading import read_octets
from tests.cluster.dumps import facts, only, state_of
from tests.cluster.test_any_event import TEXTS as EVENTS
from tests.cluster.test_any_text import TEXTS

DUMPS = {
    **{name: octets.decode() for name, octets in TEXTS.items()},
    **{f"events-{number}.txt": text for number, text in enumerate(EVENTS)},
}


def read(text: str, name: str) -> list[tuple[object, ...]]:
    """The entries of a text, without their places and without the dumps that they stand in."""
    state = ClusterState.of(read_octets(text.encode(), name))
    return facts(state)[: -len(state.dumps)]


@cache
def read_plain(name: str) -> list[tuple[object, ...]]:
    return read(DUMPS[name], name)


def each_line(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "\n".join(change(line) if line else line for line in text.split("\n"))


def above(noise: str) -> Callable[[str], str]:
    return lambda text: f"{noise}\n{text}"


def below(noise: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n{noise}\n"


def between(noise: str) -> Callable[[str], str]:
    return lambda text: re.sub(r"(?m)((?:^.*\n){3})", lambda match: f"{match[1]}{noise}\n", text)


def numbered(form: str) -> Callable[[str], str]:
    return lambda text: "\n".join(form.format(number, line) for number, line in enumerate(text.split("\n"), 1))


def wrapped(text: str, width: int) -> str:
    """The lines as a terminal of that width shows them."""
    return "\n".join(line[at : at + width] for line in text.split("\n") for at in range(0, max(len(line), 1), width))


NOISE: dict[str, Callable[[str], str]] = {
    "kubectl's containers": above('Defaulted container "cilium-agent" out of: cilium-agent, config (init), mount-cgroup (init)'),
    "kubectl of old": above("Defaulting container name to cilium-agent.\nUse 'kubectl describe pod/cilium-abcde -n kube-system'"),
    "kubectl's exit code": below("command terminated with exit code 1"),
    "a script's trace": above("++ date +%s\n+ set -e\n+ kubectl -n kube-system exec ds/cilium -- true"),
    "a trace in between": between("+ sleep 1"),
    "script(1)": lambda text: f'Script started on 2022-12-12 08:19:02+00:00 [TERM="xterm"]\n{text}\nScript done on 2022-12-12',
    "ssh": lambda text: f"Warning: Permanently added '10.0.0.1' (ED25519) to the list\n{text}\nConnection to 10.0.0.1 closed.\n",
    "PowerShell": lambda text: f"PS C:\\Users\\x> type dump.txt\n{text}\nPS C:\\Users\\x> \n",
    "logout": below("[root@node-1 ~]# exit\nlogout"),
    "time": below("real\t0m0.123s\nuser\t0m0.010s\nsys\t0m0.011s"),
    "watch": above("Every 2.0s: cat dump.txt                node-1: Mon Dec 12 08:19:02 2022\n"),
    "more": between("--More--"),
    "less": below("(END)"),
    "the agent's log": between('level=warning msg="Unable to update ipcache map entry" subsys=daemon'),
    "the agent's log with a time": between('time="2022-12-12T08:19:02Z" level=info msg="regenerating" subsys=endpoint'),
    "slog": between("time=2024-05-01T10:00:00.000000000Z level=warn source=/go/src/x.go:12 msg=late module=agent"),
    "klog": between("E1212 08:19:02.123456   12345 memcache.go:287] couldn't get resource list for metrics.k8s.io/v1beta1"),
    "a rule": above("==== node-1 ===="),
    "colours": each_line(lambda line: f"\x1b[1;32m{line}\x1b[0m"),
    "carriage returns twice": lambda text: text.replace("\n", "\r\r\n"),
    "kubectl logs --timestamps": each_line(lambda line: f"2022-12-12T08:19:02.123456789Z {line}"),
    "kubectl logs --prefix": each_line(lambda line: f"[pod/cilium-abcde/cilium-agent] {line}"),
    "both": each_line(lambda line: f"[pod/cilium-abcde/cilium-agent] 2022-12-12T08:19:02.123456789Z {line}"),
    "cat -n": numbered("{0:6}\t{1}"),
    "grep -n": numbered("{0}:{1}"),
    "grep in files": each_line(lambda line: f"node-1/cilium-dump.txt:{line}"),
    "grep -n in files": numbered("node-1/cilium-dump.txt:{0}:{1}"),
    "a quote": each_line(lambda line: f"> {line}"),
    "a page's source": lambda text: html.escape(text, quote=False),
}


@pytest.mark.parametrize("noise", NOISE)
def test_every_dump_is_read_through_the_noise(noise: str) -> None:
    for name, text in DUMPS.items():
        assert read(NOISE[noise](text), name) == read_plain(name), name


@pytest.mark.parametrize("width", [80, 132])
def test_lines_that_a_terminal_broke_twice_or_more_are_whole(width: int) -> None:
    for name, text in DUMPS.items():
        if sum((len(line) - 1) // width for line in text.split("\n") if line) > 1:
            assert read(wrapped(text, width), name) == read_plain(name), name


@given(st.sampled_from(sorted(DUMPS)), st.integers(60, 220))
@settings(max_examples=100)
@example("seed-bpf-policy-get.txt", 80)  # its titles are as long as the terminal is wide
@example("lb-slots.txt", 80)
def test_lines_that_a_terminal_broke_are_whole_or_left_over(name: str, width: int) -> None:
    before = sum(len(each.dump.unparsed_lines) for each in read_octets(DUMPS[name].encode(), name))
    found = [each.dump for each in read_octets(wrapped(DUMPS[name], width).encode(), name)]
    left_over = sum(len(dump.unparsed_lines) for dump in found)
    is_told = left_over > before or any(dump.unavailable or dump.partial for dump in found)
    is_as_wide = any(len(line) == width for line in DUMPS[name].split("\n"))
    assert is_told or is_as_wide or read(wrapped(DUMPS[name], width), name) == read_plain(name)


def test_a_line_of_which_a_word_is_odd_gives_an_endpoint_nothing() -> None:
    text = "ENDPOINT POLICY IDENTITY LABELS IPv4 STATUS\n7 Enabled Enabled 1 reserved:host ready\nGone to 10.0.0.1 k8s:a=b\n"
    state = state_of(text)
    assert (state.endpoints[0].ipv4, state.endpoints[0].labels) == (None, ("reserved:host",))
    assert [odd.line for odd in only(state).unparsed] == [3]


def test_lines_that_grep_chose_prove_nothing_by_those_that_are_missing() -> None:
    rows = "10.0.0.1/32 identity=1 encryptkey=0 tunnelendpoint=0.0.0.0"
    dump = only(state_of(f"12:{rows}\n17:{rows}\n"))
    assert (dump.kind, dump.entries, dump.partial) == ("ipcache", 2, "its lines were chosen by `grep`")
    assert only(state_of(f"1:{rows}\n2:{rows}")).is_complete


def test_what_stands_behind_the_longest_line_is_no_part_of_it() -> None:
    row = "10.0.0.1/32 identity=1 encryptkey=0 tunnelendpoint=0.0.0.0 flags=hastunnel"
    dump = only(state_of(f"{row}\n,remotecluster\n"))
    assert (dump.entries, [odd.line for odd in dump.unparsed]) == (1, [2])


def test_times_of_a_rows_own_are_no_prefix() -> None:
    row = '2022-12-12T08:01:02.345Z 503 UF "GET /status HTTP/1.1" 10.96.0.7:8000 10.244.3.7:41000'
    assert len(state_of(f"{row}\n{row}\n").table("envoy")) == 2


POLICY = "POLICY DIRECTION IDENTITY PORT/PROTO PROXY PORT BYTES PACKETS\nAllow Ingress 1 ANY NONE 0 0\n"


@pytest.mark.parametrize(
    ("heading", "partial"),
    [
        ("==== cilium bpf policy get 77 ====", None),
        ("++ kubectl exec -n kube-system cilium-abcde -- cilium bpf policy get 77", None),
        ("==> node-1/cilium-bpf-policy-get-77.txt <==", "it was read through `head` or `tail`"),
    ],
)
def test_headings_that_scripts_print_name_the_endpoint(heading: str, partial: str | None) -> None:
    first, second = state_of(f"=== first ===\n{POLICY}{heading}\n{POLICY}").dumps
    assert (first.endpoint_id, first.entries) == (None, 1)
    assert (second.endpoint_id, second.entries, second.partial) == (77, 1, partial)


@pytest.mark.parametrize("command", ["cat ct.txt", "sudo less ct.txt", "ssh node-9 cat ct.txt"])
def test_where_a_file_was_looked_at_is_not_where_it_is_of(command: str) -> None:
    dump = only(state_of(f"root@laptop:~# {command}\nTCP IN 10.0.0.1:1 -> 10.0.0.2:2 expires=1 RxPackets=5\n"))
    assert (dump.kind, dump.node) == ("ct", None)
