"""Access logs of Envoy and Istio in text: the default formats of both over their releases, and formats that people made.

A line is cut into `[bracketed]`, `"quoted"` and bare tokens. What a token is is told by its form (a time, a request, a status
with its flags, a request id, an address) and, among tokens of one form, by the order that the default formats have.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.events.packets import parse_end
from mixcni.cluster.events.times import local_time_of, time_of
from mixcni.cluster.logs.accesslog import AccessLogEntry, end_fields
from mixcni.cluster.logs.responseflags import parse_flags

MAX_LINE: Final = 20_000  # characters: a path may be long; longer lines are no access log's
_TOKEN = re.compile(r'\[([^\]\s"]{0,64})\](?=\s|$)|"((?:[^"\\]|\\.)*)"|([^\s"]+)')
_REQUEST = re.compile(r"([A-Z][A-Z_-]{1,20}|-) (\S+)(?: (HTTP/\d(?:\.\d)?|-))?")
_REQUEST_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_STATUS = re.compile(r"0|[1-5][0-9][0-9]", re.ASCII)
_UPSTREAM = re.compile(r"(?:(?:tcp|udp)://)?(?:\[[0-9a-fA-F:.]+\]|[\d.]+):\d{1,5}|(?:unix|envoy|internal)://\S*", re.ASCII)
_CLUSTER = re.compile(r"\S*\|\S*|[\w.:-]*[Cc]luster[\w.]*|outbound\S*|inbound\S*")


class _Token(NamedTuple):
    form: str
    """bracket, quoted or bare."""
    text: str


def read_envoy(section: Section) -> Parsed:
    """The requests of an access log in text."""
    entries: list[AccessLogEntry] = []
    unparsed: list[Unparsed] = []
    for number, line in section.numbered():
        found = _fields(line, section.addresses) if len(line) <= MAX_LINE else None
        if found is None:
            unparsed.append(Unparsed(number, line[:MAX_LINE], "no access log line: wanted a request and a status"))
        else:
            entries.append(AccessLogEntry(**found, file=section.file, line=number))
    return Parsed(entries, unparsed)


def _tokens(line: str) -> list[_Token]:
    forms = ("bracket", "quoted", "bare")
    return [_Token(forms[match.lastindex - 1], match[match.lastindex]) for match in _TOKEN.finditer(line) if match.lastindex]


def _fields(line: str, book: AddressBook) -> dict[str, Any] | None:
    tokens = _tokens(line)
    request_at = _find_request(tokens)
    status_at = _find_status(tokens, 0 if request_at is None else request_at + 1)
    if status_at is None and request_at is not None:
        status_at = _find_status(tokens[:request_at], 0)
    if request_at is None or status_at is None:
        return None
    found: dict[str, Any] = {**_time(tokens), **_request(tokens[request_at].text), "status": int(tokens[status_at].text)}
    rest = [token for at, token in enumerate(tokens) if at > status_at and at != request_at]
    if rest and (flags := parse_flags(rest[0].text)) is not None:
        found["flags"], rest = flags, rest[1:]
    else:
        named = next((flags for token in tokens if token.form == "bare" and (flags := parse_flags(token.text))), ())
        found["flags"] = named
    rest = _take_reasons(rest, found)
    rest = _take_numbers(rest, found)
    quoted = [token.text for token in rest if token.form != "bare"]
    last = max((at for at, token in enumerate(rest) if token.form == "quoted"), default=-1)
    bare = [token.text for token in rest[last + 1 :] if token.form == "bare"]
    _take_quoted(quoted, found, book)
    _take_bare(bare, found, book)
    return {name: None if value == "-" else value for name, value in found.items()}


def _find_request(tokens: Sequence[_Token]) -> int | None:
    """Where the request stands: the quoted token with a method, a path and a protocol."""
    for at, token in enumerate(tokens):
        if token.form == "quoted" and (match := _REQUEST.fullmatch(token.text)) and (match[3] or match[1] != "-"):
            return at
    return None


def _find_status(tokens: Sequence[_Token], start: int) -> int | None:
    """Where the status stands: the first bare number that can be one."""
    for at in range(start, len(tokens)):
        if tokens[at].form == "bare" and _STATUS.fullmatch(tokens[at].text):
            return at
    return None


def _time(tokens: Sequence[_Token]) -> dict[str, Any]:
    """The time in brackets, before one of a log collector in front of the line."""
    chosen = sorted(tokens, key=lambda token: token.form != "bracket")
    for token in chosen[:200]:
        time_ns = time_of(token.text)
        if time_ns is not None or local_time_of(token.text) is not None:
            return {"time_ns": time_ns, "when": token.text}
    return {}


def _request(text: str) -> dict[str, Any]:
    match = _REQUEST.fullmatch(text)
    return {} if match is None else {"method": match[1], "path": match[2], "protocol": match[3]}


def _is_number(token: _Token) -> bool:
    return token.form == "bare" and token.text.isascii() and token.text.isdigit() and len(token.text) <= 18


def _take_reasons(rest: list[_Token], found: dict[str, Any]) -> list[_Token]:
    """What stands between the flags and the counts: details, termination, failure; what is behind them."""
    at = next((at for at, token in enumerate(rest) if _is_number(token)), len(rest))
    if at > 4 or at == len(rest):
        return rest  # no count follows: another format
    bare = [token.text for token in rest[:at] if token.form == "bare"]
    quoted = [token.text for token in rest[:at] if token.form == "quoted"]
    found |= dict(zip(("details", "termination"), bare, strict=False))
    if quoted:
        found["failure"] = quoted[-1]
    return rest[at:]


def _take_numbers(rest: list[_Token], found: dict[str, Any]) -> list[_Token]:
    """Octets received and sent, duration, and the upstream's part of it, which may be `-`."""
    at = 0
    for name in ("received_octets", "sent_octets", "duration_ms", "upstream_ms"):
        if at < len(rest) and _is_number(rest[at]):
            found[name] = int(rest[at].text)
        elif at >= len(rest) or rest[at] != ("bare", "-") or at == 0:
            break
        at += 1
    return rest[at:]


