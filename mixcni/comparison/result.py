"""The comparison of two reports as people and programs see it: text, HTML, DataFrame and JSON, all of the same facts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from mixcni.case.loading import Progress
from mixcni.case.saved import Source, name_of, report_of
from mixcni.comparison.changes import BAD, CauseChange, Change, Outcome, causes_of, changes_of
from mixcni.comparison.populations import Population, Side, side_of_report, side_of_saved
from mixcni.errors import ParameterError
from mixcni.report import Report
from mixcni.words import WIDTH, item, plural, printable

if TYPE_CHECKING:
    import pandas as pd

SCHEMA: Final = "mixcni.comparison/1"
TITLES: Final = {
    Outcome.NEW: "New",
    Outcome.WORSE: "Worse",
    Outcome.MOVED: "Fails elsewhere",
    Outcome.UNCHANGED: "Still fails",
    Outcome.BETTER: "Better, and not cured",
    Outcome.CURED: "Cured",
    Outcome.INCOMPARABLE: "Cannot be compared",
    Outcome.FINE: "Answered before and after",
}
COLOURS: Final = {"cured": "#009e73", "fine": "#009e73", "better": "#009e73", "incomparable": "#e69f00", "unchanged": "#e69f00"}
SHOWN: Final = 12  # populations of one outcome in text; the DataFrame and the JSON have all


def schema_text() -> str:
    """The JSON Schema of `mixcni.comparison/1`."""
    return resources.files("mixcni.comparison").joinpath("comparison.schema.json").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Comparison:
    """What changed between two reports. `print(comparison)` and a notebook cell show it; `changes` has all of it.

    Examples
    --------
    >>> mixcni.compare("captures/networkpolicy-drop", "captures/policy-removed").outcome
    'cured'
    """

    before: Side
    after: Side
    populations: tuple[Change, ...]
    causes_found: tuple[CauseChange, ...]

    @cached_property
    def outcome(self) -> str:
        """Of all populations together: the worst that is new, else what became of those that failed before.

        `new`, `worse`, `moved`, `unchanged`, `better`, `cured`; `fine` where nothing fails on either side, and `incomparable`
        where the captures do not tell.
        """
        outcomes = {change.outcome for change in self.populations}
        for outcome in (*BAD, Outcome.UNCHANGED, Outcome.BETTER):
            if outcome in outcomes:
                return str(outcome)
        open_ones = [change for change in self.populations if change.outcome == Outcome.INCOMPARABLE and _matters(change)]
        if open_ones:
            return str(Outcome.INCOMPARABLE)
        if Outcome.CURED in outcomes:
            return str(Outcome.CURED)
        return str(Outcome.FINE if Outcome.FINE in outcomes else Outcome.INCOMPARABLE)

    @property
    def headline(self) -> str:
        """The outcome in one sentence."""
        counts = {outcome: sum(change.outcome == outcome for change in self.populations) for outcome in Outcome}
        parts = [
            f"{counts[outcome]:,} {word}"
            for outcome, word in (
                (Outcome.NEW, "new"), (Outcome.WORSE, "worse"), (Outcome.MOVED, "failing elsewhere"),
                (Outcome.UNCHANGED, "still failing"), (Outcome.BETTER, "better"), (Outcome.CURED, "cured"),
                (Outcome.INCOMPARABLE, "not comparable"), (Outcome.FINE, "answered before and after"),
            )
            if counts[outcome]
        ]  # fmt: skip
        what = plural(len(self.populations), "population")
        return (
            f"{self.outcome}: of {what} of callers {', '.join(parts)}" if parts else f"{self.outcome}: no conversation to compare"
        )

    @cached_property
    def changes(self) -> "pd.DataFrame":
        """One row a population: who calls whom, how many conversations failed of how many, before and after, and the outcome."""
        import pandas as pd

        columns = [
            "initiator", "responder", "port", "outcome", "failed_before", "of_before", "undecided_before", "failed_after",
            "of_after", "undecided_after", "chance", "together", "says",
        ]  # fmt: skip
        rows = [
            (
                *change.callers, str(change.outcome), change.before.failed, change.before.decided, change.before.undecided,
                change.after.failed, change.after.decided, change.after.undecided, change.chance, change.together, change.says,
            )
            for change in self.populations
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def causes(self) -> "pd.DataFrame":
        """One row a cause that either report names, with its confidences."""
        import pandas as pd

        columns = ["cause", "outcome", "before", "after", "says"]
        rows = [(cause.cause, str(cause.outcome), cause.before, cause.after, cause.says) for cause in self.causes_found]
        return pd.DataFrame(rows, columns=columns)

    @property
    def notes(self) -> tuple[str, ...]:
        """What limits the comparison, a sentence each."""
        found = [side.answered_are_missing for side in (self.before, self.after) if not side.whole]
        if self.before.path != self.after.path:
            paths = " before and ".join(" → ".join(side.path) for side in (self.before, self.after))
            found.append(f"the points are {paths} after: hops are compared where both paths have them")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """The comparison by the contract `mixcni.comparison/1`."""
        return {
            "schema": SCHEMA,
            "outcome": self.outcome,
            "headline": self.headline,
            "before": _side(self.before),
            "after": _side(self.after),
            "populations": [_change(change) for change in self.populations],
            "causes": [
                {"cause": c.cause, "outcome": str(c.outcome), "before": c.before, "after": c.after, "says": c.says}
                for c in self.causes_found
            ],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text, in one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def text(self, width: int = WIDTH) -> str:
        """The comparison as text, no line longer than `width` columns unless a name is."""
        outcome, colon, rest = self.headline.partition(":")
        lines = item(f"{outcome.upper()}{colon}{rest}", width, "")
        for side, when in ((self.before, "before"), (self.after, "after")):
            lines += item(f"{side.name}: {side.headline}", width, f"{when:<6} ", 2)
        for title, items in self._sections():
            lines += ["", title, *(line for text in items for line in item(text, width))]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        counts = [f"{change.callers}: {change.outcome}" for change in self.populations[:SHOWN]]
        return "\n".join([f"Comparison: {self.headline}", *(f"  {printable(line)}" for line in counts)])

    def _repr_html_(self) -> str:
        parts = [
            f'<div class="mixcni"><p style="border-left:.35em solid {COLOURS.get(self.outcome, "#d55e00")};padding-left:.7em">'
        ]
        parts.append(f"<b>{escape(printable(self.headline))}</b></p><table>")
        for side, when in ((self.before, "before"), (self.after, "after")):
            parts.append(f"<tr><td>{when}</td><td>{escape(printable(f'{side.name}: {side.headline}'))}</td></tr>")
        parts.append("</table>")
        for title, items in self._sections():
            listing = "".join(f"<li>{escape(printable(item))}</li>" for item in items)
            parts.append(f"<details open><summary>{escape(title)}</summary><ul>{listing}</ul></details>")
        return "".join(parts) + "</div>"

    def _sections(self) -> list[tuple[str, list[str]]]:
        sections = []
        for outcome, title in TITLES.items():
            chosen = [change for change in self.populations if change.outcome == outcome]
            items = [f"{change.callers}: {change.says}" for change in chosen[:SHOWN]]
            if len(chosen) > SHOWN:
                items.append(f"and {plural(len(chosen) - SHOWN, 'other population')}")
            sections.append((title, items))
        sections.append(("Causes", [f"{cause.cause}: {cause.says}" for cause in self.causes_found]))
        sections.append(("Mind", list(self.notes)))
        return [(title, items) for title, items in sections if items]


def compare(
    before: Source, after: Source, *, same: Mapping[str, str] | None = None, progress: Progress | None = None
) -> Comparison:
    """What is cured, new or unchanged between two captures of one path, whatever the ports, the times and the order.

    The unit is a population: an initiator's address calling one port of a responder. Its conversations that failed, of all that
    could be followed, are held against each other by Fisher's exact test; where they are too few to tell from chance, or one side
    has none, it is said that they cannot be compared.

    Parameters
    ----------
    before, after : reports, cases, case folders, or reports saved as JSON
    same : addresses before, and what they are after, where a pod has got another one

    Raises
    ------
    CaseError : a path at which there is neither a case nor a saved report
    ParameterError : an address in `same` that is not among those before
    CaptureError, DumpError : as `diagnose`

    Examples
    --------
    >>> comparison = mixcni.compare("captures/networkpolicy-drop", "captures/policy-removed")
    >>> comparison.changes.iloc[0][["outcome", "failed_before", "failed_after"]].tolist()
    ['cured', 12, 0]
    """
    sides = []
    renamed = dict(same or {})
    for source, default, names in ((before, "before", renamed), (after, "after", {})):
        report, name = report_of(source, progress), name_of(source, default)
        if isinstance(report, Report):
            sides.append(side_of_report(report, name, names))
        else:
            sides.append(side_of_saved(report, name, names))
    known = {address for callers in sides[0].populations for address in callers[:2]}
    unknown = [old for old, new in renamed.items() if new not in known]
    if unknown:
        raise ParameterError(f"same: wanted an address of the case before, got {unknown[0]!r}")
    changes = changes_of(sides[0], sides[1])
    return Comparison(sides[0], sides[1], changes, causes_of(sides[0], sides[1], changes))


def _matters(change: Change) -> bool:
    """Whether what cannot be compared failed on one side."""
    return bool(change.before.failed or change.after.failed)


def _side(side: Side) -> dict[str, Any]:
    return {"name": side.name, "verdict": side.verdict, "headline": side.headline, "path": list(side.path), "whole": side.whole}


def _change(change: Change) -> dict[str, Any]:
    return {
        "initiator": change.callers.initiator,
        "responder": change.callers.responder,
        "port": change.callers.port,
        "outcome": str(change.outcome),
        "before": _population(change.before),
        "after": _population(change.after),
        "chance": change.chance,
        "together": change.together,
        "says": change.says,
    }


def _population(population: Population) -> dict[str, Any]:
    return {
        "answered": population.answered,
        "failed": population.failed,
        "undecided": population.undecided,
        "troubles": [
            {
                "fate": trouble.fate,
                "hop": list(trouble.hop) if trouble.hop else None,
                "direction": trouble.direction,
                "conversations": count,
            }
            for trouble, count in population.troubles.items()
        ],
    }
