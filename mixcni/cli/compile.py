"""`mixcni compile`: machine code of all kernels, made ahead."""

import click


@click.command()
def compile() -> None:  # noqa: A001, the command's name
    """Make machine code for large captures now, which takes half a minute once.

    Else the first large capture waits for it; small ones need none.
    """
    from mixcni.case import compile_kernels

    compile_kernels()
    click.echo("mixcni: machine code is there for captures of any size", err=True)
