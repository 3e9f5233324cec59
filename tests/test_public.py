"""What `import mixcni` gives, and what it costs."""

import re
import subprocess
import sys

import pytest

import mixcni
from tests.cases import ROOT


def test_the_exported_names_are_these() -> None:
    assert mixcni.__all__ == [
        "Capture",
        "CaptureError",
        "Case",
        "CaseError",
        "Comparison",
        "DumpError",
        "Matrix",
        "MixcniError",
        "ParameterError",
        "Report",
        "case_of_files",
        "compare",
        "demo_folder",
        "diagnose",
        "matrix",
        "open_capture",
        "open_case",
    ]
    assert all(getattr(mixcni, name).__module__.startswith("mixcni.") for name in mixcni.__all__)
    assert set(mixcni.__all__) <= set(dir(mixcni))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"'mixcni' has no attribute 'diagnosis_'; it has Capture, CaptureError, Case"):
        mixcni.diagnosis_  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import mixcni", "numpy numba pandas networkx scipy scapy dpkt click rich jinja2 jsonschema yaml matplotlib"),
        ("import mixcni.cli", "numpy numba pandas networkx scipy scapy dpkt jsonschema matplotlib"),
        (
            "import mixcni; mixcni.diagnose('captures/networkpolicy-drop').to_json()",
            "numba pandas scapy dpkt jsonschema matplotlib",
        ),
    ],
)
def test_heavy_imports_are_made_where_they_are_used(statement: str, absent: str) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(absent.split()) & set(done.stdout.split())


def test_the_readme_shows_what_the_demo_prints() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = readme.split("$ mixcni demo\n")[1].split("```")[0]
    printed = re.sub(r"\s+", " ", str(mixcni.diagnose(mixcni.demo_folder())))
    for part in shown.split("...\n"):
        assert re.sub(r"\s+", " ", part).strip() in printed


def test_the_readme_names_every_command() -> None:
    from mixcni.cli.group import COMMANDS

    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"`mixcni {name} " not in readme and f"`mixcni {name}`" not in readme] == []


def test_the_readmes_python_runs() -> None:
    code = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code = code.replace('report.save("report.html")', "report.save(__import__('tempfile').mkdtemp() + '/report.html')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "10.244.3.7:60820" in done.stdout
