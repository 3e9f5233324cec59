"""Lost events: when a source of events was blind. What it does not have then, and near then, proves nothing."""

from dataclasses import dataclass, replace
from typing import Final

TABLE: Final = "lost_events"


@dataclass(frozen=True, slots=True)
class LostEvents:
    """Some events that a source did not deliver, and the times between which they happened."""

    source: str
    """monitor, hubble or pwru, with the queue that overflowed where it is named."""
    count: int | None
    """None where it is not told."""
    node: str | None = None
    cpu: int | None = None
    since_ns: int | None = None
    """Time of the last event before it, since the Unix epoch; None: from the beginning, or without times."""
    until_ns: int | None = None
    """Time at which the loss was told, or of the next event; None: to the end, or without times."""
    is_timed: bool = True
    """The events around it have times; where they have none it may have been at any time."""
    file: str = ""
    line: int = 0


class BlindTimes:
    """Follows a source's events in their order, and says between which of them some were lost."""

    def __init__(self) -> None:
        self.found: list[LostEvents] = []
        self._last: dict[str | None, int] = {}
        self._open: list[int] = []

    def event(self, node: str | None, time_ns: int | None) -> None:
        """One event that was delivered: what was lost before it on its node ends here."""
        if time_ns is None:
            return
        self._last[node] = max(time_ns, self._last.get(node, time_ns))
        for index in self._open:
            lost = self.found[index]
            if lost.until_ns is None and lost.node in (None, node):
                self.found[index] = replace(lost, until_ns=time_ns)
        self._open = [index for index in self._open if self.found[index].until_ns is None]

    def lost(self, lost: LostEvents) -> None:
        """Some events that were not."""
        known = [time for node, time in self._last.items() if lost.node in (None, node)]
        self.found.append(replace(lost, since_ns=min(known) if known else None))
        if lost.until_ns is None and len(self._open) < 1000:
            self._open.append(len(self.found) - 1)
