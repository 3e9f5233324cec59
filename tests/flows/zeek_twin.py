"""Zeek's states and history again, as tables of what follows what; no kernel is imported."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mixcni.schema import ConnState, Label
from tests.flows.rows import ACK, FIN, RST, SYN, Row


@dataclass
class End:
    """A TCP_Endpoint."""

    state: str = "inactive"
    before: str = "inactive"
    noted: set[str] = field(default_factory=set)
    last_fin: int = 0
    last_rst: int = 0

    def become(self, state: str) -> None:
        if state != self.state:
            self.before, self.state = self.state, state


@dataclass
class Zeek:
    """A Connection with its two endpoints."""

    ends: tuple[End, End] = field(default_factory=lambda: (End(), End()))
    history: str = ""

    def add(self, direction: int, letter: str) -> None:
        self.history += letter.lower() if direction else letter

    def before(self, direction: int, row: Row, streams: Sequence[Any]) -> None:
        """UpdateStateMachine."""
        del streams
        own, peer = self.ends[direction], self.ends[1 - direction]
        syn, fin, rst, ack = (bool(row.flags & bit) for bit in (SYN, FIN, RST, ACK))
        if own.state == "inactive":
            if syn and direction == 0:
                own.become("syn_ack_sent" if ack else "syn_sent")
            elif syn:
                if peer.state == "syn_sent":
                    peer.become("established")
                own.become("established")
            if fin:
                own.become("closed")
            if rst:
                own.become("reset")
            eccentric = direction == 1 and not row.payload and peer.state == "syn_sent"
            if own.state == "inactive" and not eccentric:
                own.become("established" if ack and peer.state == "established" else "partial")
        elif own.state in ("syn_sent", "syn_ack_sent"):
            for bit, state in ((fin, "closed"), (rst, "reset")):
                if bit:
                    own.become(state)
        elif own.state in ("established", "partial"):
            if syn and not ack and own.state == "partial" and peer.state == "inactive":
                own.become("syn_sent")
            if fin and not rst:
                own.become("closed")
                if (peer.state, peer.before) == ("reset", "closed"):
                    peer.become("closed")
            if rst:
                own.become("reset")
        elif own.state == "closed" and rst and peer.state != "closed":
            own.become("reset")

    def note(self, direction: int, row: Row, offset: int) -> None:
        """update_history."""
        end = self.ends[direction]
        control = [name for name, bit in (("S", SYN), ("F", FIN), ("R", RST)) if row.flags & bit]
        again = False
        if len(control) > 1:
            kind = letter = "I" if "F" in control and "R" in control else "Q"
        elif control == ["S"]:
            kind, letter = "S", "H" if row.flags & ACK else "S"
        elif control == ["F"]:
            kind = letter = "F"
            again, end.last_fin = end.last_fin != offset + row.payload, offset + row.payload
        elif control == ["R"]:
            kind = letter = "R"
            again, end.last_rst = end.last_rst != offset, offset
        elif row.payload:
            kind = letter = "D"
        elif row.flags & ACK:
            kind = letter = "A"
        else:
            return
        if again or kind not in end.noted:
            self.add(direction, letter)
        end.noted.add(kind)

    def note_label(self, direction: int, labels: Sequence[Label]) -> None:
        """The letters that are noted at the 1st, 10th, 100th time."""
        for label, letter, side in (
            (Label.RETRANSMISSION, "T", direction),
            (Label.ZERO_WINDOW, "W", direction),
            (Label.ACK_LOST_SEGMENT, "G", 1 - direction),
        ):
            count = sum(label in given for given in labels)
            if label in labels[-1] and set(str(count)[1:]) <= {"0"} and str(count)[0] == "1":
                self.add(side, letter)

    def conn_state(self, protocol: int, forward: Any, reverse: Any) -> ConnState:
        """conn_state of main.zeek."""
        if protocol == 17:
            return {(True, True): ConnState.SF, (True, False): ConnState.S0, (False, True): ConnState.SHR}[
                bool(forward.packets), bool(reverse.packets)
            ]
        if protocol != 6:
            return ConnState.OTH
        a, b = (end.state for end in self.ends)
        quiet = ("inactive", "partial")
        if b == "reset":
            if a in ("syn_sent", "syn_ack_sent") or (a == "reset" and not forward.octets and not reverse.octets):
                return ConnState.REJ
            return ConnState.RSTRH if a in quiet else ConnState.RSTR
        if a == "reset":
            return ConnState.RSTOS0 if b in quiet else ConnState.RSTO
        if a == b == "closed":
            return ConnState.SF
        if a == "closed":
            return ConnState.SH if b in quiet else ConnState.S2
        if b == "closed":
            return ConnState.SHR if a in quiet else ConnState.S3
        return {("syn_sent", "inactive"): ConnState.S0, ("established", "established"): ConnState.S1}.get((a, b), ConnState.OTH)
