"""What each column holds, in which unit, and who says so.

The schemas are data: a table's check, its documentation and its repr all read them. Flags stand here too, since a
flag's value is part of a column's meaning.
"""

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import Final, NamedTuple


class Column(NamedTuple):
    """One column: its dtype, unit, the clause or field that defines it, and what else to know."""

    dtype: str
    unit: str
    source: str
    note: str = ""


Schema = Mapping[str, Column]


class Layer(IntFlag):
    """Which headers of a packet were decoded whole; a column may be read only where its layer is present."""

    ETHERNET = 0x0001
    VLAN = 0x0002
    IPV4 = 0x0004
    IPV6 = 0x0008
    TCP = 0x0010
    UDP = 0x0020
    ICMP = 0x0040
    ICMPV6 = 0x0080
    ARP = 0x0100
    LATER_FRAGMENT = 0x0200
    QUOTE = 0x0400
    TUNNEL = 0x0800
    FRAGMENT = 0x1000
    OPAQUE = 0x2000


class Oddity(IntFlag):
    """What is strange about a packet (Zeek's weirds): counted and shown, never an exception."""

    HEADER_CUT = 0x0001
    PAYLOAD_CUT = 0x0002
    BAD_HEADER_LENGTH = 0x0004
    BAD_TOTAL_LENGTH = 0x0008
    LENGTH_ABSENT = 0x0010
    UNKNOWN_LINK_TYPE = 0x0020
    TOO_MANY_HEADERS = 0x0040
    OPTIONS_CUT = 0x0080
    BAD_OPTION = 0x0100


class Encapsulation(IntEnum):
    """What a layer of a packet's outer stack is."""

    VLAN = 1
    MPLS = 2
    PPPOE = 3
    IPIP = 4
    GRE = 5
    ERSPAN = 6
    VXLAN = 7
    GENEVE = 8
    GTPU = 9

    @property
    def is_tunnel(self) -> bool:
        """Whether it carries packets between two addresses of its own; tags and labels do not."""
        return self >= Encapsulation.IPIP


class OptionFlag(IntFlag):
    """Which TCP options that are no number a segment has."""

    SACK_PERMITTED = 0x01
    TIMESTAMPS = 0x02


class TcpFlag(IntFlag):
    """Control bits of a TCP header (RFC 9293 section 3.1)."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


class Direction(IntEnum):
    """The two directions of a biflow (RFC 5103): forward is from initiator to responder."""

    FORWARD = 0
    REVERSE = 1


class Label(IntFlag):
    """What TCP analysis says of a segment, in Wireshark's words (tcp.analysis.*).

    As there, RETRANSMISSION stands beside FAST_RETRANSMISSION and SPURIOUS_RETRANSMISSION too.
    """

    RETRANSMISSION = 0x0001
    FAST_RETRANSMISSION = 0x0002
    SPURIOUS_RETRANSMISSION = 0x0004
    OUT_OF_ORDER = 0x0008
    DUPLICATE_ACK = 0x0010
    LOST_SEGMENT = 0x0020
    ACK_LOST_SEGMENT = 0x0040
    KEEP_ALIVE = 0x0080
    KEEP_ALIVE_ACK = 0x0100
    ZERO_WINDOW = 0x0200
    ZERO_WINDOW_PROBE = 0x0400
    ZERO_WINDOW_PROBE_ACK = 0x0800
    WINDOW_FULL = 0x1000
    WINDOW_UPDATE = 0x2000
    PORT_REUSED = 0x4000


class ConnState(IntEnum):
    """How a connection went, in Zeek's words (scripts/base/protocols/conn/main.zeek, conn_state)."""

    OTH = 0
    S0 = 1
    S1 = 2
    SF = 3
    REJ = 4
    S2 = 5
    S3 = 6
    RSTO = 7
    RSTR = 8
    RSTOS0 = 9
    RSTRH = 10
    SH = 11
    SHR = 12


class Completeness(IntFlag):
    """Which parts of a connection were captured: Wireshark's tcp.completeness."""

    SYN = 0x01
    SYNACK = 0x02
    ACK = 0x04
    DATA = 0x08
    FIN = 0x10
    RST = 0x20


class Hint(IntEnum):
    """What a payload begins like, by its first octets alone."""

    HTTP_REQUEST = 1
    HTTP_RESPONSE = 2
    HTTP2_PREFACE = 3
    HTTP2_FRAMES = 4
    TLS_RECORD = 5
    DNS_MESSAGE = 6


class Ending(IntEnum):
    """How a TCP connection ended, as far as it was heard."""

    NONE = 0
    HALF_CLOSED = 1
    CLOSED = 2
    RESET = 3


class ResetOrigin(IntEnum):
    """Who sent a reset, as far as it can be guessed from one point: the host whose address it has, or something on the way."""

    UNKNOWN = 0
    ENDPOINT = 1
    MIDDLEBOX = 2


