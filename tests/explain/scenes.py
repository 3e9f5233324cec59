"""Reports on scenes: what was said between ends, as each point's capture has it, with kinds of points and dumps where given."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mixcni
from mixcni.explain import Finding
from mixcni.report import Report
from tests.scene import Talk, captured
from tests.wire import Frame, write_pcap


def report_on(
    tmp_path: Path,
    talks: Sequence[Talk],
    *,
    more: Mapping[str, Sequence[Frame]] | None = None,
    kinds: Mapping[str, str] | None = None,
    without: str = "",
    dump: str = "",
    **options: Any,
) -> Report:
    """The report on a case of these talks.

    Parameters
    ----------
    more : further frames of each point's capture
    kinds : of points
    without : the points that were not captured
    options : of `captured`
    """
    frames = captured(list(itertools.chain(*(talk.sent for talk in talks))), **options)
    names = [name for name in frames if name not in without]
    lines = [f"[path]\nrequest = {names}"]
    for name in names:
        ordered = sorted([*frames[name], *(more or {}).get(name, ())], key=lambda frame: frame.time_ns)
        write_pcap(tmp_path / f"{name}.pcap", ordered)
        kind = f'\nkind = "{kinds[name]}"' if kinds and name in kinds else ""
        lines.append(f'[[point]]\nname = "{name}"\ncaptures = ["{name}.pcap"]{kind}')
    if dump:
        (tmp_path / "dump.txt").write_text(dump)
        lines.append('[cluster]\ndumps = ["dump.txt"]')
    (tmp_path / "case.toml").write_text("\n".join(lines))
    return mixcni.diagnose(mixcni.open_case(tmp_path))


def finding_of(report: Report, cause: str) -> Finding | None:
    """The first finding of a cause."""
    return next((finding for finding in report.findings_found if finding.cause == cause), None)


def healthy(count: int = 6, ttl: int = 64, until_ms: int = 30_000) -> list[Talk]:
    """Connections to the usual responder that work from the beginning to the end of the captures; `ttl` of its segments."""
    talks = []
    for number in range(count):
        talk = Talk(initiator=("10.244.3.9", 50_000 + number))
        talk.say(10 * number, 0, "S")
        talk.say(10 * number + 4, 1, "SA", ttl=ttl)
        talk.say(10 * number + 8, 0, "A")
        for ms in (500, until_ms):
            talk.say(ms + number, 0, "PA", 100)
            talk.say(ms + number + 4, 1, "PA", 200, ttl=ttl)
            talk.say(ms + number + 8, 0, "A")
        talks.append(talk)
    return talks