def _take_quoted(quoted: Sequence[str], found: dict[str, Any], book: AddressBook) -> None:
    """Forwarded-for, user agent, request id, authority and upstream, by the request id or upstream that is among them."""
    quoted = list(quoted)
    upstream_at = next((at for at in range(len(quoted) - 1, -1, -1) if _UPSTREAM.fullmatch(quoted[at])), None)
    if upstream_at is not None and (upstream_at >= 2 or len(quoted) < 3):
        found |= end_fields("upstream", quoted[upstream_at], book)
    id_at = next((at for at, text in enumerate(quoted) if _REQUEST_ID.fullmatch(text)), None)
    if id_at is None and len(quoted) == 5:
        id_at = 2
    if id_at is None:
        return
    found["request_id"] = quoted[id_at]
    for name, at in (("forwarded_for", id_at - 2), ("user_agent", id_at - 1), ("authority", id_at + 1)):
        if 0 <= at < len(quoted) and at != upstream_at:
            found[name] = quoted[at]


def _take_bare(bare: Sequence[str], found: dict[str, Any], book: AddressBook) -> None:
    """Cluster, the three addresses, server name and route; with fewer tokens the addresses in their order."""
    if len(bare) >= 5:
        found["cluster"], found["server_name"] = bare[0], bare[4]
        found["route"] = bare[5] if len(bare) > 5 else None
        ends: Sequence[str] = bare[1:4]
    else:
        found["cluster"] = next((text for text in bare if _CLUSTER.fullmatch(text)), None)
        ends = [text for text in bare if parse_end(text, book).port is not None and parse_end(text, book).address is not None][:3]
    for name, text in zip(("upstream_local", "local", "remote")[-len(ends) :] if ends else (), ends, strict=True):
        found |= end_fields(name, text, book)
