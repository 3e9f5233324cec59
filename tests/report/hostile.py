"""A case whose names, labels, files and dumps try to break out of every form of a report."""

import json
from pathlib import Path

import mixcni
from mixcni.report import Report
from tests.cases import FOUNDING, copy_of

MARKUP = "<img src=x onerror=alert(1)>"
NAME = f"\"'><script>alert(1)</script>{MARKUP}|`**@team** #7 $\\frac{{1}}$ &amp; {{{{7*7}}}} \x1b[2J\x07\u202e]]>"
"""For titles and names in case.toml."""
FILE = f"{MARKUP} `|` $\\frac @team.pcap"
LABEL = "</script><script>alert(1)</script>"
UNSEEN = ("\x1b", "\x07", "\u202e")


def hostile_case(tmp_path: Path, address: str = "http://127.0.0.1:9/") -> Path:
    """The founding case with such names; `address` is what its markup would load."""

    def change(folder: Path) -> None:
        name = json.dumps(f"{NAME}<link rel=stylesheet href={address}><iframe src={address}></iframe>")
        toml = (folder / "case.toml").read_text()
        title = toml.splitlines()[0]
        toml = toml.replace(title, f"title = {name}")
        for point in "ABC":
            toml = toml.replace(f'"{point}"', json.dumps(f"{NAME}{point}"))
        toml = toml.replace('"cilium-1"', name).replace('"A.pcap"', f'"{FILE}"'.replace("\\", "\\\\"))
        (folder / "A.pcap").rename(folder / FILE)
        (folder / "case.toml").write_text(toml, encoding="utf-8")
        for path in (folder / "cilium").iterdir():
            path.write_text(path.read_text().replace("k8s:app=shop-web", f"k8s:app={LABEL}"), encoding="utf-8")
        (folder / "cilium" / f"{MARKUP}.txt").write_text(f"{NAME}<img src={address}>\n" * 3, encoding="utf-8")

    return copy_of(FOUNDING, tmp_path, change)


def hostile_report(tmp_path: Path, address: str = "http://127.0.0.1:9/") -> Report:
    """The report on it: a loss, as ever."""
    return mixcni.diagnose(hostile_case(tmp_path, address))
