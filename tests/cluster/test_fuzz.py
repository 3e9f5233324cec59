"""The fuzzers of dumps and of events run, for ten seconds each here; longer by hand (fuzz/dumps.py, fuzz/events.py)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("atheris") is None:
    pytest.skip("atheris is not installed", allow_module_level=True)

FUZZ = Path(__file__).parents[2] / "fuzz"


@pytest.mark.parametrize("fuzzer", ["dumps.py", "events.py"])
def test_ten_seconds_of_fuzzing_find_nothing(fuzzer: str, tmp_path: Path) -> None:
    limits = ["-max_total_time=10", "-max_len=8192", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run([sys.executable, str(FUZZ / fuzzer), *limits], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr
    assert not list(tmp_path.iterdir())