class ResetReason(IntFlag):
    """What a guess of a reset's origin rests on: how the reset is like the other segments of its side, or unlike them."""

    SAME_TTL = 0x001
    OTHER_TTL = 0x002
    IP_ID_NEXT = 0x004
    IP_ID_FAR = 0x008
    WINDOW_OF_SIDE = 0x010
    SEQUENCE_DUE = 0x020
    SEQUENCE_BEYOND = 0x040
    SENT_ON = 0x080
    TOO_FAST = 0x100
    SEVERAL_SEQUENCES = 0x200
    SAME_MAC = 0x400
    OTHER_MAC = 0x800


class Fate(IntEnum):
    """What became of an exchange (DESIGN.md section 4)."""

    ANSWERED = 0
    LOST = 1
    REFUSED = 2
    SILENT = 3
    UNDECIDED = 4


class ExchangeKind(IntEnum):
    """How an exchange was told from the octets around it."""

    HANDSHAKE = 0
    TURN = 1
    HTTP1 = 2
    HTTP2 = 3
    GRPC = 4
    TLS_HANDSHAKE = 5
    TLS_RECORDS = 6
    DNS = 7
    ECHO = 8
    DATAGRAM = 9


class Reason(IntEnum):
    """Why an exchange is undecided, or who refused it."""

    NONE = 0
    NO_WINDOW = 1
    CAPTURE_ENDED = 2
    ON_THE_WAY = 3
    MISS_RATE = 4
    NOT_SEEN_WHOLE = 5
    BY_RESPONDER = 6
    BY_RESET = 7
    BY_ICMP = 8


class Evidence(IntFlag):
    """On what it rests that flows of several points are one conversation."""

    KEY = 0x01
    ISS = 0x02
    IRS = 0x04
    TIMESTAMPS = 0x08
    NUMBERS = 0x10
    TIME = 0x20


class Sight(IntEnum):
    """What one capture point can say of a conversation: unknown is not no."""

    SEEN = 0
    MISSING = 1
    UNOBSERVABLE = 2


PACKETS: Final[Schema] = MappingProxyType(
    {
        "time_ns": Column("int64", "ns", "IPFIX 325", "since the Unix epoch, by the point's own clock"),
        "frame_number": Column("uint32", "", "Wireshark frame.number", "from 1 within its file"),
        "file": Column("uint16", "", "mixcni", "row in the table's list of files"),
        "interface": Column("uint16", "", "pcapng EPB Interface ID", "within its section; 0 for pcap"),
        "original_length": Column("uint32", "octet", "pcap orig_len", "on the wire"),
        "captured_length": Column("uint32", "octet", "pcap incl_len", "in the file"),
        "present": Column("uint16", "", "mixcni.schema.Layer", "flags: which headers were decoded"),
        "oddity": Column("uint16", "", "mixcni.schema.Oddity", "flags"),
        "source": Column("int32", "", "IPFIX 8, 27", "code in the address book; -1 without an IP header"),
        "destination": Column("int32", "", "IPFIX 12, 28", "code in the address book; -1 without an IP header"),
        "source_port": Column("uint16", "", "IPFIX 7", "ICMP echo: the identifier"),
        "destination_port": Column("uint16", "", "IPFIX 11", "ICMP: type * 256 + code"),
        "protocol": Column("uint8", "", "IPFIX 4", "IANA protocol number"),
        "ttl": Column("uint8", "", "IPFIX 192", "TTL or hop limit"),
        "ip_id": Column("uint16", "", "IPFIX 54", "of an IPv6 fragment the low 16 bits of its identification"),
        "tcp_flags": Column("uint8", "", "RFC 9293 3.1", "read only where present has TCP, as all of the below"),
        "seg_wnd": Column("uint16", "octet", "RFC 9293 3.3.1, SEG.WND", "unscaled"),
        "seg_seq": Column("uint32", "octet", "RFC 9293 3.3.1, SEG.SEQ"),
        "seg_ack": Column("uint32", "octet", "RFC 9293 3.3.1, SEG.ACK", "read only where tcp_flags has ACK"),
        "payload_octets": Column("uint32", "octet", "RFC 9293 3.4, SEG.LEN", "by the IP lengths, without SYN and FIN"),
        "stack": Column("int32", "", "mixcni", "row in the table of outer stacks; 0 where nothing is around the packet"),
    }
)

STACKS: Final[Schema] = MappingProxyType(
    {
        "outer": Column("int32", "", "mixcni", "row of the stack around this layer; 0 where it is the outermost"),
        "kind": Column("uint8", "", "mixcni.schema.Encapsulation"),
        "identifier": Column("uint32", "", "RFC 7348, 8926, 2890", "VNI, key, tag, label; 2**32 - 1: GRE without a key"),
        "source": Column("int32", "", "IPFIX 8, 27", "address code of the tunnel's near end; -1 where it has none"),
        "destination": Column("int32", "", "IPFIX 12, 28", "address code of its far end; -1"),
    }
)

