"""What gives a dump away: rows of titles, rows that no other dump has, structured text, and the words of failure.

Each pattern is tried once a line, from its start, and none can backtrack further than the line's length.
"""

import re
from typing import Final

from mixcni.cluster.jsontext import BEGINS
from mixcni.cluster.kinds import KINDS

MAX_TITLES: Final = 500  # characters in a row of titles; longer lines are not looked at as one
JSON_LOOKED_AT: Final = 4000  # characters of a JSON value by which its kind is told


def _any_of(signs: dict[str, str]) -> re.Pattern[str]:
    """One pattern whose named groups are kinds, tried in their order."""
    return re.compile("|".join(f"(?P<{name}>{sign})" for name, sign in signs.items() if sign), re.VERBOSE)


_TITLES = _any_of({kind.name: kind.titles for kind in KINDS})
_ROW = _any_of({kind.name: kind.rows for kind in KINDS})
_FIRST_ROW = _any_of({kind.name: kind.first_row for kind in KINDS})
_JSON = [(kind.name, re.compile(kind.json)) for kind in KINDS if kind.json]
_PREAMBLES = tuple(mark for kind in KINDS for mark in kind.preamble)

CT_ROW = re.compile(r"(?:TCP|UDP|ICMP|ICMPv6) (?:IN|OUT|SVC) \S+ -> \S+ (?!XLATE_)")
"""The one row of which a dump may have millions; a subset of what `row_kind` takes for ct."""

_YAML = re.compile(r"(?:- )?(?:apiVersion|kind): ?\S|items:$")
_YAML_MEMBER = re.compile(r"(?:- )?[^\s:#{\[|>][^\n]{0,100}?:(?: |$)|- \S")
_OBJECT = re.compile(r"apiVersion: ?[\w.-]{1,100}(?:/[\w.-]{1,100})?$")

_ERROR = re.compile(
    r"""(?:>\s*)?(?:
     Unable\ to\ open\ |no\ maps\ found|No\ entries\ found|Invalid\ argument:|Is\ the\ agent\ running
    |[Ee]rror:|Error\ (?:from\ server|while\ running|response)|error\ (?:dumping\ contents|opening)\b|Cannot\ |[Ff]ailed\ to\b
    |command\ terminated\ with\ exit\ code|Get\ "?http|OCI\ runtime\ exec\ failed|[Uu]nable\ to\b
    |(?:\S{0,80}sh:|exec:)\ .{0,200}not\ found|.{0,200}executable\ file\ not\ found
    |.{0,200}:\ [Nn]o\ such\ file\ or\ directory|(?:bandwidth\ manager|multicast)\ not\ enabled
    )""",
    re.VERBOSE,
)
_ENDED = re.compile(r"command terminated with exit code \d+$")


def header_kind(line: str) -> str | None:
    """The kind of table whose titles a line is; None if it is none."""
    if len(line) > MAX_TITLES:
        return None
    folded = " ".join(line.split())
    match = _TITLES.match(folded.upper()) if folded[:1].isalpha() else None
    return match.lastgroup if match else None


def row_kind(line: str) -> str | None:
    """The kind of dump that alone has rows like this one; None if several could."""
    match = _ROW.match(line.strip())  # a pattern that skips blanks would try each of its branches at each of them
    return match.lastgroup if match else None


def first_line_kind(line: str) -> str | None:
    """The kind that a line suggests where nothing stronger is near."""
    if _YAML.match(line.rstrip()):
        return "kubernetes"
    match = _FIRST_ROW.match(line.strip())
    return match.lastgroup if match else None


def is_error(line: str, *, quoted: bool = False) -> bool:
    """Whether a line says that a command failed, wholly or for one of its maps.

    quoted : in a dump whose lines quote errors, of which kubectl's last word alone counts
    """
    return (_ENDED if quoted else _ERROR).match(line.strip()) is not None


def is_sure(line: str) -> bool:
    """Whether one kind of dump alone has a line like this one, or a command that failed."""
    return bool(header_kind(line) or row_kind(line) or begins_json(line) or is_error(line))


def certainty(line: str) -> int:
    """How surely a line is a dump's: 3 for titles, 2 for what else is sure, 1 for what suggests a kind, 0 for anything else."""
    if header_kind(line):
        return 3
    return 2 if is_sure(line) else int(first_line_kind(line) is not None)


def begins_object(line: str) -> bool:
    """Whether a Kubernetes object begins with a line, whatever stands above: no other dump has one like it."""
    return _OBJECT.match(line.rstrip()) is not None


def begins_yaml(line: str) -> bool:
    """Whether a mapping or sequence of YAML may begin with a line."""
    return _YAML_MEMBER.match(line) is not None


def begins_json(line: str) -> bool:
    """Whether JSON may begin with a line."""
    return BEGINS.match(line.lstrip()) is not None


def json_kind(text: str, start: int = 0, end: int | None = None) -> str | None:
    """The kind of the JSON value in `text`, by the names in its first JSON_LOOKED_AT characters; None if no kind has them."""
    head = text[start : min(start + JSON_LOOKED_AT, len(text) if end is None else end)]
    return next((kind for kind, mark in _JSON if mark.search(head)), None)


def is_preamble(line: str) -> bool:
    """Whether a line stands above the rows of its dump, and so never below them."""
    line = line.lstrip()
    return line.startswith(_PREAMBLES) or (line.startswith("/") and "cilium_policy_" in line)
