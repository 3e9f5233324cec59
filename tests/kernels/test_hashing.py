"""The seed of hash tables: of the process's own, so that no capture can be made for it."""

import subprocess
import sys


def test_another_process_has_another_seed():
    program = "from mixcni.kernels.hashing import SEED, empty_slots; print(SEED, empty_slots(8)[8])"
    seen = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(seen) > 1
    assert all(len(set(line.split())) == 1 for line in seen)
