"""What the messages of an exchange say, where its protocol is known: for the report's rows and words."""

from typing import Any

import numpy as np

from mixcni.exchanges import ExchangeTable
from mixcni.exchanges.tables import TEXTS
from mixcni.localise import Localisation
from mixcni.schema import ExchangeKind
from mixcni.words import printable

NUMBERS = ("status", "grpc_status", "identifier")


def message_of(localisation: Localisation, row: int) -> dict[str, Any] | None:
    """What the messages of fate row `row` say; None where their protocol is not known.

    What was not seen is None; `retry_of` is the conversation and number of the exchange that this one tries again.
    """
    fates = localisation.fates
    position, exchange = int(fates["told_at"][row]), int(fates["exchange"][row])
    if position < 0:
        return None
    table = localisation.exchanges[position]
    details = table.details
    place = int(np.searchsorted(details["exchange"], exchange))
    if place == len(details) or details["exchange"][place] != exchange:
        return None
    message: dict[str, Any] = {"protocol": ExchangeKind(int(table["kind"][exchange])).name.lower()}
    message |= {name: printable(details.text(name, place)) or None for name in TEXTS}
    message |= {name: value if (value := int(details[name][place])) >= 0 else None for name in NUMBERS}
    earlier = int(details["retry_of"][place])
    return message | {"retry_of": None if earlier < 0 else _place_of(localisation, position, table, earlier)}


def _place_of(localisation: Localisation, position: int, table: ExchangeTable, exchange: int) -> list[int] | None:
    """Conversation and number of a row of one point's exchange table; None where no conversation has it."""
    flow_of = localisation.alignment.conversations.flow_of[:, position]
    conversation = np.flatnonzero(flow_of == table["flow"][exchange])
    return [int(conversation[0]), int(table["number"][exchange])] if conversation.size else None
