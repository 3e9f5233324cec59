"""Machine code made ahead: every kernel that a large case needs is there afterwards."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import mixcni
from mixcni.case import compile_kernels
from mixcni.kernels import jit
plain = set()
jit_plain = jit.plain
jit.plain = lambda function, *arguments: plain.add(function) or jit_plain(function, *arguments)
compile_kernels()
datagrams = {known[0].__name__ for known in jit._READY} >= {"find_first", "cluster_equal", "place_in_groups", "keep_rows"}
print(len(plain), jit.PLAIN_BELOW > 0, datagrams)
"""


@pytest.mark.kernels
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="NUMBA_DISABLE_JIT=1: nothing is compiled")
def test_nothing_runs_in_plain_form_meanwhile_and_the_limits_are_back_afterwards():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["0", "True", "True"]
