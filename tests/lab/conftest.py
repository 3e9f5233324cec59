"""The lab is a program of flat modules; its tests import them as it does itself."""

import sys

from tests.cases import CAPTURES

sys.path.insert(0, str(CAPTURES / "lab"))
