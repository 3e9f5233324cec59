"""Figures: what they show is what the tables say, however large the captures; the same report, the same octets."""

import re
import xml.etree.ElementTree as ET
from functools import cache
from html import escape
from pathlib import Path

import pytest

import mixcni
from mixcni.errors import ParameterError
from mixcni.report import Report
from mixcni.report.figures import FIGURES
from mixcni.report.figures.clocks import MAX_MARKS, seen_at_both
from mixcni.report.figures.drawing import BLUE, GREEN, INK, ORANGE, VERMILLION
from mixcni.report.tables import crossings
from mixcni.schema import Direction
from tests.cases import CAPTURES, FOUNDING
from tests.report.test_evidence import lossy, scene_report
from tests.scene import Talk

SVG = "{http://www.w3.org/2000/svg}"


@cache
def report_on(name: str) -> Report:
    return mixcni.diagnose(CAPTURES / name)


def texts_of(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def marks_of(svg: str) -> int:
    return sum(1 for element in ET.fromstring(svg).iter() if element.tag in {f"{SVG}use", f"{SVG}path"})


@pytest.mark.parametrize("name", [*FIGURES, "ladder"])
def test_a_figure_is_the_same_each_time(name: str) -> None:
    first, second = (mixcni.diagnose(CAPTURES / FOUNDING).figure(name).svg for _ in range(2))
    assert first == second
    assert not re.search(r"20\d\d-\d\d-\d\d", first)


@pytest.mark.parametrize("name", [*FIGURES, "ladder"])
@pytest.mark.parametrize("case", [FOUNDING, "policy-removed"])
def test_a_figure_has_no_style_but_the_pages_own_ink_and_the_chosen_colours(case: str, name: str) -> None:
    drawing = report_on(case).figure(name)
    assert "style" not in drawing.inline
    assert "currentColor" in drawing.inline
    colours = set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6})"', drawing.inline))
    assert colours <= {BLUE, GREEN, VERMILLION, ORANGE}
    assert INK not in drawing.svg
    assert drawing.svg.count("<style>") == 1
    assert f'aria-label="{escape(drawing.title)}"' in drawing.inline


def test_the_path_says_how_many_came_over_and_how_many_died() -> None:
    texts = texts_of(report_on(FOUNDING).figure("path").svg)
    assert [text for text in texts if "lost" in text] == ["12 lost"]
    assert texts.count("12 requests") == 2
    assert texts.count("0 requests") == 1
    assert "12" in texts
    after = texts_of(report_on("policy-removed").figure("path").svg)
    assert after.count("43") == 4
    assert not [text for text in after if "lost" in text]


def test_a_lost_response_is_on_the_way_back(tmp_path: Path) -> None:
    talks = []
    for i in range(4):
        talk = Talk(initiator=("10.244.3.7", 41000 + i))
        talk.handshake(100 * i)
        talk.exchange(100 * i + 40)
        talk.say(2000 + 100 * i, 0, "PA", 100)
        talk.repeated([2010 + 100 * i, 3010 + 100 * i, 5010 + 100 * i], 1, "PA", 300, lost="AB")
        talks.append(talk)
    later = Talk(initiator=("10.244.3.7", 42000))
    later.handshake(9000)
    later.exchange(9100)
    report = scene_report(tmp_path, *talks, later)
    found = {(crossing.near, crossing.direction): (crossing.over, crossing.lost) for crossing in crossings(report.localisation)}
    assert found[0, Direction.REVERSE] == (10, 4)
    assert found[1, Direction.REVERSE] == (14, 0)
    assert found[0, Direction.FORWARD] == (14, 0)
    assert "4 lost" in texts_of(report.figure("path").svg)
    assert "◀──10──" in str(report)
    assert "4 lost ✕" in str(report)


