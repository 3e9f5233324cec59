"""Dumps rewritten: the lines that were understood, with addresses and names replaced; all others are left out.

A dump of a kind that is not listed here is left out whole: what it holds is not known well enough to be given away.
"""

import re
from typing import Final, NamedTuple

from mixcni.anonymise.anonymiser import Anonymiser
from mixcni.anonymise.layout import rewritten
from mixcni.cluster.dump import UNRECOGNISED, Dump
from mixcni.cluster.lines import Command, DumpText, clean_text
from mixcni.cluster.loading import read_octets

KINDS: Final = ("ct", "endpoints", "policy_map", "health", "ipcache", "identities", "nodes")
PROGRAM: Final = re.compile(r"(?:^|.*\s)(?:\S*/)?(cilium(?:-dbg|-health)?\s.*)$", re.DOTALL)


class SharedDump(NamedTuple):
    """A dump file as it is given away: its name and text, and what was left out of it, a sentence each."""

    name: str
    text: str
    notes: tuple[str, ...]


def share_dump(octets: bytes, file: str, number: int, mask: Anonymiser) -> SharedDump | None:
    """A dump file rewritten; None where nothing of it can be.

    Parameters
    ----------
    file : its name as reports have it
    number : its place in the order of reading, which its new name keeps
    """
    text = clean_text(octets)
    dumps = [read.dump for read in read_octets(octets, file)]
    kept = [dump for dump in dumps if dump.kind in KINDS]
    if not kept:
        return None
    lines = _lines(text, kept, mask)
    notes = [
        f"{file}:{dump.line}: a dump of kind {dump.kind} is left out" for dump in dumps if dump.kind not in (*KINDS, UNRECOGNISED)
    ]
    dropped = sum(1 for i, line in enumerate(text.lines) if line.strip() and not lines[i].strip())
    if dropped:
        notes.append(f"{file}: {dropped} lines that are no part of a dump that mixcni reads are left out")
    return SharedDump(_name(kept, number), "\n".join(rewritten(lines, mask.text)) + "\n", tuple(notes))


def _lines(text: DumpText, dumps: list[Dump], mask: Anonymiser) -> list[str]:
    """The lines that may stay, by their old numbers: rows of dumps, what marks an omission or a fence, commands."""
    lines = [""] * len(text.lines)
    for dump in dumps:
        unparsed = {line.line for line in dump.unparsed}
        for number in range(dump.line, dump.last_line + 1):
            if number not in unparsed:
                lines[number - 1] = text.lines[number - 1]
    for index in text.elisions:
        lines[index] = "..."
    for index in text.fences:
        lines[index] = "```"
    for index, command in text.commands.items():
        lines[index] = _prompt(command, mask)
    return lines


def _prompt(command: Command, mask: Anonymiser) -> str:
    """A command at a prompt as far as it is Cilium's own; whose shell it was typed in is left out."""
    match = PROGRAM.match(command.text.replace("\n", " "))
    if match is None:
        return ""
    host = f"root@{mask.name(command.host)}:/# " if command.host else "$ "
    return f"{host if command.prompted else ''}{match[1].strip()}"


def _name(dumps: list[Dump], number: int) -> str:
    """A file name that says what is in it: which endpoint's map it is, may be said by the old name alone."""
    first = dumps[0]
    endpoint = f"-{first.endpoint_id}" if first.kind == "policy_map" and first.endpoint_id is not None else ""
    words = {"policy_map": "bpf-policy-get", "ct": "ct-list", "endpoints": "endpoint-list", "health": "health-status"}
    words |= {"ipcache": "ipcache-list", "identities": "identity-list", "nodes": "node-list"}
    return f"{number:02d}-{words[first.kind]}{endpoint}.txt"
