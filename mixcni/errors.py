"""Every exception mixcni raises.

* MixcniError
  + CaptureError                                     a file that cannot be read on from some octet
    - UnreadableCapture                                 the system does not let it be read
    - UnknownFormat                                     it is no capture
    - TruncatedCapture                                  it ends inside a record
  + CaseError                                        a case folder or its case.toml that cannot be used
  + DumpError                                        a dump file that cannot be opened or is no text
  + SchemaError                                      a table lacks a column or has it with another dtype
  + ParameterError, also a ValueError                an argument outside its stated range
"""

from pathlib import Path


class MixcniError(Exception):
    """Base of them all; caught at a program's edge."""


class CaptureError(MixcniError):
    """At `offset` in `path`, `what` needs `wanted` octets by its `limit`, and has `had`."""

    def __init__(self, what: str, path: Path, offset: int, wanted: int, had: int, limit: str) -> None:
        super().__init__(what, path, offset, wanted, had, limit)  # all of them: it must pickle
        self.what = what
        self.path = path
        self.offset = offset
        self.wanted = wanted
        self.had = had
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.path}, octet {self.offset}: {self.what} needs {self.wanted} octets by its {self.limit}, has {self.had}"


class TruncatedCapture(CaptureError):
    """The file ends inside a record; everything before it is good."""


class UnreadableCapture(CaptureError):
    """The system does not let `path` be opened or read; `reason` is the system's own word."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__("a capture file", path, 0, 1, 0, "size")
        self.args = (path, reason)  # what this constructor takes: it must pickle
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.reason}"


class UnknownFormat(CaptureError):
    """The first octets are those of no capture format that mixcni reads."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__("a capture file", path, 0, 4, 0, "magic number")
        self.args = (path, found)  # what this constructor takes: it must pickle
        self.found = found

    def __str__(self) -> str:
        return f"{self.path}, octet 0: wanted a pcap or pcapng magic number, found {self.found}"


class CaseError(MixcniError):
    """`path` cannot be used as a case: what was wanted there and what was found."""

    def __init__(self, path: Path, wanted: str, found: str) -> None:
        super().__init__(path, wanted, found)
        self.path = path
        self.wanted = wanted
        self.found = found

    def __str__(self) -> str:
        return f"{self.path}: wanted {self.wanted}, found {self.found}"


class DumpError(MixcniError):
    """`path` cannot be read as the text of a dump; `found` says what stands there instead."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(path, found)
        self.path = path
        self.found = found

    def __str__(self) -> str:
        return f"{self.path}: wanted the text of a dump, found {self.found}"


class SchemaError(MixcniError):
    """A table lacks a column, or has it with another dtype or length."""


class ParameterError(MixcniError, ValueError):
    """An argument outside its stated range; the message names the argument, the range and the value."""
