"""Execute the notebooks beside this file and hold their outputs against the saved ones: `execute.py [--save]`.

With `--save` the notebooks are written with the outputs that they have now. Exit 1 where a cell fails or its text differs.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent


def texts(notebook: Any) -> Iterator[tuple[int, str]]:
    """Number and text of every output, streams and plain results alike; what only a browser shows is left out."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            text = output.get("text") or output.get("data", {}).get("text/plain") or ""
            yield number, str(text)


def execute(path: Path, *, save: bool) -> str | None:
    """Run one notebook; what is wrong with it, or None."""
    saved = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    try:
        NotebookClient(
            fresh,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(HERE)}},
            extra_arguments=["--log-level=ERROR"],
        ).execute()
    except CellExecutionError as error:
        return f"{path.name}: {error}"
    if save:
        for cell in fresh.cells:
            cell.get("metadata", {}).pop("execution", None)
        nbformat.write(fresh, path)
        return None
    for (number, now), (_, then) in zip(texts(fresh), texts(saved), strict=False):
        if now != then:
            return f"{path.name}, cell {number}: its output is not the saved one:\n{now}\n--- saved ---\n{then}"
    if len(list(texts(fresh))) != len(list(texts(saved))):
        return f"{path.name}: cells have outputs that the saved notebook lacks, or the reverse"
    return None


def main() -> int:
    """Run all notebooks; 0 if every one is as saved."""
    save = "--save" in sys.argv[1:]
    failures = [failure for path in sorted(HERE.glob("*.ipynb")) if (failure := execute(path, save=save))]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
