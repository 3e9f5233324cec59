"""The tables of this stage: flows, and the segments that they are made of."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.schema import FLOWS, SEGMENTS, ConnState, Ending, Label
from mixcni.tables import Table

PROTOCOL_NAMES: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
COUNTED: Final = {
    "retransmissions": Label.RETRANSMISSION,
    "out_of_order": Label.OUT_OF_ORDER,
    "duplicate_acks": Label.DUPLICATE_ACK,
}


class SegmentTable(Table):
    """Every packet that belongs to a flow, in file order: whose it is, and which octets of the stream it carries."""

    schema = SEGMENTS


class FlowTable(Table):
    """The biflows of one capture point, in the order of their first packets, with the packets they are made of."""

    schema = FLOWS
    packets: PacketTable
    segments: SegmentTable

    def __init__(self, columns: dict[str, NDArray[Any]], packets: PacketTable, segments: SegmentTable) -> None:
        super().__init__(columns)
        self.packets = packets
        self.segments = segments

    def tunnels(self) -> list[str]:
        """What is around each flow's packets, as text: of its forward packets, else of its others; empty where nothing is."""
        texts = self.packets.stacks.texts(self.packets.book)
        forward, reverse = self["stack_forward"], self["stack_reverse"]
        return [texts[stack] for stack in np.where(forward >= 0, forward, np.maximum(reverse, 0)).tolist()]

    def to_frame(self) -> Any:
        """The flows as a DataFrame: addresses, tunnels, states and endings as text, times as UTC timestamps as well."""
        import pandas as pd

        frame = super().to_frame()
        for name in ("initiator", "responder"):
            frame[name] = pd.Series(self.packets.book.texts(self[name]), dtype="str")
        texts = {
            "tunnel": self.tunnels(),
            "history": [history.decode() for history in self["history"].tolist()],
            "conn_state": [ConnState(state).name for state in self["conn_state"].tolist()],
            "ending": [Ending(ending).name.lower() for ending in self["ending"].tolist()],
        }
        for name, values in texts.items():
            frame[name] = pd.Series(values, dtype="str")
        for name in ("first", "last"):
            frame[name] = pd.to_datetime(frame[f"{name}_ns"], unit="ns", utc=True).mask(frame[f"{name}_ns"] < 0)
        return frame

    def objects(self, http: NDArray[np.int64] | None = None) -> list[dict[str, Any]]:
        """The flows by the contract of `mixcni flows --json`, one object a flow.

        `retransmissions`, `out_of_order` and `duplicate_acks` count as tshark does; under `mixcni` stand our own figures, which
        differ where Wireshark takes for an anomaly what is none, such as a copy of a packet (mixcni.flows.kernel.segment).
        What was not told is null: times that the file does not have, HTTP where `http` is not given.

        Parameters
        ----------
        http : (len(self), 2), requests and responses of each flow
        """
        column = {name: self[name].tolist() for name in self}
        texts, tunnels = self.packets.book.texts, self.tunnels()
        ends = {side: list(zip(texts(self[side]), column[f"{side}_port"], strict=True)) for side in ("initiator", "responder")}
        theirs = self.wireshark_counts().tolist()
        exchanges = [None] * len(self) if http is None else http.tolist()

        def both(name: str, row: int) -> list[Any]:
            return [column[f"{name}_forward"][row], column[f"{name}_reverse"][row]]

        return [
            {
                "initiator": list(ends["initiator"][row]),
                "responder": list(ends["responder"][row]),
                "protocol": PROTOCOL_NAMES.get(column["protocol"][row], str(column["protocol"][row])),
                "tunnel": tunnels[row] or None,
                "conn_state": ConnState(column["conn_state"][row]).name,
                "history": column["history"][row].decode(),
                "packets": both("packets", row),
                "octets": both("octets", row),
                "payload_octets": both("payload_octets", row),
                **dict(zip(COUNTED, theirs[row], strict=True)),
                "first_ns": column["first_ns"][row] if column["first_ns"][row] >= 0 else None,
                "last_ns": column["last_ns"][row] if column["last_ns"][row] >= 0 else None,
                "http": exchanges[row],
                "copies": column["copies"][row],
                "completeness": column["completeness"][row],
                "mixcni": {
                    "retransmissions": column["retransmissions"][row],
                    "out_of_order": sum(both("out_of_order", row)),
                    "duplicate_acks": sum(both("duplicate_ack", row)),
                },
            }
            for row in range(len(self))
        ]

    def wireshark_counts(self) -> NDArray[np.int64]:
        """(len(self), 3) the labels of COUNTED of each flow, as tshark counts them."""
        labels, flow = self.segments["label_wireshark"], self.segments["flow"]
        counts = [np.bincount(flow[(labels & label) != 0], minlength=len(self)) for label in COUNTED.values()]
        return np.stack(counts, axis=1).astype(np.int64)
