"""One conversation of a report: its ladder, its exchanges, and how to see it in Wireshark."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mixcni.report.ladder import Ladder, ladder_of, ladder_text
from mixcni.report.wireshark import conversation_filter

if TYPE_CHECKING:
    import pandas as pd

    from mixcni.report.figures import Drawing
    from mixcni.report.report import Report


@dataclass(frozen=True)
class Conversation:
    """A conversation over all points. Shown, it is its ladder: time downwards, a column a point, the gaps marked.

    Parameters
    ----------
    report : the report that it is of
    number : row in `report.conversations`

    Examples
    --------
    >>> conversation = mixcni.diagnose("captures/networkpolicy-drop").ladder(3)
    >>> conversation.filter
    'ip.addr == 10.244.3.7 && ip.addr == 10.242.2.149 && tcp.port == 60820 && tcp.port == 8080'
    """

    report: "Report" = field(repr=False)
    number: int

    @cached_property
    def ladder(self) -> Ladder:
        """Its segments and where each was seen."""
        return ladder_of(self.report.localisation, self.number)

    @property
    def title(self) -> str:
        """Who called whom."""
        return self.ladder.title

    @property
    def filter(self) -> str:
        """Wireshark's display filter for it."""
        return conversation_filter(self.report.localisation, self.number)

    @cached_property
    def exchanges(self) -> "pd.DataFrame":
        """Its rows of `report.exchanges`."""
        table = self.report.exchanges
        return table[table["conversation"] == self.number]

    @cached_property
    def figure(self) -> "Drawing":
        """Its ladder as a figure."""
        return self.report.figure("ladder", self.number)

    def __str__(self) -> str:
        return ladder_text(self.ladder)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.figure._repr_html_()
