"""Which Cilium releases print a dump in the form it has.

A dump rarely names its release, but titles and keys came and went with minor releases, so its form narrows the
release to a range. Ranges of several dumps of one node are met to a narrower one. Patch levels are not told apart.
"""

import re
from dataclasses import dataclass
from typing import Self

from mixcni.errors import ParameterError

_TEXT = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.[\w.+-]*)?(?:-v?(\d{1,4})\.(\d{1,4})(?:\.\d+)?|(\+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Minor releases from `low` to `high`, both within; `high` None: that release and all after it."""

    low: tuple[int, int]
    high: tuple[int, int] | None

    def __str__(self) -> str:
        low = f"{self.low[0]}.{self.low[1]}"
        if self.high is None:
            return f"{low}+"
        return low if self.high == self.low else f"{low}-{self.high[0]}.{self.high[1]}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The range that `1.12`, `v1.12.5`, `1.8-1.15` or `1.19+` names.

        Raises
        ------
        ParameterError : `text` is none of these forms
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ParameterError(f"version: wanted 1.12, v1.12.5, 1.8-1.15 or 1.19+, found {text!r}")
        low = int(match[1]), int(match[2])
        if match[5]:
            return cls(low, None)
        return cls(low, (int(match[3]), int(match[4])) if match[3] else low)

    def meet(self, other: "VersionRange") -> "VersionRange | None":
        """The releases in both ranges; None if there are none."""
        low = max(self.low, other.low)
        highs = [high for high in (self.high, other.high) if high is not None]
        high = min(highs) if highs else None
        return None if high is not None and high < low else VersionRange(low, high)


def releases(low: int, high: int | None = None) -> VersionRange:
    """The range 1.`low` to 1.`high`; without `high` every release from 1.`low` on."""
    return VersionRange((1, low), None if high is None else (1, high))
