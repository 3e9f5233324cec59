"""What each column holds, in which unit, and who says so.

The schemas are data: a table's check, its documentation and its repr all read them. Flags stand here too, since a
flag's value is part of a column's meaning.
"""

from mixcni.schema.columns import (
    Column,
    Schema,
)
from mixcni.schema.exchanges import (
    CANDIDATES,
    CONVERSATIONS,
    DETAILS,
    EXCHANGES,
    FATES,
    PROXIED,
    TRANSMISSIONS,
)
from mixcni.schema.flags import (
    Completeness,
    ConnState,
    Direction,
    Encapsulation,
    Ending,
    Evidence,
    ExchangeKind,
    Fate,
    Hint,
    Label,
    Layer,
    Oddity,
    OptionFlag,
    ProxyLink,
    Reason,
    ResetOrigin,
    ResetReason,
    Sight,
    TcpFlag,
)
from mixcni.schema.flows import (
    ERRORS,
    FLOWS,
    RESETS,
    SEGMENTS,
)
from mixcni.schema.packets import (
    FRAGMENTS,
    HINTS,
    NEIGHBOURS,
    OPTIONS,
    PACKETS,
    QUOTES,
    SACK_BLOCKS,
    STACKS,
)

__all__ = [
    "CANDIDATES",
    "CONVERSATIONS",
    "DETAILS",
    "ERRORS",
    "EXCHANGES",
    "FATES",
    "FLOWS",
    "FRAGMENTS",
    "HINTS",
    "NEIGHBOURS",
    "OPTIONS",
    "PACKETS",
    "PROXIED",
    "QUOTES",
    "RESETS",
    "SACK_BLOCKS",
    "SEGMENTS",
    "STACKS",
    "TRANSMISSIONS",
    "Column",
    "Completeness",
    "ConnState",
    "Direction",
    "Encapsulation",
    "Ending",
    "Evidence",
    "ExchangeKind",
    "Fate",
    "Hint",
    "Label",
    "Layer",
    "Oddity",
    "OptionFlag",
    "ProxyLink",
    "Reason",
    "ResetOrigin",
    "ResetReason",
    "Schema",
    "Sight",
    "TcpFlag",
]
