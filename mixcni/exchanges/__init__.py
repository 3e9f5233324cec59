"""Stage 4, flows -> ExchangeTable: which octets of a connection are a request, and which its response.

Exchange 0 is the handshake: SYN and SYN-ACK. Where a flow speaks HTTP, HTTP/2 with gRPC, TLS, DNS or ICMP echo the others are its
messages; else they are told by turns of direction, whatever the protocol.
"""

from mixcni.exchanges.pairing import pair_exchanges
from mixcni.exchanges.tables import DetailTable, ExchangeTable

__all__ = ["DetailTable", "ExchangeTable", "pair_exchanges"]