OPTIONS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row in the packet table"),
        "mss": Column("int32", "octet", "RFC 9293 3.7.1", "-1 where it is not there"),
        "window_scale": Column("int16", "", "RFC 7323 2.2", "shift count as sent; -1 where it is not there"),
        "flags": Column("uint8", "", "mixcni.schema.OptionFlag"),
        "ts_val": Column("uint32", "", "RFC 7323 3.2, TSval", "read only where flags has TIMESTAMPS"),
        "ts_ecr": Column("uint32", "", "RFC 7323 3.2, TSecr", "read only where flags has TIMESTAMPS, and valid with ACK"),
        "sack_start": Column("int64", "", "mixcni", "row of the first block in the table of SACK blocks"),
        "sack_count": Column("uint8", "", "RFC 2018 3", "blocks from there on"),
    }
)

SACK_BLOCKS: Final[Schema] = MappingProxyType(
    {
        "left": Column("uint32", "octet", "RFC 2018 3", "first sequence number of the block"),
        "right": Column("uint32", "octet", "RFC 2018 3", "the sequence number behind its last"),
    }
)

NEIGHBOURS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row in the packet table"),
        "is_reply": Column("bool", "", "RFC 826, 4861", "an ARP reply or a neighbour advertisement; else a question"),
        "sender": Column("int32", "", "RFC 826, 4861", "address code"),
        "target": Column("int32", "", "RFC 826, 4861", "address code of whom it is about"),
        "mac": Column("int64", "", "RFC 826", "the sender's hardware address as a number; 0 for neighbour discovery"),
    }
)

HINTS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row in the packet table"),
        "kind": Column("uint8", "", "mixcni.schema.Hint"),
    }
)

QUOTES: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row of the ICMP error in the packet table"),
        "source": Column("int32", "", "RFC 792", "address code in the quoted header"),
        "destination": Column("int32", "", "RFC 792", "address code in the quoted header"),
        "source_port": Column("uint16", "", "RFC 792", "from the quoted 8 octets"),
        "destination_port": Column("uint16", "", "RFC 792", "from the quoted 8 octets"),
        "protocol": Column("uint8", "", "RFC 792", "of the quoted header"),
        "seg_seq": Column("uint32", "octet", "RFC 792", "of the quoted TCP header"),
    }
)


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
        "retransmissions": Column("int64", "", "tcp.analysis.retransmission", "segments that repeat old octets"),
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
        "label": Column("uint16", "", "mixcni.schema.Label", "flags; ours: mixcni.flows.kernel.segment says where it differs"),
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

EXCHANGES: Final[Schema] = MappingProxyType(
    {
        "flow": Column("int32", "", "mixcni", "row in the flow table"),
        "number": Column("int32", "", "mixcni", "from 0 within its flow; 0 is the handshake"),
        "kind": Column("uint8", "", "mixcni.schema.ExchangeKind"),
        "request_start": Column("int64", "octet", "mixcni", "forward stream offset, the SYN is octet 0"),
        "request_end": Column("int64", "octet", "mixcni", "forward stream offset, exclusive"),
        "response_start": Column("int64", "octet", "mixcni", "reverse stream offset, the SYN-ACK's SYN is octet 0"),
        "response_end": Column("int64", "octet", "mixcni", "reverse stream offset, exclusive; start where none"),
        "request_packet": Column("int64", "", "mixcni", "row of the request's first packet; -1 where none"),
        "response_packet": Column("int64", "", "mixcni", "row of the response's first packet; -1 where none"),
    }
)

DETAILS: Final[Schema] = MappingProxyType(
    {
        "exchange": Column("int64", "", "mixcni", "row in the exchange table"),
        "method": Column("int32", "", "RFC 9110 9", "text code; DNS: type of the question; TLS: the request's first step"),
        "target": Column(
            "int32", "", "RFC 9112 3.2, RFC 9113 8.3.1", "text code; DNS: the name asked for; TLS: protocols of ALPN"
        ),
        "host": Column("int32", "", "RFC 9110 7.2", "text code: Host or :authority; TLS: SNI (RFC 6066 3)"),
        "status": Column("int32", "", "RFC 9110 15", "of the final response; DNS: RCODE; TLS: alert (RFC 8446 6); -1 none seen"),
        "grpc_status": Column("int32", "", "gRPC over HTTP/2", "-1 none seen"),
        "request_id": Column("int32", "", "Envoy x-request-id", "text code"),
        "traceparent": Column("int32", "", "W3C Trace Context 3.2", "text code"),
        "interim": Column("int32", "", "RFC 9110 15.2", "1xx responses before the final one"),
        "identifier": Column("int64", "", "RFC 9113 5.1.1", "HTTP/2 stream, DNS ID, ICMP sequence number; -1 none"),
        "retry_of": Column("int64", "", "mixcni", "row of the earlier exchange that this one tries again; -1"),
    }
)

