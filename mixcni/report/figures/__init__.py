"""Figures of a report: matplotlib draws them, SVG carries them, and they read in light and dark, in colour and without.

Colours are Okabe and Ito's (2008), which the colour-blind tell apart; what they say is said by form or words too. The number of
marks is bounded, however large the captures are. The same report gives the same octets.
"""

from collections.abc import Callable
from typing import Final

from mixcni.errors import ParameterError
from mixcni.localise import Localisation
from mixcni.report.figures.clocks import draw_clocks
from mixcni.report.figures.drawing import Drawing
from mixcni.report.figures.ladder import draw_ladder
from mixcni.report.figures.losses import draw_losses
from mixcni.report.figures.path import draw_path

__all__ = ["FIGURES", "Drawing", "draw", "draw_ladder", "draw_path"]

FIGURES: Final[dict[str, Callable[[Localisation], Drawing]]] = {
    "path": draw_path,
    "losses": draw_losses,
    "clocks": draw_clocks,
}


def draw(localisation: Localisation, name: str) -> Drawing:
    """The figure of that name.

    Raises
    ------
    ParameterError : there is none
    """
    if name not in FIGURES:
        raise ParameterError(f"figure must be {', '.join(FIGURES)} or ladder, got {name!r}")
    return FIGURES[name](localisation)
