"""Stage 4, flows -> ExchangeTable: which octets of a connection are a request, and which its response.

Exchange 0 is the handshake: SYN and SYN-ACK. The others are told by turns of direction, whatever the protocol.
"""

from mixcni.exchanges.turns import ExchangeTable, pair_exchanges

__all__ = ["ExchangeTable", "pair_exchanges"]
