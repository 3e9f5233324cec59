"""Counts and lists in words, and text that is safe to show: for every sentence that mixcni writes."""


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
