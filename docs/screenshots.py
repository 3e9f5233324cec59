"""Make the pictures in docs/screenshots/ anew: `python docs/screenshots.py`; needs Chromium for those of the postmortem.

The same code and captures give the same figures and terminal; a browser's pixels depend on its version and fonts.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

import mixcni
from mixcni.report import Report
from mixcni.report.text import print_report

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).resolve().parent / "screenshots"
LOST, CALM = (ROOT / "captures" / name for name in ("networkpolicy-drop", "policy-removed"))
PAGES = {"desktop": (1280, 1500, False), "phone": (390, 1400, False), "dark": (1280, 1500, True)}
BROWSER = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
DARK = "--blink-settings=preferredColorScheme=0"
FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def figures(lost: Report, calm: Report) -> None:
    """Each figure as SVG."""
    for name in ("path", "losses", "ladder"):
        lost.figure(name).save(OUT / f"{name}.svg")
    calm.figure("path").save(OUT / "path-answered.svg")
    calm.figure("clocks").save(OUT / "clocks.svg")
    mixcni.matrix(sorted((ROOT / "captures").glob("*-policy"))).figure().save(OUT / "matrix.svg")


def terminal(report: Report, width: int) -> None:
    """What a terminal shows, in colour; the picture loads no font."""
    console = Console(
        file=io.StringIO(), width=width, record=True, force_terminal=True, color_system="truecolor", highlight=False
    )
    print_report(report.summary, console)
    text = console.export_svg(title="mixcni diagnose captures/networkpolicy-drop", unique_id="mixcni")
    (OUT / f"terminal-{width}.svg").write_text(FONT_FACE.sub("", text), encoding="utf-8")


def postmortem(report: Report) -> None:
    """The page on a desk, on a phone, and in the dark."""
    with tempfile.TemporaryDirectory() as scratch:
        page = report.save(Path(scratch) / "postmortem.html")
        for name, (width, height, is_dark) in PAGES.items():
            target = OUT / f"postmortem-{name}.png"
            size = f"--window-size={width},{height}"
            command = [*BROWSER, f"--user-data-dir={scratch}/profile", *([DARK] if is_dark else []), size]
            subprocess.run([*command, f"--screenshot={target}", page.as_uri()], check=True, capture_output=True)


def main() -> int:
    """Make all of them; 1 where there is no browser."""
    OUT.mkdir(exist_ok=True)
    lost, calm = mixcni.diagnose(LOST), mixcni.diagnose(CALM)
    figures(lost, calm)
    for width in (80, 120):
        terminal(lost, width)
    if shutil.which(BROWSER[0]) is None:
        print(f"{BROWSER[0]} is not on PATH: the pictures of the postmortem are left as they are", file=sys.stderr)
        return 1
    postmortem(lost)
    return 0


if __name__ == "__main__":
    sys.exit(main())