def test_the_ladder_has_a_frame_number_for_each_copy_and_a_cross_for_each_gap(tmp_path: Path) -> None:
    report = scene_report(tmp_path, *lossy())
    svg = report.figure("ladder").svg
    texts = texts_of(svg)
    assert len([text for text in texts if text.startswith("#")]) == 6
    assert [text for text in texts if re.fullmatch(r"\d\.\d{6}", text)] == ["0.000000", "1.000000", "3.000000"]
    assert [text for text in texts if "SYN" in text] == ["→ SYN", "→ SYN again", "→ SYN again"]
    assert svg.count(f'stroke="{VERMILLION}"') >= 3


def test_a_gap_is_a_loss_only_where_one_is_told(tmp_path: Path) -> None:
    """Of a copy that was made up for the gap is plain; of what the captures' end leaves open it is neither."""
    transient, cut, later = (Talk(initiator=("10.244.3.7", port)) for port in (41000, 41001, 41002))
    transient.handshake(0)
    transient.say(100, 0, "PA", 100, lost="AB")
    transient.again(400, len(transient.sent) - 1)
    transient.say(410, 1, "PA", 200)
    transient.say(420, 0, "A")
    later.handshake(8000)
    later.exchange(8100)
    cut.say(8105, 0, "S", lost="AB")
    report = scene_report(tmp_path, transient, later, cut)
    fates = report.exchanges.groupby("conversation")["fate"].apply(set).tolist()
    assert fates == [{"answered"}, {"answered"}, {"undecided"}]
    for conversation, has_gap in ((0, True), (2, True)):
        svg = report.figure("ladder", conversation).inline
        assert VERMILLION not in svg
        assert ("stroke-dasharray" in svg) is has_gap
    assert ORANGE in report.figure("ladder", 2).inline
    assert "1 undecided" in texts_of(report.figure("path").svg)


def test_marks_are_bounded_however_long_a_capture_is(tmp_path: Path) -> None:
    sizes = []
    for count in (30, 100):
        talks = [Talk(initiator=(f"10.244.{i // 200}.{1 + i % 200}", 40000 + i)) for i in range(count)]
        for i, talk in enumerate(talks):
            talk.handshake(13 * i)
            for k in range(10):
                talk.exchange(13 * i + 40 + 40 * k)
        folder = tmp_path / str(count)
        folder.mkdir()
        report = scene_report(folder, *talks)
        sizes.append([marks_of(report.figure(name).svg) for name in FIGURES])
        assert len(texts_of(report.figure("losses").svg)) < 150
    (_, few, few_clocks), (_, many, many_clocks) = sizes
    assert many < 60 * 120 + 100
    assert many_clocks <= 2 * 2 * MAX_MARKS + 200
    assert few_clocks <= many_clocks
    assert few > 100


def test_the_clock_figure_pairs_the_kth_copy_with_the_kth(tmp_path: Path) -> None:
    report = scene_report(tmp_path, *lossy())
    table = report.localisation.alignment.transmissions
    at_p, at_q = seen_at_both(report.localisation, 0, 1)
    assert at_p.size == at_q.size == 9
    assert (table["start"][at_p] == table["start"][at_q]).all()
    delays = (table["time_ns"][at_q] - table["time_ns"][at_p])[table["direction"][at_p] == Direction.FORWARD]
    assert len(set(delays.tolist())) == 1, "of a SYN that was sent three times too"


def test_a_figure_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ParameterError, match=r"figure must be path, losses, clocks or ladder, got 'pie'"):
        report_on(FOUNDING).figure("pie")
    with pytest.raises(ParameterError, match=r"conversation must be in \[0, 41\), got 99"):
        report_on(FOUNDING).figure("ladder", 99)


def test_a_drawing_is_saved_as_its_suffix_says(tmp_path: Path) -> None:
    drawing = report_on(FOUNDING).figure("path")
    assert drawing.save(tmp_path / "x.svg").read_text() == drawing.svg
    assert drawing.save(tmp_path / "x.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "<svg" in drawing._repr_html_()
