"""Text, HTML, repr and JSON say the same, fit where they are shown, and let nothing from outside through unescaped."""

import html
import io
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

import mixcni
from mixcni.errors import ParameterError
from mixcni.explain import Evidence, Finding, Remedy
from mixcni.report import Report
from mixcni.report.html import report_html
from mixcni.report.text import print_report, report_text
from tests.cases import CAPTURES, FOUNDING, NAMES, copy_of, diagnose_changed, replaced, without_packets

HOSTILE = '<script>alert("x")</script>\x1b[31m\x07 & \u202e{{ 7 * 7 }}'


@cache
def report_on(name: str) -> Report:
    return mixcni.diagnose(CAPTURES / name)


def words_of(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
def test_every_form_holds_the_same_facts(name: str) -> None:
    report = report_on(name)
    text = words_of(str(report))
    page = words_of(html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", report._repr_html_(), flags=re.DOTALL)))
    facts = report.to_dict()
    assert facts["headline"] == report.headline
    sentences = [report.headline.partition(": ")[2]]
    for finding in facts["findings"]:
        sentences += [finding["sentence"], *(fact["says"] for fact in finding["evidence"] + finding["against"])]
        sentences += [remedy["sentence"] for remedy in finding["remedies"]]
        sentences += [remedy["yaml"] for remedy in finding["remedies"]]
    for sentence in [*sentences, *facts["assumptions"]]:
        assert words_of(sentence) in text
        assert words_of(sentence) in page
    for point in facts["points"]:
        row = f"{point['packets']} {point['requests']} {point['responses']}"
        assert row in text
        assert row in page
    assert report.headline in repr(report)


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert max(map(len, report_text(report_on(name).summary, width).splitlines())) <= width


def test_a_terminal_gets_colour_and_a_pipe_does_not() -> None:
    coloured, plain = (Console(file=io.StringIO(), width=100, force_terminal=forced) for forced in (True, False))
    for console in (coloured, plain):
        print_report(report_on(FOUNDING).summary, console)
    assert isinstance(coloured.file, io.StringIO)
    assert isinstance(plain.file, io.StringIO)
    assert "\x1b[1;31mLOSS" in coloured.file.getvalue()
    assert "\x1b" not in plain.file.getvalue()


def test_hostile_names_reach_no_terminal_and_no_page_unescaped() -> None:
    fact = Evidence(HOSTILE, file=HOSTILE, line=3)
    finding = Finding(
        cause="policy_denied_ingress",
        confidence=0.9,
        sentence=HOSTILE,
        evidence=(fact,),
        against=(fact,),
        remedies=(Remedy(HOSTILE, yaml=HOSTILE),),
        collect=(HOSTILE,),
    )
    summary = report_on(FOUNDING).summary
    summary = replace(
        summary,
        title=HOSTILE,
        headline=HOSTILE,
        points=tuple(replace(point, name=HOSTILE, where=HOSTILE) for point in summary.points),
        findings=(finding,),
        filters=(HOSTILE,),
        assumptions=(HOSTILE,),
        trouble=(HOSTILE,),
    )
    text, page = report_text(summary, 300), report_html(summary)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "<script>" not in page
    assert "49 " not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL), "no template runs inside a template"
    assert not {"\x1b", "\x07"} & set(page)


def test_a_hostile_title_in_the_manifest_is_shown_as_text(tmp_path: Path) -> None:
    title = 'title = "<img src=x onerror=alert(1)> \\u001b[2J"'
    folder = copy_of(
        FOUNDING, tmp_path, replaced("case.toml", (CAPTURES / FOUNDING / "case.toml").read_text().splitlines()[0], title)
    )
    report = mixcni.diagnose(folder)
    assert "<img" not in report._repr_html_()
    assert "\x1b" not in str(report)
    assert json.loads(report.to_json())["title"].startswith("<img")


def test_a_report_is_saved_in_the_form_that_its_suffix_names(tmp_path: Path) -> None:
    report = report_on(FOUNDING)
    assert json.loads(report.save(tmp_path / "r.json").read_text()) == report.to_dict()
    assert report.save(tmp_path / "r.txt").read_text() == f"{report}\n"
    with pytest.raises(ParameterError, match=r"saved as \.html, \.md, \.json, \.txt or \.pcapng, got 'r\.docx'"):
        report.save(tmp_path / "r.docx")


def test_the_frames_are_documented_and_keep_their_columns_without_rows() -> None:
    report, calm = report_on(FOUNDING), report_on("policy-removed")
    assert list(calm.findings.columns) == list(report.findings.columns)
    assert calm.findings.empty
    assert len(report.exchanges) == len(report.localisation.fates)
    lost = report.exchanges[report.exchanges["fate"] == "lost"]
    assert lost["hop"].tolist() == [["B", "C"]] * 12
    assert report.conversations["unanswered"].sum() == 12
    assert report.hops.set_index(["hop", "direction"]).loc[("B→C", "request"), "lost"] == 12


def test_the_headline_says_before_which_point_nothing_watched(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, without_packets("A.pcap"), name="policy-removed")
    assert report.verdict == "no_loss"
    assert report.headline.endswith("; what was lost before B no capture shows")
    assert "no capture shows" not in report_on("policy-removed").headline
