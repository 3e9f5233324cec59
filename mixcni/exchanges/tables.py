"""The tables of this stage: exchanges, and what the messages of those say whose protocol is known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.schema import DETAILS, EXCHANGES, ExchangeKind
from mixcni.tables import Table

TEXTS = ("method", "target", "host", "request_id", "traceparent")
"""Columns that are codes: rows in the table's list of texts."""


class DetailTable(Table):
    """What messages say, one row an exchange of a known protocol, in the order of the exchanges.

    `texts` are what the text codes stand for; code 0 is the empty text: not there, or not captured.
    """

    schema = DETAILS
    texts: tuple[str, ...]

    def __init__(self, columns: dict[str, NDArray[Any]], texts: tuple[str, ...] = ("",)) -> None:
        super().__init__(columns)
        self.texts = texts

    def text(self, name: str, row: int) -> str:
        """The text of a column in row `row`."""
        return self.texts[int(self[name][row])]

    def to_frame(self) -> Any:
        """The details as a DataFrame, codes as their texts."""
        import pandas as pd

        frame = super().to_frame()
        texts = np.array(self.texts, dtype=object)
        for name in TEXTS:
            frame[name] = pd.Series(texts[self[name]], dtype="str")
        return frame


class ExchangeTable(Table):
    """Requests and their responses as one capture point saw them, flow by flow, in the order of their numbers.

    `details` says what the messages of known protocols say; `http` is (f, 2) int64, the HTTP/1 requests and responses that each
    flow has, interim responses too; None where the flows' payloads could not be read.
    """

    schema = EXCHANGES
    details: DetailTable
    http: NDArray[np.int64] | None

    def __init__(
        self, columns: dict[str, NDArray[Any]], details: DetailTable | None = None, http: NDArray[np.int64] | None = None
    ) -> None:
        super().__init__(columns)
        self.details = details or DetailTable.empty()
        self.http = http

    def detail_rows(self) -> NDArray[np.int64]:
        """(n,) the row of each exchange in `details`; -1 where it has none."""
        rows = np.full(len(self), -1, dtype=np.int64)
        rows[self.details["exchange"]] = np.arange(len(self.details))
        return rows

    def to_frame(self) -> Any:
        """The exchanges as a DataFrame, kinds as text, with what their messages say."""
        import pandas as pd

        frame = super().to_frame()
        frame["kind"] = pd.Series([ExchangeKind(kind).name.lower() for kind in self["kind"].tolist()], dtype="str")
        details = self.details.to_frame().set_index("exchange")
        joined = frame.join(details)
        for name in details.columns:
            if name in TEXTS:
                joined[name] = joined[name].fillna("").astype("str")
            else:
                joined[name] = joined[name].fillna(-1).astype("int64")
        joined.attrs["schema"] = {name: column._asdict() for name, column in {**self.schema, **DETAILS}.items()}
        return joined
