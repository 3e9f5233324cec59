"""The report as a notebook cell shows it: one self-contained piece of HTML, everything that came from outside escaped."""

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from mixcni.report.summary import Summary, evidence_place
from mixcni.words import printable

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE: Final = "notebook.html.jinja"


def report_html(summary: Summary) -> str:
    """The summary as HTML; its colours are those of the page around it, so that it reads in light and dark."""
    return _template().render(summary=summary)


@cache
def _template() -> "Template":
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(place=evidence_place, printable=printable)
    text = resources.files("mixcni.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text)
