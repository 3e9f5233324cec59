"""What a notebook shows of things: text and HTML of the same words; columns that are documented; examples that run."""

import doctest
import html
import ipaddress
import re
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import mixcni
from mixcni.anonymise import Anonymiser
from mixcni.glance import Glance
from tests.cases import CAPTURES, FOUNDING, ROOT

REPORT = mixcni.diagnose(CAPTURES / FOUNDING)


def words_of_html(page: str) -> list[str]:
    page = re.sub(r"<(style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page)).split()


@pytest.mark.parametrize(
    "thing",
    [mixcni.open_case(CAPTURES / FOUNDING), mixcni.open_capture(CAPTURES / FOUNDING / "A.pcap"), REPORT.cluster],
    ids=["case", "capture", "cluster"],
)
def test_text_and_html_say_the_same(thing: Any) -> None:
    assert words_of_html(thing._repr_html_()) == repr(thing).split()


def test_a_report_in_a_notebook_has_its_path_and_its_points() -> None:
    cell = REPORT._repr_html_()
    assert "<svg" in cell
    assert set(re.findall(r"[\w.]+", repr(REPORT).splitlines()[0])) <= set(
        re.findall(r"[\w.]+", " ".join(["Report", *words_of_html(cell)]))
    )


def test_a_conversation_is_its_ladder_its_exchanges_and_its_filter() -> None:
    conversation = REPORT.ladder(3)
    assert repr(conversation) == str(conversation)
    assert conversation.title in str(conversation)
    assert conversation.exchanges["fate"].tolist() == ["lost"]
    assert "<svg" in conversation._repr_html_()


@pytest.mark.parametrize("name", ["points", "exchanges", "conversations", "hops", "findings"])
@pytest.mark.parametrize("case", [FOUNDING, "policy-removed"])
def test_every_column_is_documented_and_has_the_dtype_that_it_says(name: str, case: str) -> None:
    frame = getattr(mixcni.diagnose(CAPTURES / case), name)
    schema = frame.attrs["schema"]
    assert list(schema) == list(frame.columns)
    for column in frame.columns:
        stated, found = schema[column]["dtype"], str(frame[column].dtype)
        assert found == stated or (stated in {"str", "object"} and found in {"str", "object"}) or frame.empty, column


@pytest.mark.parametrize(
    "module",
    [
        *("report.report", "report.conversation", "report.figures.drawing", "case.folder", "cluster.state"),
        *("decode.capture", "anonymise.anonymiser"),
    ],
)
def test_the_examples_run(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    known = {"mixcni": mixcni, "tempfile": tempfile, "Path": Path, "ipaddress": ipaddress, "Anonymiser": Anonymiser}
    found = doctest.testmod(import_module(f"mixcni.{module}"), extraglobs=known)
    assert found.attempted > 0
    assert found.failed == 0


def test_a_glance_aligns_its_columns_and_escapes_both_ways() -> None:
    glance = Glance("<b>\x1b", [("a", "1"), ("long", "1000")], right=(1,), notes=["&"])
    assert glance.text() == "<b>\\x1b\n  a        1\n  long  1000\n  &"
    assert "&lt;b&gt;\\x1b" in glance.html()
    assert "<b>" not in glance.html()
    assert Glance("nothing").text() == "nothing"
