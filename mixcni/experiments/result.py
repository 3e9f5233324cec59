"""The experiment table as people and programs see it: text, HTML, DataFrame, JSON and a figure, all of the same facts."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mixcni.case import Case, diagnose, open_case
from mixcni.case.loading import Progress
from mixcni.errors import ParameterError
from mixcni.experiments.scenario import CILIUM, FACTORS, FAILS, UNDECIDED, Experiment, experiments_of
from mixcni.experiments.statements import Fit, Setting, Statement, Term, fit_statements
from mixcni.words import WIDTH, item, listed, plural, printable

if TYPE_CHECKING:
    import pandas as pd

    from mixcni.report.figures import Drawing

SCHEMA: Final = "mixcni.matrix/1"
HEADINGS: Final = ("initiator", "responder", "policy", "requests and responses", "outcome", "case")
SHOWN: Final = 4  # experiments that would decide, and statements, in text; the JSON has all


def schema_text() -> str:
    """The JSON Schema of `mixcni.matrix/1`."""
    return resources.files("mixcni.experiments").joinpath("matrix.schema.json").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Matrix:
    """A table of experiments and the statements that fit it. `print(matrix)` and a notebook cell show it.

    Examples
    --------
    >>> table = mixcni.matrix(sorted(Path("captures").glob("*-with*-policy")))
    >>> table.statement
    'a kubenet pod calls a policy-protected pod on a Cilium node'
    """

    experiments: tuple[Experiment, ...]
    fit: Fit
    notes: tuple[str, ...]

    @property
    def chosen(self) -> Statement | None:
        """The statement of the headline: the narrowest where it is one term, else a smallest; None where none fits."""
        narrowest = self.fit.narrowest
        if narrowest is not None and len(narrowest.terms) <= 1:
            return narrowest
        return self.fit.smallest[0] if self.fit.smallest else None

    @property
    def statement(self) -> str | None:
        """When it fails, and only then, in words; None where no statement fits, or nothing failed."""
        chosen = self.chosen
        return self.words(chosen) if chosen is not None and chosen.terms else None

    @property
    def others(self) -> tuple[Statement, ...]:
        """The smallest statements that fit and say something else than the headline's."""
        return tuple(statement for statement in self.fit.smallest if statement != self.chosen)

    @property
    def headline(self) -> str:
        """What the table shows, in one sentence."""
        tried = [experiment for experiment in self.experiments if experiment.outcome != UNDECIDED]
        how_many = plural(len(tried), "experiment")
        if self.fit.contradictions:
            where = "; ".join(self.setting_words(setting) for setting in self.fit.contradictions)
            return f"no statement over {listed(list(self.fit.factors))} fits: it both fails and works when {where}"
        chosen = self.chosen
        if chosen is None:
            return "nothing can be said: no experiment is both decided and known in its factors"
        if not chosen.terms:
            return f"works in all of {how_many}"
        if all(experiment.outcome == FAILS for experiment in tried):
            return f"fails in all of {how_many}: one that works is wanted to say when"
        sentence = f"fails exactly when {self.words(chosen)}, in {how_many}"
        if self.others:
            fits = "a shorter statement fits" if len(self.others) == 1 else f"{len(self.others)} shorter statements fit"
            sentence += f"; {fits} as well"
        return sentence

    def words(self, statement: Statement) -> str:
        """A statement in words."""
        return ", or ".join(self._term_words(term.values) for term in statement.terms) or "never"

    def setting_words(self, setting: Setting) -> str:
        """A setting in words."""
        return self._term_words(setting)

    def _term_words(self, values: Sequence[str | bool | None]) -> str:
        known = dict(zip(self.fit.factors, values, strict=True))
        initiator, responder, policy = (known.get(factor) for factor in FACTORS)
        who = f"a {_named(initiator)} pod" if initiator is not None else "a pod"
        protected = "policy-protected pod" if policy is True and responder in {None, CILIUM} else "pod"
        whom = f"a {protected}" + (f" on a {_named(responder)} node" if responder is not None else "")
        if policy is None or protected != "pod":
            return f"{who} calls {whom}" if any(value is not None for value in values) else "any pod calls any"
        return f"{who} calls {whom} {'under' if policy else 'without'} a network policy"

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row an experiment: factors, counts of each point, conversations that failed, and the outcome."""
        import pandas as pd

        rows = []
        for experiment in self.experiments:
            row: dict[str, Any] = {"case": experiment.name, "callers": experiment.callers}
            row |= {factor: experiment.factors.get(factor) for factor in FACTORS}
            row |= {
                f"{name}_{point.point}": getattr(point, name) for point in experiment.points for name in ("requests", "responses")
            }
            row |= {
                "failed": experiment.failed,
                "of": experiment.decided,
                "where": experiment.where,
                "outcome": experiment.outcome,
            }
            rows.append(row)
        frame = pd.DataFrame(rows)
        counts = [name for name in frame.columns if name.startswith(("requests_", "responses_"))]
        return frame.astype(dict.fromkeys(counts, "Int64"))

    def figure(self) -> "Drawing":
        """The table as a figure: a row an experiment, what was varied, requests and responses at each point, the outcome."""
        from mixcni.experiments.figure import draw_matrix

        return draw_matrix(self)

    def to_dict(self) -> dict[str, Any]:
        """The table by the contract `mixcni.matrix/1`."""
        fit = self.fit

        def told(statement: Statement | None) -> dict[str, Any] | None:
            if statement is None:
                return None
            terms = [self._term_object(term) for term in statement.terms]
            return {"terms": terms, "sentence": self.words(statement)}

        return {
            "schema": SCHEMA,
            "headline": self.headline,
            "factors": list(fit.factors),
            "experiments": [_experiment(experiment) for experiment in self.experiments],
            "statement": told(self.chosen),
            "smallest": [told(statement) for statement in fit.smallest],
            "contradictions": [self._setting_object(setting) for setting in fit.contradictions],
            "untried": [self._setting_object(setting) for setting in fit.untried],
            "deciding": [self._setting_object(setting) for setting in fit.deciding],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text, in one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def _term_object(self, term: Term) -> dict[str, str | bool]:
        return {factor: value for factor, value in zip(self.fit.factors, term.values, strict=True) if value is not None}

    def _setting_object(self, setting: Setting) -> dict[str, str | bool]:
        return dict(zip(self.fit.factors, setting, strict=True))

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells under HEADINGS; what was inferred is in parentheses, what is not known a question mark."""
        return [_cells(experiment) for experiment in self.experiments]

    def text(self, width: int = WIDTH) -> str:
        """The table as text; sentences are no longer than `width` columns."""
        rows = [HEADINGS, *self.rows()]
        widths = [max(len(printable(row[at])) for row in rows) for at in range(len(HEADINGS) - 1)]
        lines = item(self.headline[:1].upper() + self.headline[1:], width, "")
        lines.append("")
        for row in rows:
            cells = [printable(cell).ljust(size) for cell, size in zip(row, widths, strict=False)]
            lines.append("  ".join([*cells, printable(row[-1])]).rstrip())
        for title, sentences in self._sections():
            lines += ["", title, *(line for sentence in sentences for line in item(sentence, width))]
        return "\n".join(lines)

    def _sections(self) -> list[tuple[str, list[str]]]:
        shorter = [f"fails exactly when {self.words(statement)}" for statement in self.others[:SHOWN]]
        deciding = [self._prediction(setting) for setting in self.fit.deciding[:SHOWN]]
        sections = [("Fits as well", shorter), ("Would decide", deciding), ("Mind", list(self.notes))]
        return [(title, sentences) for title, sentences in sections if sentences]

    def _prediction(self, setting: Setting) -> str:
        failing = [statement for statement in (self.chosen, *self.others) if statement is not None and statement.holds(setting)]
        if len(failing) == len(self.others) + 1:
            return self.setting_words(setting)
        if self.chosen in failing:
            return f"{self.setting_words(setting)}: fails by the headline"
        words = listed([f"{self.words(statement)!r}" for statement in failing])
        return (
            f"{self.setting_words(setting)}: works by the headline, fails by {words}" if failing else self.setting_words(setting)
        )

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text().split("\n\nMind")[0]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS)
        body = "".join(f"<tr>{''.join(f'<td>{escape(printable(cell))}</td>' for cell in row)}</tr>" for row in self.rows())
        parts = [f"<p><b>{escape(printable(self.headline))}</b></p>", self.figure().inline]
        parts.append(f"<details><summary>The experiments</summary><table><tr>{head}</tr>{body}</table></details>")
        for title, sentences in self._sections():
            listing = "".join(f"<li>{escape(printable(sentence))}</li>" for sentence in sentences)
            parts.append(f"<details open><summary>{escape(title)}</summary><ul>{listing}</ul></details>")
        return f'<div class="mixcni">{"".join(parts)}</div>'


