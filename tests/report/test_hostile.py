"""Hostile names through every way out: HTML, Markdown, SVG, terminal, notebook, pcapng comments."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mixcni.read import CaptureFile
from mixcni.report import Report
from mixcni.report.markdown import code, literal
from mixcni.words import printable
from tests.report.hostile import LABEL, NAME, UNSEEN, hostile_report

HARMLESS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "article", "footer", "script", "button"),
    *(
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "ul",
        "ol",
        "li",
        "pre",
        "code",
        "span",
        "strong",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
    ),
    *("td", "details", "summary", "figure", "svg", "g", "path", "text", "tspan", "defs", "use", "clippath", "rect"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return hostile_report(tmp_path_factory.mktemp("hostile"))


class Elements(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_case_is_diagnosed_all_the_same(report: Report) -> None:
    assert report.verdict == "loss"
    assert report.losses[0]["cause"] == "policy_denied_ingress"


def test_a_page_has_only_its_own_elements_and_one_script(report: Report, tmp_path: Path) -> None:
    page = report.save(tmp_path / "x.html").read_text()
    elements = Elements(page)
    assert {tag for tag, _ in elements.found} <= HARMLESS
    assert [tag for tag, _ in elements.found].count("script") == 1
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert not [1 for _, attributes in elements.found if "style" in attributes or "src" in attributes]
    links = {value for _, attributes in elements.found for name, value in attributes.items() if name.endswith("href")}
    assert all(link is not None and link.startswith("#") for link in links)
    assert printable(NAME) in "".join(elements.texts)
    assert not [sign for sign in UNSEEN if sign in page]
    assert "49" not in "".join(elements.texts).split("{{")[0][-10:]


def test_no_figure_has_anything_but_shapes_and_text(report: Report) -> None:
    for name in ("path", "losses", "clocks", "ladder"):
        svg = report.figure(name).svg
        tags = {element.tag.rpartition("}")[2].lower() for element in ET.fromstring(svg).iter()}
        assert tags <= HARMLESS
        assert not [sign for sign in UNSEEN if sign in svg]
        assert not re.search(r"href=\"(?!#)", svg)


def test_a_notebook_shows_no_markup_of_a_capture(report: Report) -> None:
    for cell in (report._repr_html_(), report.ladder(3)._repr_html_(), report.cluster._repr_html_()):
        elements = Elements(cell)
        assert {tag for tag, _ in elements.found} <= HARMLESS - {"script"}
        assert not [sign for sign in UNSEEN if sign in cell]


def test_markdown_renders_no_markup_of_a_capture(report: Report, tmp_path: Path) -> None:
    text = report.save(tmp_path / "x.md").read_text()
    assert not [sign for sign in UNSEEN if sign in text]
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    elements = Elements(html)
    allowed = {
        "h2",
        "h3",
        "p",
        "em",
        "strong",
        "ul",
        "ol",
        "li",
        "code",
        "pre",
        "details",
        "summary",
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert {tag for tag, _ in elements.found} <= allowed
    rows = html.split("<tr>")[1:]
    assert {len(re.findall("<t[dh][ >]", row)) for row in rows} == {6, 4}
    prose = re.sub(r"<(code|pre)>.*?</\1>", "", html, flags=re.DOTALL)
    assert "@\u200bteam" in prose
    assert "@team" not in prose


@pytest.mark.parametrize(
    "text",
    [
        *(
            "@team",
            "#12",
            "GH-7",
            "http://x.y/z",
            "www.x.y",
            "a@b.c",
            "*a* _b_ ~~c~~ `d`",
            "[a](b)",
            "![a](b)",
            "<b>c</b>",
            "a|b",
            "$a$",
        ),
        *(
            "- a",
            "+ a",
            "1. a",
            "# a",
            "> a",
            "---",
            "===",
            "    a",
            "&amp;",
            "\\*a",
            "a\nb",
            "| a | b |",
            "```",
            "~~~",
            ":smile:",
        ),
    ],
)
def test_literal_text_is_shown_as_it_is(text: str) -> None:
    """CommonMark shows the same characters, but for the zero-width space that parts what GitHub would link."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough").render(f"- {literal(text)}\n")
    elements = Elements(html)
    assert {tag for tag, _ in elements.found} == {"ul", "li"}
    assert "".join(elements.texts).replace("\u200b", "").strip() == printable(text).strip()
    assert not re.search(r"[@#](?=\w)|p://|www\.|GH-", "".join(elements.texts).replace("# a", ""))


@pytest.mark.parametrize("text", ["a`b", "``", "`a", "a|b`c", "<b>", "\\", "a``b`c"])
def test_code_is_shown_as_it_is(text: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(f"| h |\n|---|\n| {code(text)} |\n")
    elements = Elements(html)
    assert [tag for tag, _ in elements.found].count("td") == 1
    assert "code" in {tag for tag, _ in elements.found}
    assert text in "".join(elements.texts)


def test_a_terminal_gets_no_control_characters(report: Report) -> None:
    for text in (str(report), repr(report), str(report.ladder(3)), repr(report.cluster), report.to_json()):
        assert not [sign for sign in UNSEEN if sign in text]
    assert json.loads(report.to_json())["title"].startswith(NAME)


def test_comments_of_the_evidence_are_plain_text(report: Report, tmp_path: Path) -> None:
    capture = CaptureFile(report.save(tmp_path / "x.pcapng"))
    list(capture.blocks())
    texts = [comment.text for comment in capture.comments] + [interface.name for interface in capture.interfaces]
    assert len(texts) > 70
    assert not [sign for sign in UNSEEN for text in texts if sign in text]
    assert printable(NAME) in texts[-1]


def test_a_label_of_a_dump_is_shown_in_the_evidence(report: Report, tmp_path: Path) -> None:
    assert LABEL in "".join(Elements(report.save(tmp_path / "x.html").read_text()).texts)
