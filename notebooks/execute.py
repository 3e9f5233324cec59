"""Execute the notebooks beside this file and hold their outputs against the saved ones: `execute.py [--save]`.

With `--save` the notebooks are written with the outputs that they have now. Exit 1 where a cell fails or its text differs.
"""

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent


def texts(notebook: Any) -> list[str]:
    """Each cell's output as text, streams and plain results in one, however many messages they came in."""
    return [
        "".join(str(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", ()))
        for cell in notebook.cells
    ]


def execute(path: Path, *, save: bool) -> str | None:
    """Run one notebook; what is wrong with it, or None."""
    saved = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    fresh = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
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
        nbformat.write(fresh, path)  # type: ignore[no-untyped-call]
        return None
    for number, (now, then) in enumerate(zip(texts(fresh), texts(saved), strict=True)):
        if now != then:
            return f"{path.name}, cell {number}: its output is not the saved one:\n{now}\n--- saved ---\n{then}"
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
