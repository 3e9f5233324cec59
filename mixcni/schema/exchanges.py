"""The tables of exchanges, conversations and fates."""

from types import MappingProxyType
from typing import Final

from mixcni.schema.columns import Column, Schema

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

PROXIED: Final[Schema] = MappingProxyType(
    {
        "downstream": Column("int64", "", "Envoy, downstream", "row in the fate table: the request that the proxy took"),
        "upstream": Column("int64", "", "Envoy, upstream", "row in the fate table: the request that it sent, or its SYN"),
        "linked_by": Column("uint8", "", "mixcni.schema.ProxyLink"),
        "rivals": Column("int32", "", "mixcni", "other pairs that fit as well, 8 at most; 0: linked, else none is chosen"),
        "confidence": Column("float64", "", "mixcni.localise.proxied", "that the two belong together; chosen, not measured"),
        "clock": Column("int16", "", "mixcni", "position of a point that saw both; -1 the common clock, -2 none is common"),
        "request_apart_ns": Column("int64", "ns", "mixcni", "upstream request after the downstream one; least int64: untimed"),
        "response_apart_ns": Column("int64", "ns", "mixcni", "downstream response after the upstream one; least int64: untimed"),
    }
)
