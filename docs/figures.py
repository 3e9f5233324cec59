"""Draw the figures of the README and the pages anew: `python docs/figures.py`."""

from pathlib import Path

import mixcni

HERE = Path(__file__).resolve().parent
CAPTURES = HERE.parent / "captures"


def main() -> None:
    """Write every figure under docs/figures."""
    mixcni.matrix(sorted(CAPTURES.glob("*-policy"))).figure().save(HERE / "figures" / "matrix.svg")


if __name__ == "__main__":
    main()
