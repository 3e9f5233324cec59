"""What pages take from the program itself, so that they cannot differ from it: see `_REPLACEMENTS`."""

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"^\{\{ (?P<what>\w+) (?P<rest>[^}]+?) \}\}$", re.MULTILINE)
DANGLING = re.compile("\\s*\u2013" r'\s*<div class="doc-md-description">\s*</div>')
SCHEMAS = {"report": "mixcni.report", "comparison": "mixcni.comparison", "matrix": "mixcni.experiments"}
WIDTH = 80


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page with its marks replaced."""
    return MARK.sub(_replacement, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """A page without the dashes behind parameters whose one line is all there is of them."""
    return DANGLING.sub("", html)


def _replacement(match: re.Match[str]) -> str:
    return _REPLACEMENTS[match["what"]](match["rest"])


def _schema(name: str) -> str:
    return f"```json\n{import_module(SCHEMAS[name]).schema_text().rstrip()}\n```"


def _run(command: str) -> str:
    arguments = shlex.split(command)
    return f"```\n$ mixcni {shlex.join(arguments)}\n{_output(arguments).rstrip()}\n```"


def _help(name: str) -> str:
    return f"## `mixcni {name}`\n\n{_run(f'{name} --help')}"


def _columns(name: str) -> str:
    rows = [
        f"| `{column}` | {about.dtype} | {about.unit} | {about.source} | {about.note} |"
        for column, about in getattr(import_module("mixcni.schema"), name).items()
    ]
    return "\n".join(["| column | dtype | unit | source | |", "|---|---|---|---|---|", *rows])


def _readme(title: str) -> str:
    """A section of README.md, without its title."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n## {title}\n")
    if not found:
        raise RuntimeError(f"README.md has no section {title!r}")
    return rest.partition("\n## ")[0].strip()


_REPLACEMENTS = {"schema": _schema, "run": _run, "help": _help, "columns": _columns, "readme": _readme}


def _output(arguments: list[str]) -> str:
    """What the command prints; a path in the checkout is taken from there, wherever the site is built."""
    from mixcni.cli import main

    there = [str(ROOT / argument) if (ROOT / argument).exists() and "/" in argument else argument for argument in arguments]
    result = CliRunner().invoke(main, there, prog_name="mixcni", terminal_width=WIDTH)
    if result.exit_code:
        raise RuntimeError(f"mixcni {shlex.join(arguments)} ended with {result.exit_code}: {result.output}")
    return result.stdout
