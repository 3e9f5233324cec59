"""The files that a diagnosis read, each with the checksum of what was read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

CHUNK: Final = 1 << 20  # octets read at a time


@dataclass(frozen=True)
class InputFile:
    """A file that the diagnosis read: what it was, and what could not be read of it.

    file : as the report names it; path : where it was read
    octets : its size when it was read; packets : None for a dump
    """

    file: str
    path: Path
    octets: int
    packets: int | None = None
    damage: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def sha256(self) -> str | None:
        """The checksum of those octets, so that a report names its inputs beyond doubt; taken when it is first asked for.

        What was written behind them since, as by a capture that still runs, is left out. None where they are no longer there.
        """
        digest, left = hashlib.sha256(), self.octets
        try:
            with self.path.open("rb") as stream:
                while chunk := stream.read(min(left, CHUNK)):
                    digest.update(chunk)
                    left -= len(chunk)
        except OSError:
            return None
        return None if left else digest.hexdigest()
