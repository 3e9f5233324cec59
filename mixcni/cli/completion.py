"""`mixcni completion`: what a shell needs to complete mixcni's commands and options."""

import click
from click.shell_completion import get_completion_class

from mixcni.cli.group import main

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    r"""Print the completion script of a shell.

    \b
      mixcni completion bash > ~/.local/share/bash-completion/completions/mixcni
      mixcni completion zsh > "${fpath[1]}/_mixcni"
      mixcni completion fish > ~/.config/fish/completions/mixcni.fish
    """
    made = get_completion_class(shell)
    assert made is not None, "click completes these shells"
    click.echo(made(main, {}, "mixcni", "_MIXCNI_COMPLETE").source())
