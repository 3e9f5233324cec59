"""`make bench`: packets a second of mixcni, and of those peers that are installed, side by side on one core.

Captures are made once and kept in bench/data. Each is read before it is measured, so that the kernel has it in memory;
every measurement has a process of its own, and the peers take turns, repeat after repeat. All must count the same packets.
"""

import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median

import click
from generate import MIXES, SEED, capture_path, first_packets
from peers import DECODE, DIAGNOSE, FLOOR, FLOWS, PEERS, Peer, read_octets
from rich.console import Console
from rich.table import Table
from table import COLUMNS, Result, cells, markdown

HERE = Path(__file__).parent
ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
OURS = (FLOOR, DECODE, FLOWS, DIAGNOSE)


class CountsDifferError(Exception):
    """Some peer counted other packets than the capture has."""


def make_capture(mix: str, packets: int) -> Path:
    """The capture, made in a process of its own, so that its memory is given back, and read once."""
    path = capture_path(mix, packets, SEED)
    if not path.exists():
        subprocess.run([sys.executable, str(HERE / "generate.py"), mix, str(packets)], check=True, stdout=subprocess.DEVNULL)
    read_octets(path)
    return path


def measure_once(name: str, path: Path) -> tuple[int, float, int]:
    """Packets counted, processor seconds taken and peak octets of one run in a process of its own."""
    command = [sys.executable, str(HERE / "peers.py"), name, str(path)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    if run.returncode:
        raise click.ClickException(f"{name} failed: {run.stderr.strip().splitlines()[-1:]}")
    answer = json.loads(run.stdout.splitlines()[-1])
    return answer["packets"], answer["seconds"], answer["peak_octets"]


def measure(mix: str, packets: int, names: list[str], repeat: int) -> list[Result]:
    """Every peer that can read this mix, `repeat` times.

    Raises
    ------
    CountsDifferError : a peer counted other packets than it was given
    """
    path = make_capture(mix, packets)
    given = {name: min(packets, PEERS[name].most) for name in names if mix in PEERS[name].mixes}
    files = {name: path if count == packets else first_packets(path, count) for name, count in given.items()}
    alone = first_packets(path, 1)
    startup = {
        name: median(measure_once(name, alone)[1] for _ in range(repeat)) if PEERS[name].is_program else 0.0 for name in given
    }
    runs: dict[str, list[tuple[int, float, int]]] = {name: [] for name in given}
    for _ in range(repeat):
        for name in given:
            runs[name].append(measure_once(name, files[name]))
    differing = [
        f"{name} counted {counted:,} of {given[name]:,} packets"
        for name in given
        if name != FLOOR
        for counted in sorted({run[0] for run in runs[name]} - {given[name]})
    ]
    if differing:
        raise CountsDifferError(f"{mix}: {'; '.join(differing)}")
    return [
        Result(
            name,
            given[name],
            tuple(max(seconds - startup[name], 1e-9) for _, seconds, _ in runs[name]),
            max(peak for _, _, peak in runs[name]),
            PEERS[name].against,
            PEERS[name].wanted,
        )
        for name in given
    ]


def machine(core: int) -> list[str]:
    """What the figures depend on: processor, memory, kernel."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    model = re.search(r"model name\s*: (.*)", cpu)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "numba", "mixcni")]
    return [
        f"processor: {model[1] if model else platform.processor()}, {os.cpu_count()} cores, of which number {core} is used",
        f"memory: {memory / 2**30:.1f} GiB",
        f"system: {platform.system()} {platform.release()}",
        ", ".join([f"Python {platform.python_version()}", *versions]),
    ]


def version(peer: Peer) -> str:
    """An installed peer's version, in its own words."""
    if not peer.is_program:
        return f"{peer.needs} {importlib.metadata.version(peer.needs)}"
    said = subprocess.run([peer.needs, peer.version], check=False, capture_output=True, text=True)
    found = re.search(r"\d+\.\d+[\d.]*\d", said.stdout + said.stderr)
    return f"{peer.needs} {found[0] if found else '(version unknown)'}"


def growth_rows(mix: str, sizes: tuple[int, ...], repeat: int) -> list[tuple[str, ...]]:
    """What mixcni alone does on captures of these sizes: packets, packets a second and peak memory."""
    results = [result for size in sorted(sizes) for result in measure(mix, size, [DECODE, FLOWS, DIAGNOSE], repeat)]
    results.sort(key=lambda result: result.name)
    return [(r.name, f"{r.packets:,}", f"{r.rate:,.0f}", f"{r.peak_octets / 2**20:,.0f}") for r in results]


def show(console: Console, title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """One table on the terminal."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


NOTES = """\
Each row is the median of the repeats, each in a process of its own. Seconds are processor time, user and system, of all the
processes that a peer starts, on one core: what else the machine does stays out of them, but for its share of the caches.
`spread` is half the distance between the fastest and the slowest repeat. A peer that is slow is given the first packets of
the file only (column `packets`), and compared by packets a second. Of a program, what it takes for one packet is taken off;
of a Python peer, imports are not timed, and of mixcni the loading of its cached machine code is not. `of it reading` is the
share that reading the file alone takes (`preadv` into one buffer of 1 MiB, the file in the kernel's memory). `wanted` is
what is asked for at least. Peers that decode stand against `mixcni-decode`, those that follow flows against `mixcni-flows`;
`mixcni-diagnose` reports on three points that have this capture each, whose packets are counted once, and `tshark-analysis`
looks at one of them. `fpcap` only reads and decodes nothing. A peer is left out where it cannot follow the traffic.
"""


@click.command()
@click.option("--packets", type=click.IntRange(1), default=1_000_000, show_default=True, help="Size of each capture.")
@click.option("--mixes", default=",".join(MIXES), show_default=True, help="Kinds of traffic, with commas.")
@click.option("--peers", default=",".join(PEERS), show_default=True, help="Whom to run, with commas.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True)
@click.option("--growth", type=click.IntRange(1), multiple=True, help="Also mixcni alone on the first mix, of this size.")
@click.option("--core", type=int, default=max(os.sched_getaffinity(0)), show_default=True, help="The one to run on.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables here as Markdown.")
def main(packets: int, mixes: str, peers: str, repeat: int, growth: tuple[int, ...], core: int, out: Path | None) -> None:
    """Measure mixcni and its peers, side by side."""
    chosen = mixes.split(",")
    for name, known in [*((name, MIXES) for name in chosen), *((name, PEERS) for name in peers.split(","))]:
        if name not in known:
            raise click.UsageError(f"{name!r} is none of {', '.join(known)}")
    names = [name for name in PEERS if name in peers.split(",")]
    missing = [name for name in names if not PEERS[name].is_installed()]
    names = [name for name in names if name not in missing]
    os.sched_setaffinity(0, {core})
    console = Console(width=None if sys.stdout.isatty() else 120)
    absent = f"not installed, so not measured: {', '.join(missing)}" if missing else ""
    facts = machine(core)
    facts += ["peers: " + ", ".join(sorted({version(PEERS[name]) for name in names if name not in OURS}) or ["none"])]
    facts += [absent] if absent else []
    console.print("\n".join(facts))
    arguments = shlex.join(sys.argv[1:])
    text = ["# Packets a second\n", f"Written by `python bench/run.py {arguments}`.\n", "\n".join(f"- {fact}" for fact in facts)]
    text += ["", NOTES]
    try:
        for mix in chosen:
            rows = cells(measure(mix, packets, names, repeat), FLOOR)
            show(console, f"{mix}, {packets:,} packets", COLUMNS, rows)
            text += [f"## {mix}, {packets:,} packets\n", markdown(COLUMNS, rows)]
        if growth:
            columns, rows = ("what", "packets", "packets/s", "peak MiB"), growth_rows(chosen[0], growth, repeat)
            show(console, f"growth, {chosen[0]}", columns, rows)
            text += [f"## Growth, {chosen[0]}\n", markdown(columns, rows)]
    except CountsDifferError as error:
        raise click.ClickException(str(error)) from error
    if out is not None:
        out.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