def matrix(cases: Iterable[Case | str | Path], *, progress: Progress | None = None) -> Matrix:
    """The experiment table of several cases, and the smallest statement that says when requests fail.

    Who calls whom and whether a network policy is in force is taken from [scenario] in case.toml, and where it is not said from
    pod networks and endpoint lists. A case fails if its verdict is `loss`. Conversations in it that do not concern its path, and
    whose ends the dumps know, are experiments of their own.

    Parameters
    ----------
    cases : cases, or their folders

    Raises
    ------
    ParameterError : no case
    CaseError : a path at which there is no case
    CaptureError, DumpError : as `diagnose`
    """
    experiments: list[Experiment] = []
    for source in cases:
        case = source if isinstance(source, Case) else open_case(source)
        name = case.folder.resolve().name if case.folder != Path() else case.title or "case"
        experiments.extend(experiments_of(name, case, diagnose(case, progress=progress)))
    if not experiments:
        raise ParameterError("cases: wanted at least one, got none")
    known = [factor for factor in FACTORS if any(factor in experiment.factors for experiment in experiments)]
    usable = [
        experiment
        for experiment in experiments
        if experiment.outcome != UNDECIDED and all(factor in experiment.factors for factor in known)
    ]
    fit = fit_statements([(experiment.factors, experiment.outcome == FAILS) for experiment in usable], known)
    return Matrix(tuple(experiments), fit, tuple(_notes(experiments, usable, known)))


