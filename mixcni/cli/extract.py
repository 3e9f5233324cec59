"""`mixcni extract`: chosen conversations as one capture, or a whole case, anonymised if it is to be given away."""

import tempfile
from pathlib import Path

import click

import mixcni
from mixcni.cli.progress import shown_progress


@click.command()
@click.argument("case", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-c",
    "--conversation",
    "conversations",
    multiple=True,
    type=click.IntRange(min=0),
    help="A row of report.conversations, repeatable; without it those that were not answered.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="A .pcapng file; with --anonymize also a folder."
)
@click.option(
    "--anonymize", is_flag=True, help="Replace addresses and names, remove payload; a folder becomes a case of its own."
)
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --anonymize: the same key gives the same addresses in another case. Without it a random key is used once.",
)
def extract(case: Path, conversations: tuple[int, ...], output: Path, anonymize: bool, key_file: Path | None) -> None:
    r"""Write the frames that matter, from all points on one clock, or a case that can be given away.

    A .pcapng has one interface a point, and each frame a comment on what it shows. A folder gets all captures, dumps and the
    case.toml with addresses mapped prefix by prefix and payloads zeroed; it diagnoses like the original.

    \b
      mixcni extract captures/networkpolicy-drop -o evidence.pcapng
      mixcni extract captures/networkpolicy-drop -c 3 -o one.pcapng --anonymize
      mixcni extract captures/networkpolicy-drop --anonymize -o for-the-vendor/
    """
    if key_file is not None and not anonymize:
        raise click.UsageError("--key-file goes with --anonymize")
    key = None if key_file is None else key_file.read_bytes()
    opened = mixcni.open_case(case)
    if output.suffix == ".pcapng":
        _extract_frames(opened, conversations, output, key, anonymize=anonymize)
    elif not anonymize:
        raise click.UsageError(f"-o {output}: wanted a .pcapng file, or --anonymize for a folder")
    elif conversations:
        raise click.UsageError(f"-o {output}: chosen conversations go into a .pcapng file")
    else:
        _share(opened, output, key)
        click.echo(f"mixcni: wrote {output}", err=True)


def _extract_frames(
    case: "mixcni.Case", conversations: tuple[int, ...], output: Path, key: bytes | None, *, anonymize: bool
) -> None:
    """Write evidence; the anonymised is that of the anonymised case, so that its comments are of that as well."""
    from mixcni.report.evidence import save_evidence
    from mixcni.words import plural

    with tempfile.TemporaryDirectory() as scratch:
        if anonymize:
            folder = Path(scratch) / "case"
            _share(case, folder, key)
            case = mixcni.open_case(folder)
        with shown_progress() as progress:
            report = mixcni.diagnose(case, progress=progress)
        frames, written = save_evidence(report, output, conversations or None)
    click.echo(f"mixcni: wrote {plural(frames, 'frame')} of {plural(written, 'conversation')} to {output}", err=True)


def _share(case: "mixcni.Case", folder: Path, key: bytes | None) -> None:
    from mixcni.anonymise import share_case
    from mixcni.words import printable

    with shown_progress() as progress:
        notes = share_case(case, folder, key, progress=progress)
    for note in notes:
        click.echo(f"mixcni: {printable(note)}", err=True)
