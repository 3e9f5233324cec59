"""Octets of a dump file -> clean lines that keep the file's own numbers.

Dumps travel: through terminals (colours, prompts, carriage returns), `kubectl exec` (its own chatter), issue trackers
and chat windows (fences, quoting, indentation) and PowerShell (UTF-16). `clean_text` takes all of that away and never
fails. What is no part of a dump's text becomes an empty line, so that index + 1 stays the number that an editor shows.
Commands at a prompt are set aside: they say what stands below them. Every step is linear in the file's size.
"""

import codecs
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from mixcni.cluster.prefixes import without_prefixes
from mixcni.cluster.signs import is_sure
from mixcni.cluster.wrapping import joined, width_of

MAX_DUMP_OCTETS: Final = 1 << 29  # two million conntrack entries; what follows is not read, and the dump says so
MAX_WRAPPED_OCTETS: Final = 1 << 24  # what people copy out of a terminal is far less
MAX_PROMPT: Final = 160  # characters before a command, or in a line that is looked at as a prompt at all

_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SNIFF: Final = 8192  # octets looked at for NUL: text has none

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\)?|[()][0-9A-B]|[@-Z\\^_=>])")
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200c\u200d\u2060\ufeff]")
# All that str.split() takes for blanks: a line of these alone must not pass for one with words.
_ODD_BLANK = re.compile("[\r\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")

# One conntrack line in a million is looked at no further than this: nothing below can begin so.
_PLAIN = ("TCP ", "UDP ", "ICMP")

_JSON_PART = re.compile(r'\s*(?:["}\]]|\{["}\s]|\{$|\d+,?$)')
"""The same of JSON: a member, an end, an object, a number."""

_NOISE = re.compile(
    r"""\s*(?:
    Default(?:ed|ing)\ container\b
    |Use\ 'kubectl\ describe
    |kubectl\ exec\ \[POD\]
    |Unable\ to\ use\ a\ TTY
    |If\ you\ don't\ see\ a\ command\ prompt
    |(?:time=(?:"[^"]*"|\S+)\ +)?level=\w+\ +\w+=
    |[IWEF]\d{4}\ \d\d:\d\d:\d\d\.\d+\ +\d+\ [\w.-]+:\d+\]\s
    |\++\ +[\w./'"\[({]
    |Script\ (?:started|done)\b
    |Warning:\ Permanently\ added\ |Pseudo-terminal\ will\ not\b|Last\ login:\ |Connection\ to\ \S+\ closed
    |(?:logout|exit|\(END\)|--More--(?:\(\d+%\))?|\^C)\s*$
    |Every\ \d+(?:\.\d+)?s:\s
    |(?:real|user|sys)\s+\d+m[\d.]+s\s*$
    |Was\ impossible\ to\ retrieve\ label\ ID
    |(?:Exitcode|Stdout|Stderr)?:\s*\d*\s*$
    |[-=_+|\u2500-\u257f][-=_+|\ \u2500-\u257f]{2,}$
    )""",
    re.VERBOSE,
)
_ELISION = re.compile(r"\s*(?:\.{2,10}|\u2026|\[\.\.\.\]|<snip>|\(\.\.\.\))\s*$")
_REMARK = re.compile(r" # <| {3}<-")  # an author's, behind a value
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})[\w+.-]*\s*$")
_HEADING = re.compile(r"#{1,6}\s+(.*\S)|[-=*]{3,}\s+(.*\S)\s+[-=*]{3,}|(==> .+ <==)")

_PROGRAM = re.compile(
    r"(?:^|(?<=\s))(?:[\w./-]{0,80}/)?(?:cilium(?:-dbg|-health|-agent)?|hubble|kubectl|oc|crictl|docker|nerdctl|conntrack)"
    r"\s+(?=[\w<-])"
)
_PROMPT_END = "#$%>\u276f\u279c\u00bb"
_BARE_PREFIX = frozenset({"", "sudo", "time", "sudo time", "cmd:"})
# Whatever stands for kubectl there.
_EXEC_LINE = re.compile(r"\S{1,20} exec [^|]{0,200}? -- \S{0,80}(?:cilium(?:-dbg|-health)?|hubble)\s")
_BARE_COMMAND = re.compile(
    r"\S*(?:cilium|cilium-dbg)\s+(?:bpf|endpoint|identity|node|service|status|policy|map|ip|monitor|health|lrp|metrics)\b"
    r"|\S*cilium-health\s+(?:status|get|ping)\b|\S*hubble\s+(?:observe|status|list)\b|\S*conntrack\s+-"
    r"|\S*(?:kubectl|oc)\s+(?:exec|get|logs|describe|-n|--namespace|-it?)\b|\S*(?:crictl|docker|nerdctl)\s+exec\b"
)
_USER_AT_HOST = re.compile(r"[(\[]?[A-Za-z_][\w.-]{0,40}@([A-Za-z][\w.-]{0,80})[^#$%>]{0,120}[#$%>]\)?(?:\s+(.*))?$")
_WINDOWS_PROMPT = re.compile(r"(?:PS )?[A-Za-z]:\\[^<>]{0,120}>\s?(.*)$")
_SHORT_PROMPT = re.compile(r"(?:\([^()]{0,80}\)\s*)?\$(?:\s+(.*))?$")
_EMPTY_PROMPT = re.compile(r"(?:[\w.-]{1,40}[:~\s]\S{0,80}\s?)?[#$%]\s*$")


