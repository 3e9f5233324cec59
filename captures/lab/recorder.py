"""tcpdump at a capture point: listening before the first packet, ended after the last one is written."""

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from namespaces import LabError, Namespace, Namespaces, run

BUFFER_KIB: Final = 16_384
START_WAIT_S: Final = 10.0
QUIET_S: Final = 0.4
QUIET_WAIT_S: Final = 5.0
POLL_S: Final = 0.05


class IncompleteCapture(LabError):
    """The kernel dropped packets that tcpdump was to write."""


@dataclass(frozen=True, slots=True)
class CaptureSummary:
    """tcpdump's closing words, in packets."""

    captured: int
    received_by_filter: int
    dropped_by_kernel: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the three counts from what tcpdump wrote to standard error."""
        counts = []
        for words in ("captured", "received by filter", "dropped by kernel"):
            match = re.search(rf"(\d+) packets? {words}", text)
            if match is None:
                raise LabError(f"tcpdump ended without saying how many packets were {words}")
            counts.append(int(match[1]))
        return cls(*counts)


class Recorder:
    """One running tcpdump that writes `path`; the constructor returns once it listens.

    largest : octets of the largest frame; 0: as large as tcpdump can
    buffer_kib : the kernel's buffer, which has a slot of that size for each frame
    """

    def __init__(
        self, lab: Namespaces, namespace: Namespace, interface: str, path: Path, *, largest: int = 0, buffer_kib: int = BUFFER_KIB
    ) -> None:
        self.path = path
        self._said = path.with_suffix(".stderr")
        # The file is opened here and not by tcpdump, which may have given up root by the time it would open it.
        with path.open("wb") as packets, self._said.open("wb") as said:
            self._process = lab.spawn(
                namespace,
                *("tcpdump", "-n", "-i", interface, "-s", str(largest), "-B", str(buffer_kib), "-U", "--immediate-mode"),
                *("--time-stamp-precision=nano", "-w", "-"),
                stdout=packets,
                stderr=said,
            )
        self._wait_until_listening()

    def stop(self, *, wait: bool = True) -> CaptureSummary:
        """End the capture once its file has been quiet for a moment, or without waiting for that; what tcpdump counted."""
        if wait:
            self._wait_until_quiet()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(START_WAIT_S)
        except subprocess.TimeoutExpired:
            raise LabError(f"tcpdump for {self.path.name} did not end on SIGINT") from None
        summary = CaptureSummary.parse(self._said.read_text())
        self._said.unlink()
        if summary.dropped_by_kernel:
            raise IncompleteCapture(f"{self.path.name} is not whole: the kernel dropped {summary.dropped_by_kernel} packets")
        return summary

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline:
            said = self._said.read_text()
            if "listening on" in said:
                return
            if self._process.poll() is not None:
                raise LabError(f"tcpdump for {self.path.name} ended: {said.strip() or 'no message'}")
            time.sleep(POLL_S)
        raise LabError(f"tcpdump for {self.path.name} did not listen within {START_WAIT_S:.0f} s")

    def _wait_until_quiet(self) -> None:
        deadline = time.monotonic() + QUIET_WAIT_S
        size, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_S and time.monotonic() < deadline:
            if (now := self.path.stat().st_size) != size:
                size, since = now, time.monotonic()
            time.sleep(POLL_S)


def tcpdump_versions() -> dict[str, str]:
    """The versions of tcpdump and of the libpcap that it uses."""
    done = subprocess.run(("tcpdump", "--version"), capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^(tcpdump|libpcap) version (\S+)", done.stdout + done.stderr, re.MULTILINE))
    return {name: str(version) for name, version in found.items()}


def kernel_version() -> str:
    """Name and number of the kernel, without the suffix that a distribution or a cloud adds to it."""
    name, release = run("uname", "-sr").split()
    number = re.match(r"[\d.]+", release)
    return f"{name} {number[0] if number else release}"
