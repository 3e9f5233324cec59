"""Evidence as a capture file: the frames that matter, from all points on the common clock, each with a word on what it shows.

One interface a point (two where its files have two link types), times in nanoseconds. A frame keeps its octets and its length
on the wire; its comment names the file and the number that it had there.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.errors import ParameterError
from mixcni.localise import Localisation
from mixcni.report.ladder import ELSEWHERE, MISSING, Ladder, Rung, exchange_of, ladder_of
from mixcni.report.octets import CapturedFrame, frames_of
from mixcni.report.pcapng import InterfaceBlock, PacketBlock, write_pcapng
from mixcni.report.words import outcome_text
from mixcni.report.worst import worst_conversations
from mixcni.schema import Fate

if TYPE_CHECKING:
    from mixcni.report.report import Report

ONE_AT_A_TIME: Final = (
    "Times are on one clock. Wireshark takes the same segment at another point for a retransmission: look at one at a time, "
    'with frame.interface_name == "A".'
)
MAX_CONVERSATIONS: Final = 200  # that were not answered; the section's comment says how many were left out
MAX_FRAMES: Final = 50_000  # of them
MAX_ANSWERED: Final = 10  # shown where every one was answered

Chosen = dict[int, dict[int, list[str]]]
"""What each chosen packet shows: by position of the point, by row of its packet table."""


def save_evidence(report: "Report", path: Path, conversations: Sequence[int] | None = None) -> tuple[int, int]:
    """Write the evidence for a report's verdict as pcapng; (frames, conversations) written.

    Parameters
    ----------
    conversations : rows of `report.conversations`, all of whose frames are written; None: those that were not answered, the worst
        first, and the frames that findings rest on

    Raises
    ------
    ParameterError : there is no such conversation
    CaptureError : a capture is no longer there
    """
    localisation = report.localisation
    count = len(localisation.alignment.conversations)
    wanted = list(dict.fromkeys(_of_the_verdict(localisation) if conversations is None else conversations))
    for conversation in wanted:
        if not 0 <= conversation < count:
            raise ParameterError(f"conversation must be in [0, {count}), got {conversation}")
    chosen: Chosen = defaultdict(lambda: defaultdict(list))
    index = _PacketIndex(localisation)
    for conversation in wanted:
        _choose_conversation(localisation, conversation, index, chosen)
    if conversations is None:
        _choose_findings(report, chosen)
    for position, rows in chosen.items():
        _choose_fragments(localisation.alignment.points[position].packets, rows)
    frames = [(position, frame) for position, rows in sorted(chosen.items()) for frame in _frames_at(report, position, rows)]
    interfaces, number_of = _interfaces(report, frames)
    common = {
        position: localisation.alignment.clocks[position].common_ns(localisation.alignment.points[position].packets["time_ns"])
        for position in chosen
    }
    order = sorted(range(len(frames)), key=lambda i: (common[frames[i][0]][frames[i][1].row], frames[i][0], i))
    packets = (_packet(report, *frames[i], int(common[frames[i][0]][frames[i][1].row]), number_of, chosen) for i in order)
    comment = f"{report.headline}. {_scope(report, wanted, conversations is None)} {ONE_AT_A_TIME}"
    with path.open("wb") as stream:
        written = write_pcapng(stream, interfaces, packets, program="mixcni", comment=comment)
    return written, len(wanted)


def _of_the_verdict(localisation: Localisation) -> list[int]:
    """The worst conversations, as long as their frames are not too many; where none is in trouble, some that are not."""
    found = worst_conversations(localisation, MAX_CONVERSATIONS)
    found = found or np.flatnonzero(localisation.crossing)[:MAX_ANSWERED].tolist()
    segments = np.bincount(localisation.alignment.transmissions["conversation"], minlength=max(found, default=0) + 1)
    fit = int(np.searchsorted(np.cumsum(segments[found]), MAX_FRAMES, side="right"))
    return found[: max(fit, 1)]


def _scope(report: "Report", wanted: Sequence[int], of_the_verdict: bool) -> str:
    fates = report.localisation.fates
    if not of_the_verdict:
        return f"All frames of conversations {', '.join(map(str, wanted))}."
    troubled = int(np.unique(fates["conversation"][fates["fate"] != Fate.ANSWERED]).size)
    what = (
        f"The frames of {len(wanted)} of {troubled} conversations with an unanswered exchange"
        if troubled
        else "Some answered conversations"
    )
    return f"{what}, and those that findings rest on."


class _PacketIndex:
    """The packets of a flow at a point, without a walk over all of them."""

    def __init__(self, localisation: Localisation) -> None:
        self._localisation = localisation
        self._sorted: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}

    def packets(self, conversation: int, position: int) -> list[int]:
        alignment = self._localisation.alignment
        flow = int(alignment.conversations.flow_of[conversation, position])
        if flow < 0:
            return []
        if position not in self._sorted:
            segments = alignment.points[position].segments
            order = np.argsort(segments["flow"], kind="stable")
            self._sorted[position] = segments["flow"][order].astype(np.int64), segments["packet"][order]
        flows, packets = self._sorted[position]
        first, last = np.searchsorted(flows, [flow, flow + 1])
        return [int(packet) for packet in packets[first:last]]


def _choose_conversation(localisation: Localisation, conversation: int, index: _PacketIndex, chosen: Chosen) -> None:
    """Enter all packets of a conversation, with what each shows."""
    ladder = ladder_of(localisation, conversation)
    known: set[tuple[int, int]] = set()
    for number, rung in enumerate(ladder.rungs):
        outcome = _outcome(localisation, conversation, rung)
        for position, packet in rung.packets.items():
            says = f"conversation {conversation}, {ladder.title}: {rung.text}{_whereabouts(ladder, number, position)}{outcome}"
            chosen[position][packet].append(says)
            known.add((position, packet))
    for position, name in enumerate(ladder.points):
        for packet in index.packets(conversation, position):
            if (position, packet) not in known:
                chosen[position][packet].append(f"conversation {conversation}, {ladder.title}: seen at {name}")
        error = int(localisation.refusals.icmp_packet[conversation, position])
        if error >= 0:
            chosen[position][error].append(f"conversation {conversation}, {ladder.title}: an ICMP error that quotes it")


def _choose_fragments(packets: PacketTable, chosen: dict[int, list[str]]) -> None:
    """Enter the fragments of the chosen packets that were put together, so that Wireshark does so again."""
    for whole in list(chosen):
        for row in packets.fragments.of(whole):
            chosen[row].append(f"a fragment of the packet that is whole with frame {packets['frame_number'][whole]}")


def _whereabouts(ladder: Ladder, number: int, position: int) -> str:
    """Where else the segment was seen, and where not."""
    texts = {MISSING: "not at {}", ELSEWHERE: "at {} in segments of another size"}
    parts = []
    for other, (name, mark) in enumerate(zip(ladder.points, ladder.marks[number], strict=True)):
        if other == position:
            continue
        if mark.startswith("#"):
            parts.append(f"at {name} as frame {mark[1:]}")
        elif mark in texts:
            parts.append(texts[mark].format(name))
    return f"; {', '.join(parts)}" if parts else ""


def _outcome(localisation: Localisation, conversation: int, rung: Rung) -> str:
    """What became of the exchange whose octets a segment carries."""
    row = exchange_of(localisation, conversation, rung)
    return "" if row is None else f"; exchange {int(localisation.fates['number'][row])}: {outcome_text(localisation, row)}"


def _choose_findings(report: "Report", chosen: Chosen) -> None:
    """Enter the frames that findings cite."""
    places = {}
    for position, flows in enumerate(report.localisation.alignment.points):
        for number, path in enumerate(flows.packets.files):
            places[report.name_of(path)] = position, number
    for finding in report.findings_found:
        for fact in (*finding.evidence, *finding.against):
            if not fact.frames or fact.file not in places:
                continue
            position, number = places[fact.file]
            packets = report.localisation.alignment.points[position].packets
            cited = (packets["file"] == number) & np.isin(packets["frame_number"], fact.frames)
            for row in np.flatnonzero(cited).tolist():
                chosen[position][row].append(f"{finding.cause}: {fact.says}")


def _frames_at(report: "Report", position: int, rows: Iterable[int]) -> Iterable[CapturedFrame]:
    return frames_of(report.localisation.alignment.points[position].packets, np.array(sorted(rows), dtype=np.int64))


def _interfaces(
    report: "Report", frames: Sequence[tuple[int, CapturedFrame]]
) -> tuple[list[InterfaceBlock], dict[tuple[int, int], int]]:
    """The interfaces in path order, every point among them, and their numbers by position and link type."""
    used: dict[int, list[int]] = defaultdict(list)
    for position, frame in frames:
        if frame.link_type not in used[position]:
            used[position].append(frame.link_type)
    interfaces: list[InterfaceBlock] = []
    number_of: dict[tuple[int, int], int] = {}
    for position, point in enumerate(report.localisation.points):
        where = " ".join(str(part) for part in (point.node, point.kind) if part)
        for link_type in used[position] or [1]:
            number_of[position, link_type] = len(interfaces)
            name = point.name if len(used[position]) < 2 else f"{point.name} ({link_type})"
            interfaces.append(InterfaceBlock(name, where, link_type))
    return interfaces, number_of


def _packet(
    report: "Report",
    position: int,
    frame: CapturedFrame,
    time_ns: int,
    number_of: dict[tuple[int, int], int],
    chosen: Chosen,
) -> PacketBlock:
    packets = report.localisation.alignment.points[position].packets
    place = f"{packets.files[int(packets['file'][frame.row])].name}, frame {int(packets['frame_number'][frame.row])}"
    untimed = "; its file has no time for it" if time_ns < 0 else ""
    comment = f"{' | '.join(dict.fromkeys(chosen[position][frame.row]))} ({place}{untimed})"
    return PacketBlock(number_of[position, frame.link_type], time_ns, frame.original_length, frame.octets, comment)
