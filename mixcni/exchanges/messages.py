"""What every protocol's reader hands on: exchanges as intervals of stream offsets, with what their messages say."""

from dataclasses import dataclass, field

from mixcni.schema import ExchangeKind


@dataclass(slots=True)
class Found:
    """One exchange of a flow.

    request, response : [start, end) as stream offsets; an end equal to its start says that none was seen
    request_packet, response_packet : rows of their first packets; -1 where none
    interim : 1xx responses before the final one
    identifier : HTTP/2 stream, DNS ID or ICMP sequence number; -1
    is_missed : its response is where octets were not captured, not known to be missing
    again : place, within the flow's list, of the exchange that this one repeats; -1
    """

    kind: ExchangeKind
    request: tuple[int, int]
    response: tuple[int, int]
    request_packet: int = -1
    response_packet: int = -1
    method: str = ""
    target: str = ""
    host: str = ""
    status: int = -1
    grpc_status: int = -1
    request_id: str = ""
    traceparent: str = ""
    interim: int = 0
    identifier: int = -1
    is_missed: bool = False
    again: int = -1


@dataclass(slots=True)
class Reading:
    """What was read of one flow.

    beyond : offsets of both directions from where on its octets are no message of the protocol: turns tell of them
    upgrade : the protocol that the connection changed to there, in lower case; empty where it did not
    requests, responses : messages counted one by one, interim responses too
    """

    exchanges: list[Found] = field(default_factory=list)
    beyond: tuple[int, int] | None = None
    upgrade: str = ""
    requests: int = 0
    responses: int = 0
