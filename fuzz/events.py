#!/usr/bin/env python3
"""Coverage-guided fuzzing of the readers of events and logs: `events.py [CORPUS] [libFuzzer options]`, with atheris.

What holds of any octets holds as in `dumps.py`. The seeds are what the tests have of monitor, Hubble, pwru, Retis, access logs
and the kernel's conntrack.
"""

import sys
from pathlib import Path

from dumps import fuzz  # beside this file; first, for it instruments what is imported

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.cluster.test_any_event import TEXTS

if __name__ == "__main__":
    fuzz(text.encode() for text in TEXTS)
