"""Counts and lists in words, and text that is safe to show: for every sentence that mixcni writes."""

import textwrap
from typing import Final

WIDTH: Final = 100  # columns of text that goes into a file or a pipe


def plural(count: int, noun: str) -> str:
    """`1 request`, `12 requests`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: list[str], limit: int = 4) -> str:
    """Names as a sentence lists them, cut with a count where there are many."""
    shown = names[:limit]
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def printable(text: str) -> str:
    """`text` without control characters, so that a name out of a capture or a dump cannot steer a terminal."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def item(text: str, width: int, mark: str = "•", indent: int = 2) -> list[str]:
    """An item of a list as lines of at most `width` columns, where words allow it, with a hanging indent; safe to show."""
    first = f"{' ' * indent}{mark} " if mark else ""
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