def _notes(experiments: Sequence[Experiment], usable: Sequence[Experiment], known: Sequence[str]) -> Iterable[str]:
    for experiment in experiments:
        if experiment.outcome == UNDECIDED:
            yield f"{experiment.name} is undecided and counts for nothing"
        elif experiment not in usable:
            lacking = listed([factor for factor in experiment.lacks if factor in known])
            yield f"{experiment.name} counts for nothing: its {lacking} is not known; case.toml can say it under [scenario]"
        if experiment.outcome == FAILS and experiment.failed < experiment.decided:
            yield f"{experiment.name} fails in part: {experiment.failed:,} of {plural(experiment.decided, 'conversation')}"
        if experiment.inferred and not experiment.callers:
            yield f"{experiment.name}: {listed(list(experiment.inferred))} taken from its pod networks and dumps"
        yield from experiment.notes
    if any(experiment.callers for experiment in experiments):
        yield "a row of callers is about other conversations in the case above; what was inferred is in parentheses"
    for factor in FACTORS:
        if factor not in known:
            yield f"{factor} is known of no case: no statement can name it"


def _named(kind: str | bool | None) -> str:
    return "Cilium" if kind == CILIUM else str(kind)


def _cells(experiment: Experiment) -> tuple[str, ...]:
    cells = []
    for factor in FACTORS:
        value = experiment.factors.get(factor)
        shown = "?" if value is None else ("yes" if value else "no") if isinstance(value, bool) else value
        cells.append(f"({shown})" if factor in experiment.inferred else shown)
    counts = "  ".join(f"{point.point} {point.requests}/{point.responses}" for point in experiment.points)
    share = f" {experiment.failed}/{experiment.decided}" if experiment.outcome == FAILS else ""
    where = f" {experiment.where}" if experiment.where else ""
    name = f"  {experiment.callers}" if experiment.callers else experiment.name
    return (*cells, counts or f"{plural(experiment.decided, 'conversation')}", f"{experiment.outcome}{share}{where}", name)


def _experiment(experiment: Experiment) -> dict[str, Any]:
    return {
        "case": experiment.name,
        "callers": experiment.callers or None,
        "factors": {factor: experiment.factors.get(factor) for factor in FACTORS},
        "inferred": list(experiment.inferred),
        "outcome": experiment.outcome,
        "failed": experiment.failed,
        "of": experiment.decided,
        "where": experiment.where or None,
        "points": [{"point": p.point, "requests": p.requests, "responses": p.responses} for p in experiment.points],
    }
