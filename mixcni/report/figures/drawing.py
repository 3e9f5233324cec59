"""A figure, and the SVG that it becomes: presentation attributes in place of styles, the page's own colour for ink."""

import io
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mixcni.words import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREEN, VERMILLION, ORANGE = "#0072b2", "#009e73", "#d55e00", "#e69f00"
"""Okabe and Ito's: requests, responses, what was lost or refused, what is undecided."""
INK: Final = "#010203"  # stands for the text colour of the page around the figure
LONGEST_HEAD: Final = 96  # characters
FAINT: Final = 0.45  # opacity of what is there for orientation

_STYLE = re.compile(r' style="([^"]*)"')
_IDENTIFIER = re.compile(r' id="(?!p[0-9a-f]{10}|m[0-9a-f]{10})[^"]*"')
_SHEET = re.compile(r"<style.*?</style>", re.DOTALL)
_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_FONT = re.compile(r"(?P<rest>.*?)(?P<size>[\d.]+)px (?P<family>.+)")

ON_DARK: Final = {BLUE: "#56b4e9", GREEN: "#2dc79b", VERMILLION: "#f58a45"}
ON_ITS_OWN: Final = (
    "<style>svg{color:#222}@media (prefers-color-scheme:dark){svg{color:#ddd}"
    + "".join(f'[{name}="{light}"]{{{name}:{dark}}}' for light, dark in ON_DARK.items() for name in ("fill", "stroke"))
    + "}</style>"
)


@dataclass(frozen=True)
class Drawing:
    """A figure of a report; a notebook shows it, `save` writes it as .svg, .png or .pdf.

    name : which figure it is; title : what it shows, in a sentence
    figure : matplotlib's, to be changed at will before it is shown

    Examples
    --------
    >>> drawing = mixcni.diagnose("captures/networkpolicy-drop").figure("path")
    >>> drawing.svg.startswith("<svg")
    True
    """

    name: str
    title: str
    figure: "Figure" = field(repr=False)

    @cached_property
    def inline(self) -> str:
        """SVG to stand in a page: in the colour of its text, without styles, so that a strict content policy lets it."""
        import matplotlib as mpl

        stream = io.StringIO()
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"mixcni {self.name}", "text.parse_math": False}):
            self.figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return _plain_svg(stream.getvalue(), self.title)

    @property
    def svg(self) -> str:
        """SVG to stand alone: dark on light, or light on dark where the viewer asks for that."""
        head, end, rest = self.inline.partition(">")
        return f"{head}{end}{ON_ITS_OWN}{rest}"

    def save(self, path: str | Path) -> Path:
        """Write the figure, as its suffix says: .svg by itself, anything else by matplotlib."""
        target = Path(path)
        if target.suffix == ".svg":
            target.write_text(self.svg, encoding="utf-8")
        else:
            self.figure.savefig(target, facecolor="white")
        return target

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">{self.inline}</div>'


def new_figure(width: float, *heights: float) -> "tuple[Figure, list[Axes]]":
    """An empty figure of so many inches with axes of these heights one above the other, in the ink of the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    axes = list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
    for one in axes:
        one.patch.set_visible(False)
        one.tick_params(colors=INK, labelsize=8)
        for side, spine in one.spines.items():
            spine.set_color(INK)
            spine.set_alpha(FAINT)
            spine.set_visible(side in {"left", "bottom"})
    figure.patch.set_visible(False)
    return figure, axes


def write(axes: "Axes", x: float, y: float, text: str, **more: Any) -> None:
    """Text at a place, as it is: no mathematics, no control characters. It takes no room from the axes, however long it is."""
    axes.text(x, y, printable(text), **{"color": INK, "fontsize": 9, "parse_math": False, **more}).set_in_layout(False)


def head(axes: "Axes", text: str) -> None:
    """Text above the axes, to the left, in bold."""
    title = axes.set_title(shortened(printable(text), LONGEST_HEAD), loc="left", fontsize=9, color=INK, weight="bold")
    title.set_parse_math(False)


def shortened(text: str, limit: int) -> str:
    """`text` cut in the middle to `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-(limit - limit // 2 - 1) :]}"


def _plain_svg(text: str, title: str) -> str:
    from html import escape

    text = _HEAD.sub("", text, count=1)
    text = _SHEET.sub("", _METADATA.sub("", text))
    text = _STYLE.sub(lambda match: _attributes(match[1]), text)
    text = _IDENTIFIER.sub("", text).replace(INK, "currentColor")
    head = f'<svg role="img" stroke-linejoin="round" stroke-linecap="butt" aria-label="{escape(printable(title))}"'
    return text.replace("<svg", head, 1).strip()


def _attributes(style: str) -> str:
    """A style's declarations as presentation attributes; `font` is taken apart, as no attribute is a shorthand."""
    found = []
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            match = _FONT.fullmatch(value)
            if match is not None:
                found.append(f'font-size="{match["size"]}" font-family="system-ui, sans-serif"')
                found.extend('font-weight="bold"' for word in match["rest"].split() if word in {"bold", "700"})
        elif name == "font-family":
            found.append('font-family="system-ui, sans-serif"')
        elif name:
            found.append(f'{name}="{value}"')
    return "".join(f" {attribute}" for attribute in found)
