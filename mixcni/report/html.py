"""The postmortem as one HTML file that needs no network, and the pieces of HTML that a notebook shows.

Every value passes `printable` and is escaped. The page's only style and script are known to its content security policy by their
digests, so that nothing else runs or loads whatever a capture, a dump or a file name holds.
"""

import base64
import hashlib
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from mixcni.report.postmortem import postmortem_of
from mixcni.report.summary import Summary, evidence_place
from mixcni.words import plural, printable

if TYPE_CHECKING:
    from jinja2 import Environment

    from mixcni.report.report import Report

POLICY: Final = (
    "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'; object-src 'none'"
)


def postmortem_html(report: "Report") -> str:
    """A report's postmortem: the verdict, where, why, what now, and all that it rests on."""
    from markupsafe import Markup

    from mixcni.report.figures import draw, draw_ladder

    mortem = postmortem_of(report)
    style, script = _page("postmortem.css"), _page("postmortem.js")

    def safe(text: str) -> Markup:
        return Markup(text)  # noqa: S704, ours: a style, a script, or SVG that matplotlib escaped

    return (
        _environment()
        .get_template("postmortem.html.jinja")
        .render(
            policy=Markup(POLICY.format(style=_digest(style), script=_digest(script))),  # noqa: S704, made of digests
            style=safe(style),
            script=safe(script),
            mortem=mortem,
            summary=mortem.summary,
            remedies=[case for case in mortem.cases if case.finding.remedies],
            ladders=[(one, safe(draw_ladder(report.localisation, one.conversation).inline)) for one in mortem.ladders],
            **{name: safe(draw(report.localisation, name).inline) for name in ("path", "losses", "clocks")},
            version=version("mixcni"),
        )
    )


def report_html(summary: Summary, path: str = "") -> str:
    """The summary as HTML; its colours are those of the page around it, so that it reads in light and dark.

    Parameters
    ----------
    path : SVG of the path, if it is to be shown
    """
    from markupsafe import Markup

    figure = Markup(path)  # noqa: S704, ours, escaped by matplotlib
    return _environment().get_template("notebook.html.jinja").render(summary=summary, path=figure)


def _page(name: str) -> str:
    return resources.files("mixcni.report").joinpath("page", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_page),
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        place=evidence_place,
        count=lambda number: f"{number:,}",
        share=lambda number: f"{number:g}",
        plural=plural,
        raw=Markup,
    )
    return environment
