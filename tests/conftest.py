"""What all tests share: deterministic Hypothesis, and what a test may need of the machine."""

import os
import shutil

import pytest
from hypothesis import settings

settings.register_profile("mixcni", deadline=None, derandomize=True, database=None)
settings.load_profile("mixcni")

LAB_TOOLS = ("ip", "nft", "ss", "sysctl", "tc", "tcpdump")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-baselines`: write what reports say now, to be read with `git diff` before it is kept."""
    parser.addoption("--update-baselines", action="store_true", help="write the baselines instead of comparing with them")


def _lacks(marker: str) -> str | None:
    """Why this machine cannot run tests with a marker; None if it can."""
    if marker == "tshark":
        return None if shutil.which("tshark") else "tshark is not on PATH"
    if marker == "browser":
        return None if shutil.which("chromium") else "chromium is not on PATH"
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in LAB_TOOLS if shutil.which(tool) is None]
    return f"not on PATH: {', '.join(missing)}" if missing else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, with the reason; where MIXCNI_NO_SKIP=1 that is a failure."""
    for marker in ("lab", "tshark", "browser"):
        if item.get_closest_marker(marker) is None:
            continue
        reason = _lacks(marker)
        if reason is not None and os.environ.get("MIXCNI_NO_SKIP") == "1":
            pytest.fail(f"no test may skip here: {reason}")
        if reason is not None:
            pytest.skip(reason)