YAML_RULE: Final = "---"
"""What stands between two documents of YAML, and what people draw between dumps: a rule of three is kept."""


class Command(NamedTuple):
    """A command that someone typed above a dump, or a heading that names one."""

    text: str
    host: str | None = None
    """The host in a prompt such as `root@host:/#`: a node, or a pod's name on one."""
    prompted: bool = True
    """A prompt stood before it: what follows is its output, be it nothing."""
    heading: bool = False
    """A heading of several `#`, in a rule, or a file's name: what follows is something else, even if it says not what."""


@dataclass(frozen=True, slots=True)
class DumpText:
    """A dump file's clean lines; line i + 1 of the file is `lines[i]`, empty where it is no part of a dump."""

    lines: Sequence[str]
    commands: Mapping[int, Command]
    """By index into `lines`, where the command stood."""
    fences: frozenset[int]
    elisions: Sequence[int]
    """Ascending indices of lines such as `...` that stand for others left out."""
    binary: bool = False
    cut: bool = False
    """The file is larger than MAX_DUMP_OCTETS; its head was read."""
    is_chosen: bool = False
    """A tool chose the lines, as `grep` does; the others are missing."""


def clean_text(octets: bytes, width: int | None = None) -> DumpText:
    """The clean lines of a dump file, whatever its octets are.

    width : characters after which a terminal broke lines; they are made whole, each where it begins
    """
    cut = len(octets) > MAX_DUMP_OCTETS
    if cut:
        octets = octets[: octets.rfind(b"\n", 0, MAX_DUMP_OCTETS) + 1] or octets[:MAX_DUMP_OCTETS]
    text = _decode(octets)
    if text is None:
        return DumpText((), {}, frozenset(), (), binary=True, cut=cut)
    lines = _split(_without_escapes(text))
    if width is not None:
        lines = joined(lines, width, is_sure)
    lines, is_chosen = without_prefixes(lines)
    del text  # of a large dump every copy counts
    commands: dict[int, Command] = {}
    fences: list[int] = []
    elisions: list[int] = []
    for index, line in enumerate(lines):
        if not line or line.startswith(_PLAIN) or _JSON_PART.match(line):
            continue
        command = _command_in(line)
        if command is not None:
            commands[index] = command
        elif _ELISION.match(line):
            elisions.append(index)
        elif _FENCE.match(line):
            fences.append(index)
        elif line.rstrip() == YAML_RULE or (not _NOISE.match(line) and not line.lstrip().startswith("#")):
            if note := _REMARK.search(line):
                lines[index] = line[: note.start()].rstrip()
            continue
        lines[index] = ""
    return DumpText(lines, commands, frozenset(fences), elisions, cut=cut, is_chosen=is_chosen)


def wrap_width(octets: bytes) -> int | None:
    """The characters after which a terminal may have broken the lines of a file: the longest line's; None if none did."""
    text = _decode(octets)
    return None if text is None else width_of(_split(_without_escapes(text)), is_sure)


def _decode(octets: bytes) -> str | None:
    """The text; None if the octets are no text. Octets that are no UTF-8 become U+FFFD."""
    for mark, encoding in _UTF16:
        if octets.startswith(mark):
            return octets[len(mark) :].decode(encoding, "replace")
    if b"\x00" in octets[:_SNIFF]:
        return None
    return octets.decode("utf-8", "replace")


def _without_escapes(text: str) -> str:
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    if _UNSEEN.search(text):
        text = _UNSEEN.sub("", text)
    return html.unescape(text) if "&gt;" in text or "&lt;" in text else text  # copied from a page's source


def _split(text: str) -> list[str]:
    """Lines at LF alone, as editors and grep count them; at CR in a file that has no LF."""
    text = text.replace("\r\n", "\n")
    if "\r" in text and "\n" not in text:
        text = text.replace("\r", "\n")
    if _ODD_BLANK.search(text):
        text = _ODD_BLANK.sub(" ", text)
    return [line.expandtabs() if "\t" in line else line for line in text.split("\n")]


def _command_in(line: str) -> Command | None:
    """The command that a prompt line, a bare command line or a heading holds; None for any other line."""
    line = line.strip()
    if match := _USER_AT_HOST.match(line):
        return Command(match[2] or "", host=match[1])
    if match := _PROGRAM.search(line, 0, MAX_PROMPT * 2):
        before = line[: match.start()].rstrip()
        if before and before[-1] in _PROMPT_END and len(before) <= MAX_PROMPT:
            return Command(line[match.start() :])
        if before.lstrip("+ ") in _BARE_PREFIX and _BARE_COMMAND.match(line, match.start()):
            return Command(line[match.start() :], prompted=False)
        if _EXEC_LINE.match(line):
            return Command(line, prompted=False)
    if match := _WINDOWS_PROMPT.match(line) or _SHORT_PROMPT.match(line):
        return Command(match[1] or "")
    if match := _HEADING.fullmatch(line[:MAX_PROMPT]):
        return Command(match[match.lastindex or 0], prompted=False, heading=not line.startswith("# "))
    if len(line) <= MAX_PROMPT and _EMPTY_PROMPT.match(line):
        return Command("")
    return None
