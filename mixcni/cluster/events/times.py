"""Times as dumps print them -> nanoseconds since the Unix epoch, where they say all of it."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

DAY_NS: Final = 86_400_000_000_000
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s?(Z|[+-]\d\d:?\d\d)?(?: UTC)?", re.ASCII
)
_STAMP = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEAP_YEAR: Final = 2000


@lru_cache(maxsize=4096)
def _whole_seconds(year: int, month: int, day: int, hour: int, minute: int, second: int, zone: str) -> int | None:
    try:
        offset = UTC if zone in ("", "Z") else _zone(zone)
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=offset)
    except ValueError:
        return None
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) + (second - min(second, 59))


def _zone(text: str) -> timezone:
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def time_of(text: str) -> int | None:
    """Of `2023-08-21T12:12:13.517394084Z`; None for another form, or without a zone."""
    match = _RFC3339.match(text)
    if match is None or not match[8]:
        return None
    return _nanoseconds(match, match[8])


def local_time_of(text: str) -> int | None:
    """The same of a time without a zone, as if it were UTC; None for another form."""
    match = _RFC3339.match(text)
    return None if match is None else _nanoseconds(match, match[8] or "Z")


def _nanoseconds(match: re.Match[str], zone: str) -> int | None:
    year, month, day, hour, minute, second = (int(match[at]) for at in range(1, 7))
    seconds = _whole_seconds(year, month, day, hour, minute, second, zone)
    return None if seconds is None else seconds * 1_000_000_000 + int((match[7] or "").ljust(9, "0"))


def time_in_year(text: str) -> int | None:
    """Of `Jan 26 09:07:03.396`, which names no year and no zone: since the beginning of a leap year; None for another form."""
    match = _STAMP.match(text)
    if match is None or match[1] not in _MONTHS:
        return None
    seconds = _whole_seconds(
        _LEAP_YEAR, _MONTHS.index(match[1]) + 1, int(match[2]), int(match[3]), int(match[4]), int(match[5]), "Z"
    )
    first = _whole_seconds(_LEAP_YEAR, 1, 1, 0, 0, 0, "Z")
    if seconds is None or first is None:
        return None
    return (seconds - first) * 1_000_000_000 + int((match[6] or "").ljust(9, "0"))


def in_year(time_ns: int) -> int:
    """A time since the Unix epoch as `time_in_year` counts it, by UTC."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    start = datetime(_LEAP_YEAR, 1, 1, tzinfo=UTC)
    return round((at.replace(year=_LEAP_YEAR) - start).total_seconds()) * 1_000_000_000 + rest