CONVERSATIONS: Final[Schema] = MappingProxyType(
    {
        "initiator": Column("int32", "", "RFC 5103 biflow", "address code"),
        "responder": Column("int32", "", "RFC 5103 biflow", "address code"),
        "initiator_port": Column("uint16", "", "RFC 5103"),
        "responder_port": Column("uint16", "", "RFC 5103"),
        "protocol": Column("uint8", "", "IPFIX 4"),
        "iss": Column("uint32", "octet", "RFC 9293 3.3.1, ISS", "base of forward offsets at all points"),
        "irs": Column("uint32", "octet", "RFC 9293 3.3.1, IRS", "base of reverse offsets at all points"),
        "first_ns": Column("int64", "ns", "IPFIX 156", "earliest over all points, on the common clock"),
        "evidence": Column("uint8", "", "mixcni.schema.Evidence", "flags: why its flows are taken for one connection"),
        "evidence_bits": Column("int64", "bit", "mixcni.align.translation", "of its weakest join over a NAT; 0: none"),
    }
)

CANDIDATES: Final[Schema] = MappingProxyType(
    {
        "conversation": Column("int32", "", "mixcni", "row in the conversation table"),
        "candidate": Column("int32", "", "mixcni", "row of another that may be the same connection, and was not joined"),
        "evidence": Column("uint8", "", "mixcni.schema.Evidence", "flags: what speaks for it"),
        "evidence_bits": Column("int64", "bit", "mixcni.align.translation", "evidence less conflicts"),
    }
)

TRANSMISSIONS: Final[Schema] = MappingProxyType(
    {
        "conversation": Column("int32", "", "mixcni", "row in the conversation table"),
        "point": Column("uint16", "", "IPFIX 138", "position on the path"),
        "direction": Column("uint8", "", "mixcni.schema.Direction", "of the conversation"),
        "start": Column("int64", "octet", "RFC 9293 3.4", "stream offset on the conversation's base"),
        "end": Column("int64", "octet", "RFC 9293 3.4", "exclusive; start for a bare ACK"),
        "acknowledged": Column("int64", "octet", "RFC 9293 3.4", "offset on the other direction's base; -1 without ACK"),
        "tcp_flags": Column("uint8", "", "RFC 9293 3.1"),
        "time_ns": Column("int64", "ns", "mixcni.align", "on the common clock"),
        "packet": Column("int64", "", "mixcni", "row in the point's packet table"),
    }
)

FATES: Final[Schema] = MappingProxyType(
    {
        "conversation": Column("int32", "", "mixcni", "row in the conversation table"),
        "number": Column("int32", "", "mixcni", "of the exchange in its conversation; 0 is the handshake"),
        "kind": Column("uint8", "", "mixcni.schema.ExchangeKind"),
        "request_start": Column("int64", "octet", "mixcni", "forward stream offset"),
        "request_end": Column("int64", "octet", "mixcni", "exclusive"),
        "response_start": Column("int64", "octet", "mixcni", "reverse stream offset"),
        "response_end": Column("int64", "octet", "mixcni", "exclusive; start where no point saw a response"),
        "told_at": Column(
            "int16", "", "mixcni", "position of the point whose exchange table has it; -1 a handshake, or beyond any"
        ),
        "exchange": Column("int64", "", "mixcni", "row in that point's exchange table; -1"),
        "fate": Column("uint8", "", "mixcni.schema.Fate"),
        "direction": Column("int8", "", "mixcni.schema.Direction", "of what was lost or refused; -1 where nothing was"),
        "near": Column("int16", "", "mixcni", "hop: position of the point nearer the initiator; -1 where none"),
        "far": Column("int16", "", "mixcni", "hop: position of the point farther from the initiator; -1 where none"),
        "last_seen": Column("int16", "", "mixcni", "position where the request, or its response, was last seen; -1"),
        "reason": Column("uint8", "", "mixcni.schema.Reason", "why it is undecided, or by whom it was refused"),
        "decider": Column("int16", "", "mixcni", "position of the point whose capture would decide; -1"),
        "copies": Column("int64", "", "mixcni", "transmissions that the next point should have seen and did not"),
        "confidence": Column("float64", "", "mixcni.localise.judgement", "that the loss is real; NaN where nothing was lost"),
        "hop_confidence": Column("float64", "", "mixcni.localise.judgement", "that the hop loses anything; NaN in the same way"),
    }
)
