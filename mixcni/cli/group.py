"""The command `mixcni`: finds the command that is asked for, and turns errors into one line and an exit code."""

import logging
from importlib import import_module
from typing import Any, Final

import click

import mixcni
from mixcni.errors import MixcniError

DONE, FAILED, USAGE, LOST = 0, 1, 2, 3

COMMANDS: Final = (
    "diagnose",
    "points",
    "flows",
    "cluster",
    "compare",
    "matrix",
    "extract",
    "collect",
    "demo",
    "compile",
    "completion",
)
"""In the order of `--help`; each is a function in the module of its name."""


class _Talk(logging.Handler):
    """What the library says while it works, a line each on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"mixcni: {record.getMessage()}", err=True)


class _Commands(click.Group):
    """Imports a command when it is named; its errors are one line on stderr, and exit code 1."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return _with_examples(getattr(import_module(f"mixcni.cli.{name}"), name))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _with_examples(self)
        super().format_help_text(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        talk = logging.getLogger("mixcni")
        if not any(isinstance(handler, _Talk) for handler in talk.handlers):
            talk.addHandler(_Talk())
            talk.setLevel(logging.INFO)
        try:
            return super().invoke(ctx)
        except MixcniError as error:
            click.echo(f"mixcni: {error}", err=True)
        except BrokenPipeError:
            raise  # a pipe that was closed has had enough: click ends without a word
        except OSError as error:
            click.echo(f"mixcni: {error.filename or 'output'}: {error.strerror or error}", err=True)
        return ctx.exit(FAILED)


def _with_examples(command: click.Command) -> click.Command:
    r"""The command, with the `\b` of its docstring, which is raw, as the mark for which click leaves a paragraph as it is."""
    if command.help is not None:
        command.help = command.help.replace(r"\b", "\b")
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(mixcni.__version__, prog_name="mixcni")
def main() -> None:
    r"""Say on which hop of a mixed kubenet and Cilium cluster requests lose their responses, and why.

    \b
      mixcni demo
      mixcni diagnose captures/networkpolicy-drop
      mixcni diagnose --point A=a.pcap --point B=b.pcap --cluster dumps/

    Results go to standard output, talk and progress to standard error. NO_COLOR is heeded.

    Exit codes: 0 done, 1 could not, 2 wrong usage, 3 the verdict that --fail-on names.
    """
