"""The loops over transmissions and atoms, each held against a twin that looks at one conversation, atom or piece at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.kernels.jit import run
from mixcni.localise.atoms import NEVER
from mixcni.localise.hops import HopColumns, Tally
from mixcni.localise.kernel import (
    count_carrying,
    mark_kinds,
    stand_between,
    survey_transmissions,
    tally_hop,
)
from mixcni.localise.survey import SurveyArrays, SurveyedColumns
from mixcni.schema import Direction, TcpFlag
from tests.kernels.forms import TWO_FORMS, in_form

CONVERSATIONS, POINTS = 2, 2
FLAGS = st.sampled_from([0, TcpFlag.ACK, TcpFlag.SYN, TcpFlag.FIN | TcpFlag.ACK, TcpFlag.RST, TcpFlag.RST | TcpFlag.FIN])
TRANSMISSIONS = st.lists(
    st.tuples(
        st.integers(0, CONVERSATIONS - 1),
        st.integers(0, POINTS - 1),
        st.integers(0, 1),
        st.integers(0, 9),
        st.integers(0, 3),
        st.integers(-1, 9),
        FLAGS,
        st.integers(0, 99),
    ),
    max_size=8,
)
PIECES = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 1), st.booleans(), st.booleans(), st.integers(0, 2), st.integers(0, 2), st.booleans()
    ),
    max_size=12,
)
pytestmark = [pytest.mark.kernels, pytest.mark.parametrize("form", TWO_FORMS)]


def columns_of(kind: Any, rows: list[tuple[int, ...]]) -> Any:
    """Rows as a NamedTuple of arrays."""
    return kind(*(np.array([row[i] for row in rows], dtype=np.int64) for i in range(len(kind._fields))))


@given(rows=TRANSMISSIONS)
def test_a_survey_says_of_each_conversation_what_its_transmissions_say(form: str, rows: list[tuple[int, ...]]) -> None:
    ends = [(*row[:4], row[3] + row[4], *row[5:]) for row in rows]
    cells = CONVERSATIONS * POINTS * 2
    found = SurveyArrays(
        np.zeros(cells, dtype=np.uint8),
        np.zeros(cells, dtype=np.bool_),
        np.zeros(cells, dtype=np.int64),
        np.full(2 * CONVERSATIONS, -1),
        np.full(CONVERSATIONS, NEVER),
        np.full(CONVERSATIONS, -1),
    )
    with in_form(form):
        run(survey_transmissions, len(rows), columns_of(SurveyedColumns, ends), POINTS, found)
    for conversation in range(CONVERSATIONS):
        mine = [row[1:] for row in ends if row[0] == conversation]
        closing = [row[-1] for row in mine if row[1] == Direction.FORWARD and row[5] & (TcpFlag.FIN | TcpFlag.RST)]
        assert found.closed_ns[conversation] == min(closing, default=NEVER)
        fins = [row[3] - 1 for row in mine if row[1] == Direction.REVERSE and row[5] & TcpFlag.FIN]
        assert found.closing[conversation] == max(fins, default=-1)
        for direction in Direction:
            proven = [row[4] for row in mine if row[1] != direction and not row[5] & TcpFlag.RST]
            assert found.acknowledged[2 * conversation + direction] == max(proven, default=-1)
            for point in range(POINTS):
                here = [row[2:] for row in mine if row[:2] == (point, direction)]
                whole = [row for row in here if not row[3] & TcpFlag.RST]
                cell = (conversation * POINTS + point) * 2 + direction
                assert found.tcp_flags[cell] == int(np.bitwise_or.reduce([int(row[3]) for row in here] or [0]))
                assert found.came[cell] == bool(whole)
                octets = [(row[0], row[1] - bool(row[3] & TcpFlag.FIN)) for row in whole]
                assert found.extent[cell] == max((end for start, end in octets if end > start), default=0)


@given(
    atoms=st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.integers(0, 30), st.integers(0, 9)), max_size=12),
    holes=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=2),
)
def test_an_atom_between_two_that_were_seen_is_found_unless_a_hole_is_between_these(
    form: str, atoms: list[tuple[int, bool, int, int]], holes: list[tuple[int, int]]
) -> None:
    atoms = sorted(atoms, key=lambda atom: atom[0])
    stream, seen, first = (np.array([atom[i] for atom in atoms], dtype=t) for i, t in ((0, "i8"), (1, "?"), (2, "i8")))
    last = first + np.array([atom[3] for atom in atoms], dtype=np.int64)
    spans = np.array([(begin, begin + width) for begin, width in holes], dtype=np.int64).reshape(-1)
    inside = np.zeros(len(atoms), dtype=np.bool_)
    with in_form(form):
        run(stand_between, len(atoms), stream, seen, first, last, spans, inside)
    for i in range(len(atoms)):
        before = [j for j in range(i) if seen[j] and stream[j] == stream[i]]
        behind = [j for j in range(i + 1, len(atoms)) if seen[j] and stream[j] == stream[i]]
        between = bool(before and behind)
        if between:
            times = int(last[before[-1]]), int(first[behind[0]])
            between = all(max(times) < begin or min(times) > begin + width for begin, width in holes)
        assert inside[i] == between


@given(rows=PIECES, direction=st.sampled_from(Direction), known=st.tuples(st.booleans(), st.booleans()))
def test_a_hops_tally_counts_each_piece_by_what_became_of_it(
    form: str, rows: list[tuple[int, ...]], direction: Direction, known: tuple[bool, bool]
) -> None:
    with in_form(form):
        tally = Tally(*run(tally_hop, len(rows), columns_of(HopColumns, rows), np.array(known), int(direction)))
    mine = [row for row in rows if row[1] == direction and row[2]]
    pieces = [
        (conversation, seen if sent and seen and not inside else sent, seen, passed)
        for conversation, _, _, inside, sent, seen, passed in mine
    ]
    arrived = [piece for piece in pieces if piece[2]]
    appeared = [piece for piece in arrived if not piece[1] and known[piece[0]]]
    assert tally == Tally(
        watched=len(pieces),
        delivered=len(arrived),
        recovered=sum(max(sent - seen, 0) for _, sent, seen, _ in arrived),
        lost=sum(1 for _, sent, seen, passed in pieces if sent and not seen and not passed),
        passed=sum(1 for _, _, seen, passed in pieces if passed and not seen),
        lacking=sum(max(seen - sent, 0) for _, sent, seen, _ in pieces),
        repeated=sum(1 for _, sent, _, _ in arrived if sent > 1),
        appeared=len(appeared),
        copies=sum(seen for _, _, seen, _ in appeared),
    )


def test_an_atom_is_of_the_kinds_of_the_transmissions_that_begin_with_it(form: str) -> None:
    """A SYN, data, a FIN and a bare acknowledgment, which has no atom."""
    begin, stop = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 3])
    flags = np.array([TcpFlag.SYN, TcpFlag.ACK, TcpFlag.FIN | TcpFlag.ACK, TcpFlag.ACK], dtype=np.uint8)
    syn, payload = np.zeros((2, 4), dtype=np.bool_)
    with in_form(form):
        run(mark_kinds, 4, begin, stop, flags, syn, payload)
    assert (syn.tolist(), payload.tolist()) == ([True, False, False, False], [False, True, False, False])


@pytest.mark.parametrize(("octets", "count"), [([5, 5, 0], 2), ([5, 0, 0], 0)], ids=["all carry payload", "one is bare"])
def test_segments_count_where_each_of_a_protocol_carries_payload(form: str, octets: list[int], count: int) -> None:
    """The third is of another flow, of another protocol."""
    flow, packet = np.array([0, 0, 1], dtype=np.int32), np.arange(3)
    with in_form(form):
        found = run(count_carrying, 3, flow, packet, np.array([6, 17], dtype=np.uint8), np.array(octets, dtype=np.uint32), 6)
    assert found == count
