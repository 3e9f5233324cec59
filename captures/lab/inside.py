"""Threads inside a network namespace: the lab's applications run in one process, each thread where its pod is."""

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from namespaces import LabError, Namespace

CLONE_NEWNET: Final = 0x4000_0000  # linux/sched.h
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def enter(namespace: Namespace) -> None:
    """Move the calling thread, and the threads that it will start, into a namespace; sockets made before stay where they are."""
    with Path("/run/netns", namespace.name).open("rb") as handle:
        if _LIBC.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise LabError(f"{namespace.name} cannot be entered: {os.strerror(ctypes.get_errno())}")


class Inside:
    """A thread that runs one function inside a namespace; `result` waits for it and raises what it raised."""

    def __init__(self, namespace: Namespace, call: Callable[..., Any], *arguments: Any) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(namespace, call, arguments), daemon=True)
        self._thread.start()

    def _run(self, namespace: Namespace, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            enter(namespace)
            self._value = call(*arguments)
        except BaseException as error:  # noqa: BLE001  # handed over to the thread that waits
            self._error = error

    def result(self, wait_s: float) -> Any:
        """What the function returned."""
        self._thread.join(wait_s)
        if self._thread.is_alive():
            raise LabError(f"a thread of the lab was not done within {wait_s:.0f} s")
        if self._error is not None:
            raise self._error
        return self._value
