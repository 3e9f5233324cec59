"""`-o yaml` of a listing gives what its `-o json` gives, as Go's yaml.v3 spells it; cut or broken, the rest."""

import json
from typing import Any

import pytest
import yaml

from mixcni.cluster.yamljson import as_json
from tests.cluster.crafted import HEALTH_JSON, STATUS_JSON, TEXTS, TWINS
from tests.cluster.dumps import facts, only, state_of
from tests.cluster.test_json_forms import fields_of


def as_go(value: Any, name: str = "") -> Any:
    """A value as yaml.v3 has it: fields in small letters without hyphens, structures within structures on levels of their own."""
    if isinstance(value, list):
        return [as_go(each) for each in value]
    if not isinstance(value, dict):
        return value
    if all(isinstance(each, list) for each in value.values()):
        return value  # a map's keys are no fields
    found = {key.replace("-", "").lower(): as_go(each, key) for key, each in value.items()}
    if name == "Key" and "nextheader" in found:
        return {"tuplekey4global": {"tuplekey4": found}}
    if "key" in found and "packets" in found:
        return {"policyentry": {key: each for key, each in found.items() if key != "key"}, "key": found["key"]}
    return found


def as_yaml(value: Any) -> str:
    return str(yaml.safe_dump(as_go(value), sort_keys=False))


@pytest.mark.parametrize("kind", TWINS)
def test_the_yaml_of_a_listing_gives_the_entries_of_its_json(kind: str) -> None:
    value = TWINS[kind][1]
    from_json, from_yaml = state_of(json.dumps(value, indent=2)), state_of(as_yaml(value))
    assert [(dump.kind, dump.entries, dump.unparsed) for dump in from_yaml.dumps] == [
        (dump.kind, dump.entries, ()) for dump in from_json.dumps
    ]
    assert fields_of(from_yaml, kind) == fields_of(from_json, kind)
    assert fields_of(from_yaml, kind)


def test_health_and_status_as_yaml_are_read() -> None:
    state = state_of(as_yaml(HEALTH_JSON))
    assert facts(state) == facts(state_of(json.dumps(HEALTH_JSON)))
    assert only(state).node == only(state_of(json.dumps(HEALTH_JSON))).node
    assert only(state_of(as_yaml(STATUS_JSON))).kind == "status"


def test_entries_of_yaml_cite_the_line_that_they_begin_on() -> None:
    text = "level=info msg=x\n" + as_yaml(TWINS["ct"][1])
    lines = text.split("\n")
    assert [lines[entry.line - 1] for entry in state_of(text).ct] == ["- Key:".lower()] * 3
    text = as_yaml(TWINS["ipcache"][1])
    assert all(str(row.prefix) in text.split("\n")[row.line - 1] for row in state_of(text).ipcache)


@pytest.mark.parametrize("between", ["\n$ cilium-dbg bpf ipcache list\n", "\n```\n", "\n"])
def test_what_stands_below_a_listing_as_yaml_is_another_dump(between: str) -> None:
    text = as_yaml(TWINS["endpoints"][1]).rstrip("\n") + between + TEXTS["ipcache"][1]
    assert [(dump.kind, dump.entries, dump.unparsed) for dump in state_of(text).dumps] == [
        ("endpoints", 2, ()), ("ipcache", 2, ()),
    ]  # fmt: skip
    manifest = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"
    assert [dump.kind for dump in state_of(as_yaml(TWINS["endpoints"][1]) + manifest).dumps] == ["endpoints", "kubernetes"]


def test_the_command_or_the_files_name_tells_yaml_that_shows_no_kind() -> None:
    prefixes = "- 10.0.0.0/8\n- fd00::/8\n"
    dump = only(state_of(f"$ cilium-dbg bpf ipmasq list -o yaml\n{prefixes}"))
    assert (dump.kind, dump.entries, dump.line) == ("ipmasq", 2, 2)
    assert only(state_of(prefixes)).kind == "unrecognised"


def test_yaml_that_is_cut_or_broken_gives_what_stands_above() -> None:
    text = as_yaml(TWINS["ct"][1])
    lines = text.split("\n")
    cut = state_of("\n".join(lines[: len(lines) // 2]))
    assert 1 <= len(cut.ct) < 3
    lines[len(lines) // 2] = "  } what: ["
    broken = state_of("\n".join(lines))
    assert 1 <= len(broken.ct) < 3
    assert broken.dumps[0].kind == "ct"
    assert broken.dumps[0].partial is not None
    assert broken.dumps[0].unparsed


@pytest.mark.parametrize("key", ["? a: b", "? [a, b]", "*a : b", "[a]: b"])
def test_a_key_that_is_no_scalar_ends_what_is_read(key: str) -> None:
    lines = ["- id: 1", f"- {key}", "- id: 2"]
    assert as_json(lines)[0].startswith('[{"id":1}')
    assert as_json(lines)[2] == lines[2]


def test_lines_are_as_many_and_depth_is_limited() -> None:
    lines = ["[" * 500, "", "a: b"]
    assert len(as_json(lines)) == 3
    assert as_json(["- a: 1", "  b: [x, null, 1.5, 'true']", "- {}"]) == ['[{"a":1', ',"b":["x",null,1.5,"true"]}', ",{}]"]
