"""The fuzzer of reading and decoding runs, for ten seconds here; longer by hand (fuzz/captures.py)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("atheris") is None:
    pytest.skip("atheris is not installed", allow_module_level=True)

FUZZER = Path(__file__).parents[2] / "fuzz" / "captures.py"


def test_ten_seconds_of_fuzzing_find_nothing(tmp_path):
    limits = ["-max_total_time=10", "-max_len=8192", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run([sys.executable, str(FUZZER), *limits], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr
    assert not list(tmp_path.iterdir())
