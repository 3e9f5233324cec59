"""What the columns of a report's DataFrames hold; each frame has its own under `.attrs["schema"]`."""

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mixcni.schema import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

COUNT, TEXT = "int64", "str"

POINTS: Final[Schema] = MappingProxyType(
    {
        "node": Column(TEXT, "", "case.toml", "empty where the case does not say"),
        "kind": Column(TEXT, "", "case.toml", "pod, veth, node, tunnel or any; empty where the case does not say"),
        "packets": Column(COUNT, "", "IPFIX 2", "frames in the point's captures"),
        "flows": Column(COUNT, "", "RFC 5103", "biflows"),
        "requests": Column(COUNT, "", "DESIGN.md section 4", "seen here whole, where they concern the path; a SYN is one"),
        "responses": Column(COUNT, "", "DESIGN.md section 4", "whose first octet was seen here; a SYN-ACK is one"),
        "requests_lost_after": Column(COUNT, "", "DESIGN.md section 4", "lost or refused on the hop behind this point"),
        "responses_lost_after": Column(COUNT, "", "DESIGN.md section 4", "lost or refused on the hop back from this point"),
        "other_conversations": Column(COUNT, "", "mixcni", "seen here and expected at no other point"),
        "other_answered": Column(COUNT, "", "mixcni", "of those, the ones with every exchange answered"),
        "miss_rate_low": Column("float64", "", "mixcni.localise", "share of what passed here that the capture lacks, at least"),
        "miss_rate_high": Column("float64", "", "mixcni.localise", "the same, at most"),
        "clock_offset_ns": Column("Int64", "ns", "mixcni.align", "this clock less the first point's; NA where nothing tells"),
        "clock_uncertainty_ns": Column("Int64", "ns", "mixcni.align", "it is right within this; NA: not bounded from both sides"),
    }
)

EXCHANGES: Final[Schema] = MappingProxyType(
    {
        "conversation": Column(COUNT, "", "mixcni", "row in `conversations`"),
        "number": Column(COUNT, "", "mixcni", "within its conversation; 0 is the handshake"),
        "initiator": Column("object", "", "RFC 5103", "address and port, as the first point saw them"),
        "responder": Column("object", "", "RFC 5103", "address and port"),
        "request": Column(TEXT, "", "mixcni", "SYN, or the octets of the stream"),
        "fate": Column(TEXT, "", "DESIGN.md section 4", "answered, lost, refused, silent or undecided"),
        "hop": Column("object", "", "DESIGN.md section 2", "two points, the nearer to the initiator first; None: nowhere"),
        "direction": Column(TEXT, "", "DESIGN.md section 4", "request or response: what was lost or refused; None"),
        "last_seen": Column(TEXT, "", "DESIGN.md section 4", "the point where it was last seen; None"),
        "reason": Column(TEXT, "", "mixcni.schema.Reason", "why it is undecided, or by whom it was refused"),
        "copies": Column(COUNT, "", "mixcni", "transmissions that the next point should have seen and did not"),
        "confidence": Column("float64", "", "DESIGN.md section 4", "that the loss is real; NaN where nothing was lost"),
        "frames": Column("object", "", "Wireshark frame.number", "by point, by file where a point has several"),
        "protocol": Column("object", "", "mixcni.schema.ExchangeKind", "http1, dns and so on; None where none was recognised"),
        "method": Column("object", "", "RFC 9110 9", "DNS: the question's type; TLS: the first step; None"),
        "target": Column("object", "", "RFC 9112 3.2", "DNS: the name asked for; TLS: protocols of ALPN; None"),
        "host": Column("object", "", "RFC 9110 7.2", "TLS: SNI; None"),
        "request_id": Column("object", "", "Envoy x-request-id", "None where there is none"),
        "traceparent": Column("object", "", "W3C Trace Context 3.2", "None where there is none"),
        "status": Column("Int64", "", "RFC 9110 15", "DNS: RCODE; TLS: alert; NA"),
        "grpc_status": Column("Int64", "", "gRPC over HTTP/2", "NA where there is none"),
        "identifier": Column("Int64", "", "RFC 9113 5.1.1", "HTTP/2 stream, DNS ID, ICMP sequence number; NA"),
        "retry_of": Column("object", "", "mixcni", "the earlier exchange that this one tries again; None"),
    }
)
MESSAGE: Final = tuple(EXCHANGES)[list(EXCHANGES).index("protocol") :]
"""The columns of `EXCHANGES` that an exchange's messages fill."""

