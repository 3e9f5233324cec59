"""The tables that tracking makes."""

from types import MappingProxyType
from typing import Final

from mixcni.schema.columns import Column, Schema
from mixcni.schema.flags import Label


def _by_direction(name: str, column: Column) -> dict[str, Column]:
    """A column for each direction of a biflow."""
    return {f"{name}_forward": column, f"{name}_reverse": column._replace(note="")}


FLOWS: Final[Schema] = MappingProxyType(
    {
        "initiator": Column("int32", "", "RFC 5103 biflow", "address code"),
        "responder": Column("int32", "", "RFC 5103 biflow", "address code"),
        "initiator_port": Column("uint16", "", "RFC 5103"),
        "responder_port": Column("uint16", "", "RFC 5103"),
        "protocol": Column("uint8", "", "IPFIX 4"),
        "syn_seen": Column("bool", "", "RFC 9293 3.5", "the initiator's SYN"),
        "synack_seen": Column("bool", "", "RFC 9293 3.5", "the responder's SYN-ACK"),
        "iss": Column(
            "uint32",
            "octet",
            "RFC 9293 3.3.1, ISS",
            "base of forward offsets: without a handshake one less than the first octet",
        ),
        "irs": Column("uint32", "octet", "RFC 9293 3.3.1, IRS", "base of reverse offsets, in the same way"),
        "first_ns": Column("int64", "ns", "IPFIX 156"),
        "last_ns": Column("int64", "ns", "IPFIX 157"),
        "packets_forward": Column("int64", "", "IPFIX 2"),
        "packets_reverse": Column("int64", "", "RFC 5103"),
        "payload_octets_forward": Column("int64", "octet", "RFC 9293 3.4", "every transmission counted"),
        "payload_octets_reverse": Column("int64", "octet", "RFC 9293 3.4", "every transmission counted"),
        "end_forward": Column("int64", "octet", "RFC 9293 3.4, SND.NXT", "highest forward stream offset seen, exclusive"),
        "end_reverse": Column("int64", "octet", "RFC 9293 3.4, SND.NXT", "highest reverse stream offset seen, exclusive"),
        "retransmissions": Column("int64", "", "tcp.analysis.retransmission", "segments that repeat octets"),
        "fins": Column("int64", "", "RFC 9293 3.1"),
        "resets": Column("int64", "", "RFC 9293 3.1"),
        "copies": Column("int64", "", "mixcni", "heard again at this point: counted among packets, left out of TCP analysis"),
        "stack_forward": Column("int32", "", "mixcni", "row in the table of outer stacks, of the last packet; -1 without any"),
        "stack_reverse": Column("int32", "", "mixcni", "in the same way"),
        "other_stack": Column("int32", "", "mixcni", "row of an earlier flow of the same key in another outer stack; -1"),
        "conn_state": Column("uint8", "", "mixcni.schema.ConnState"),
        "history": Column("S31", "", "Zeek conn.log, history", "at most 31 letters"),
        "completeness": Column("uint8", "", "mixcni.schema.Completeness", "flags"),
        "ending": Column("uint8", "", "mixcni.schema.Ending"),
        "closed_by": Column("int8", "", "mixcni.schema.Direction", "of the first FIN or RST; -1 where none came"),
        "handshake_rtt_ns": Column("int64", "ns", "RFC 9293 3.5", "SYN to the ACK of the SYN-ACK; -1, also where one came twice"),
    }
    | _by_direction("octets", Column("int64", "octet", "IPFIX 1", "whole frames, as on the wire"))
    | _by_direction("octets_seen", Column("int64", "octet", "RFC 9293 3.4", "of the stream, each once, SYN and FIN among them"))
    | _by_direction("holes", Column("int32", "", "mixcni", "runs of octets between others that were never seen"))
    | _by_direction("hole_octets", Column("int64", "octet", "mixcni", "octets in them"))
    | _by_direction("unseen_octets", Column("int64", "octet", "mixcni", "acknowledged and never seen: the capture missed them"))
    | _by_direction("resent_octets", Column("int64", "octet", "RFC 9293 3.4", "seen before, in segments seen later"))
    | _by_direction("mss", Column("int32", "octet", "RFC 9293 3.7.1", "that the sender's SYN offers; -1"))
    | _by_direction("window_scale", Column("int16", "", "RFC 7323 2.2", "that the sender's SYN offers, as sent; -1"))
    | _by_direction("rtt_min_ns", Column("int64", "ns", "RFC 6298 3", "new octets seen to acknowledged, at this point; -1"))
    | _by_direction("rtt_median_ns", Column("int64", "ns", "RFC 6298 3", "the lower one of an even number; -1"))
    | _by_direction("no_room_ns", Column("int64", "ns", "RFC 9293 3.8.6", "that the sender advertised a window of 0"))
    | _by_direction("super_segments", Column("int64", "", "RFC 9293 3.7.1", "longer than the MSS asked for: offload, no anomaly"))
    | {
        name: column
        for label in Label
        for name, column in _by_direction(
            str(label.name).lower(), Column("int32", "", "mixcni.schema.Label", "segments with this label of ours")
        ).items()
    }
)

SEGMENTS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row in the packet table"),
        "flow": Column("int32", "", "mixcni", "row in the flow table"),
        "direction": Column("uint8", "", "mixcni.schema.Direction"),
        "label": Column(
            "uint16",
            "",
            "mixcni.schema.Label",
            "flags; ours: mixcni.flows.kernel.segment, mixcni.flows.losses and mixcni.flows.sack say where it differs",
        ),
        "label_wireshark": Column("uint16", "", "Wireshark 4.0 tcp.analysis.*", "the same flags, as tshark gives them"),
        "offset": Column("int64", "octet", "RFC 9293 3.4", "SEG.SEQ less the base of its direction, unwrapped; TCP only"),
        "length": Column("int64", "octet", "RFC 9293 3.4, SEG.LEN", "payload, and one each for SYN and FIN"),
        "acknowledged": Column("int64", "octet", "RFC 9293 3.4", "SEG.ACK less the other base, unwrapped; -1 without ACK"),
        "copy_of": Column("int64", "", "mixcni", "row of the segment that was heard first, of which this is a copy; -1"),
        "sub_hop": Column("uint8", "", "mixcni", "which of the copies of one packet at this point it is, in order; 0 the first"),
    }
)

ERRORS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row of the ICMP error in the packet table"),
        "flow": Column("int32", "", "mixcni", "row of the flow whose packet it quotes; -1 where that was not seen"),
        "direction": Column("int8", "", "mixcni.schema.Direction", "of the quoted packet; -1 where no flow has it"),
        "router": Column("int32", "", "IPFIX 8, 27", "address code of the error's sender"),
        "kind": Column("uint8", "", "RFC 792; RFC 4443 2.1", "ICMP type"),
        "code": Column("uint8", "", "RFC 792; RFC 4443 2.1", "ICMP code"),
        "offset": Column("int64", "octet", "RFC 9293 3.4", "stream offset of the quoted segment; -1 where it is no TCP"),
        "segment": Column("int64", "", "mixcni", "row of the quoted segment in the segment table, the last such before it; -1"),
    }
)

RESETS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row of the reset in the packet table"),
        "flow": Column("int32", "", "mixcni", "row in the flow table"),
        "direction": Column("uint8", "", "mixcni.schema.Direction", "of the side whose address it has"),
        "origin": Column("uint8", "", "mixcni.schema.ResetOrigin"),
        "reasons": Column("uint16", "", "mixcni.schema.ResetReason", "flags"),
    }
)
