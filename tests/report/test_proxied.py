"""What a report tells of requests on both sides of a proxy, in its table, words and JSON; no hop is blamed by it."""

import json
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import pytest

import mixcni
from mixcni.report import Report, schema_text
from tests.cases import CAPTURES
from tests.localise.test_proxied import ID, ID2, OK, UNAVAILABLE, Call, down, frames_of, get, late, up
from tests.wire import write_pcap

SCHEMA = json.loads(schema_text())


def report_on(folder: Path, downstream: Iterable[Call], upstream: Iterable[Call]) -> Report:
    for name, frames in frames_of(downstream, upstream, through=[late()]).items():
        write_pcap(folder / f"{name}.pcap", frames)
    return mixcni.diagnose(folder)


def told(report: Report) -> list[str]:
    return [text for text in report.summary.parts if text.startswith("at a proxy")]


BY_ID = "linked by x-request-id, confidence 0.90: no hop is blamed by it"
FAILURES = {
    "lost": (up(52).say(60, 0, get(x_request_id=ID), lost="BC", times=5), "GET /cart", "request lost between B and C", BY_ID),
    "silent": (
        up(52).say(60, 0, get(x_request_id=ID)),
        "GET /cart",
        "silent: it arrived at the last point, and nothing came back",
        BY_ID,
    ),
    "not connected": (
        up(52, dead=True),
        "SYN",
        "request lost between B and C",
        "linked since no other waited there then and failed, confidence 0.40: no hop is blamed by it",
    ),
    "answered so": (up(52).ask(60, get(x_request_id=ID), 70, UNAVAILABLE), "GET /cart", "answered 503", BY_ID),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_503_of_the_proxy_is_told_with_what_became_of_the_request_upstream(name: str, tmp_path: Path) -> None:
    upstream, sent, became, by = FAILURES[name]
    passing = up(20, 51009)  # a connection that shows what passes C
    report = report_on(tmp_path, [down(0).ask(50, get(x_request_id=ID), 3000, UNAVAILABLE)], [upstream, passing])
    sentence = f"upstream, {sent} to 10.0.3.5 port 8080 (conversation 2) was {became} ({by})"
    assert told(report) == [f"at a proxy: GET /cart (conversation 0) was answered 503; {sentence}"]
    written = json.loads(report.to_json())
    jsonschema.validate(written, SCHEMA, cls=jsonschema.Draft202012Validator)
    (pair,) = written["proxied"]
    assert (pair["downstream"]["status"], pair["upstream"]["conversation"], pair["clock"]) == (503, 2, "B")
    assert report.proxied["rivals"].tolist() == [0]
    for text in (str(report), report._repr_html_()):
        assert "at a proxy" in text


def test_a_link_changes_neither_fates_nor_losses(tmp_path: Path) -> None:
    """The same captures with other ids: the links go, and all else stays."""
    found = []
    for number, other in enumerate((ID, ID2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        upstream = up(52).say(60, 0, get(x_request_id=other), lost="BC", times=5)
        report = report_on(folder, [down(0).ask(50, get(x_request_id=ID), 3000, UNAVAILABLE)], [upstream])
        found.append(report.to_dict())
    linked, alone = found
    assert "proxied" in linked
    assert "proxied" not in alone
    for name in ("verdict", "losses", "findings", "headline"):
        assert linked[name] == alone[name]


def test_answered_pairs_are_in_the_json_with_every_exchange_only(tmp_path: Path) -> None:
    report = report_on(tmp_path, [down(0).ask(50, get(x_request_id=ID), 90)], [up(52).ask(60, get(x_request_id=ID), 70)])
    assert "proxied" not in report.to_dict()
    written = report.to_dict(every_exchange=True)
    jsonschema.validate(written, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert [pair["linked_by"] for pair in written["proxied"]] == ["x-request-id"]
    assert told(report) == []


def test_a_request_that_the_proxy_did_not_pass_on_is_told(tmp_path: Path) -> None:
    """By the other request it is known for a proxy; the second one failed, and nothing was sent for it."""
    clients = [down(0).ask(50, get(x_request_id=ID), 90), down(1, 41001).ask(151, get("/b", x_request_id=ID2), 160, UNAVAILABLE)]
    report = report_on(tmp_path, clients, [up(52).ask(60, get(x_request_id=ID), 70)])
    assert told(report) == ["at a proxy: GET /b (conversation 1) failed, and no capture has a request that the proxy sent for it"]


def test_a_request_that_still_waits_when_the_capture_ends_has_not_failed(tmp_path: Path) -> None:
    clients = [down(0).ask(50, get(x_request_id=ID), 90), down(1, 41001).say(4999, 0, get("/b", x_request_id=ID2))]
    assert told(report_on(tmp_path, clients, [up(52).ask(60, get(x_request_id=ID), 70)])) == []


def test_what_is_not_decided_is_told_and_not_chosen(tmp_path: Path) -> None:
    clients = [down(0).ask(50, get(), 90), down(1, 41001).ask(51, get(), 91)]
    report = report_on(tmp_path, clients, [up(52).ask(60, get(), 70), up(53, 51001).ask(61, get(), 71)])
    assert told(report) == ["at a proxy: 2 upstream requests may belong to one request or another: none is chosen"]
    assert report.proxied["rivals"].tolist() == [1] * 4
    assert len(report.to_dict()["proxied"]) == 4


def test_the_table_s_columns_are_documented_and_there_without_a_proxy(tmp_path: Path) -> None:
    full = report_on(tmp_path, [down(0).ask(50, get(x_request_id=ID), 90)], [up(52).ask(60, get(x_request_id=ID), 70, OK)])
    for frame in (full.proxied, mixcni.diagnose(CAPTURES / "policy-removed").proxied):
        schema = frame.attrs["schema"]
        assert list(schema) == list(frame.columns)
        for column in frame.columns:
            stated, found = schema[column]["dtype"], str(frame[column].dtype)
            assert found == stated or (stated in {"str", "object"} and found in {"str", "object"}), column