CONVERSATIONS: Final[Schema] = MappingProxyType(
    {
        "initiator": Column(TEXT, "", "IPFIX 8, 27", "address"),
        "initiator_port": Column("uint16", "", "IPFIX 7"),
        "responder": Column(TEXT, "", "IPFIX 12, 28", "address"),
        "responder_port": Column("uint16", "", "IPFIX 11"),
        "protocol": Column("uint8", "", "IPFIX 4", "IANA protocol number"),
        "first": Column("datetime64[ns, UTC]", "", "IPFIX 156", "earliest over all points, on the common clock"),
        "flow_*": Column("Int64", "", "mixcni", "row in that point's flow table; NA where it did not see the conversation"),
        "exchanges": Column(COUNT, "", "mixcni", "how many, the handshake among them"),
        "unanswered": Column(COUNT, "", "mixcni", "of those, the ones that were not answered"),
    }
)

HOPS: Final[Schema] = MappingProxyType(
    {
        "hop": Column(TEXT, "", "DESIGN.md section 2", "two points adjacent on the path"),
        "direction": Column(TEXT, "", "DESIGN.md section 4", "request or response"),
        "delivered": Column(COUNT, "", "mixcni.localise", "pieces of streams that arrived"),
        "recovered": Column(COUNT, "", "mixcni.localise", "copies lost that a retransmission made up for"),
        "lost": Column(COUNT, "", "mixcni.localise", "pieces that never arrived"),
        "missed_near": Column(COUNT, "", "mixcni.localise", "pieces that the nearer capture lacks though they passed"),
        "missed_far": Column(COUNT, "", "mixcni.localise", "the same of the farther capture"),
        "unsent": Column(COUNT, "", "mixcni.localise", "pieces that appeared at the hop's end and were not sent into it"),
    }
)

PROXIED: Final[Schema] = MappingProxyType(
    {
        "downstream_conversation": Column(COUNT, "", "Envoy, downstream", "row in `conversations`: of the request a proxy took"),
        "downstream_number": Column(COUNT, "", "mixcni", "of the exchange in it"),
        "upstream_conversation": Column(COUNT, "", "Envoy, upstream", "row in `conversations`: of the request that it sent"),
        "upstream_number": Column(COUNT, "", "mixcni", "of the exchange in it; 0: it could not connect"),
        "linked_by": Column(TEXT, "", "mixcni.localise.proxied", "x-request-id, traceparent, nesting or attempt"),
        "rivals": Column(COUNT, "", "mixcni", "other pairs that fit as well, 8 at most; 0: linked, else none is chosen"),
        "confidence": Column("float64", "", "mixcni.localise.proxied", "that the two belong together; chosen, not measured"),
        "clock": Column("object", "", "mixcni", "the point that saw both; common: the common clock; None: no clock"),
        "request_apart_ns": Column("Int64", "ns", "mixcni", "upstream request after the downstream one; NA without a clock"),
        "response_apart_ns": Column("Int64", "ns", "mixcni", "downstream response after the upstream one; NA: not both known"),
    }
)

FINDINGS: Final[Schema] = MappingProxyType(
    {
        "cause": Column(TEXT, "", "mixcni.explain"),
        "confidence": Column("float64", "", "mixcni.explain", "probability that it is the cause; from 0.5 on it is named"),
        "sentence": Column(TEXT, "", "mixcni.explain"),
        "evidence": Column(COUNT, "", "mixcni.explain", "facts for it, in `findings_found`"),
        "against": Column(COUNT, "", "mixcni.explain", "facts against it"),
        "remedies": Column(COUNT, "", "mixcni.explain"),
    }
)


def documented(frame: "pd.DataFrame", schema: Schema) -> "pd.DataFrame":
    """The same frame with what each of its columns holds in `.attrs["schema"]`; `flow_*` stands for all that begin so."""
    notes: dict[str, dict[str, Any]] = {}
    for name in frame.columns:
        column = schema.get(name) or next(c for n, c in schema.items() if n.endswith("*") and name.startswith(n[:-1]))
        notes[name] = column._asdict()
    frame.attrs["schema"] = notes
    return frame
