"""Linux network namespaces: made under names of their own, entered, and always removed.

Every namespace is called `mixcni-lab-<process id>-<role>`. The process id keeps two labs apart and tells, after a
crash, which namespaces have lost their owner: those are removed when the next lab opens.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

PREFIX: Final = "mixcni-lab"
OWNED: Final = re.compile(rf"{PREFIX}-(\d+)-[\w-]+")
TOOLS: Final = ("ip", "nft", "sysctl", "tcpdump")
STOPPING_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
KILL_WAIT_S: Final = 5.0


class LabError(Exception):
    """The lab cannot go on; the message says why, in one line."""


def require_root_and_tools(*more: str) -> None:
    """Raise `LabError` where namespaces cannot be made or a tool is missing."""
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and captures packets: run it as root")
    missing = [tool for tool in (*TOOLS, *more) if shutil.which(tool) is None]
    if missing:
        raise LabError(f"not found on PATH: {', '.join(missing)}")


def has_sysctl(name: str) -> bool:
    """Whether this kernel knows the parameter, its name written with dots."""
    return Path("/proc/sys", *name.split(".")).exists()


def run(*command: str, stdin: str = "") -> str:
    """Standard output of a command; `LabError` with its first line of complaint where it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaint = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[0]
        raise LabError(f"{' '.join(command)}: exit {done.returncode}: {complaint}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace by its full name."""

    name: str

    def ip(self, arguments: str) -> None:
        """Run `ip` on this namespace's links, addresses and routes; `arguments` are split at blanks."""
        run("ip", "-n", self.name, *arguments.split())

    def batch(self, *lines: str) -> None:
        """Run several `ip` commands as one process; each is a line of arguments."""
        run("ip", "-n", self.name, "-batch", "-", stdin="".join(f"{line}\n" for line in lines))

    def run(self, *command: str, stdin: str = "") -> str:
        """Standard output of a command run inside."""
        return run("ip", "netns", "exec", self.name, *command, stdin=stdin)

    def sysctl(self, **settings: int) -> None:
        """Set kernel parameters of this namespace, a dot in a name written as two underscores."""
        self.run("sysctl", "-q", "-w", *(f"{key.replace('__', '.')}={value}" for key, value in settings.items()))


class Namespaces:
    """The namespaces and processes of one lab; leaving the context ends and removes them all, signals or not."""

    def __init__(self) -> None:
        self._namespaces: list[Namespace] = []
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        remove_leftovers()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        # A second Ctrl-C must not leave half a network behind, so signals wait until the first one's work is done.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
        try:
            for process in self._processes:
                _end(process)
            _remove(namespace.name for namespace in self._namespaces)
        finally:
            self._processes.clear()
            self._namespaces.clear()
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def add(self, role: str) -> Namespace:
        """Make a namespace, its loopback up and IPv6 off: autoconfiguration would only fill the captures."""
        namespace = Namespace(f"{PREFIX}-{os.getpid()}-{role}")
        self._namespaces.append(namespace)
        run("ip", "netns", "add", namespace.name)
        if has_sysctl("net.ipv6.conf.all.disable_ipv6"):
            namespace.sysctl(net__ipv6__conf__all__disable_ipv6=1, net__ipv6__conf__default__disable_ipv6=1)
        namespace.ip("link set lo up")
        return namespace

    def spawn(
        self,
        namespace: Namespace,
        *command: str,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command inside; its process id is the command's own, for `ip netns exec` becomes the command."""
        process = subprocess.Popen(
            ("ip", "netns", "exec", namespace.name, *command),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,  # a terminal's Ctrl-C is for the lab alone, which ends its processes in order
        )
        self._processes.append(process)
        return process


def remove_leftovers() -> None:
    """Remove the namespaces of labs that ended without doing so, and the processes still in them."""
    listed = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip()]
    owners = {name: int(match[1]) for name in listed if (match := OWNED.fullmatch(name))}
    # A namespace under this process's own id, before it made any, belonged to an earlier process of the same id.
    _remove(name for name, owner in owners.items() if owner == os.getpid() or not is_running(owner))


def is_running(process_id: int) -> bool:
    """Whether a process of this id is there."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(KILL_WAIT_S)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _remove(names: Iterable[str]) -> None:
    """Remove namespaces by name; one that fails does not keep the others, and is named when all were tried."""
    failures = []
    for name in names:
        _end_processes_in(name)
        if Path("/run/netns", name).exists():
            try:
                run("ip", "netns", "del", name)
            except LabError as error:
                failures.append(str(error))
    if failures:
        raise LabError("; ".join(failures))


def _end_processes_in(name: str) -> None:
    """Kill what is still inside a namespace of the lab's, which would keep it alive without its name."""
    try:
        process_ids = run("ip", "netns", "pids", name).split()
    except LabError:
        return  # it was never made
    for process_id in process_ids:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
            os.kill(int(process_id), signal.SIGKILL)
