"""The report on a case folder or on a Case, or one that was saved: for whatever takes any of them."""

import json
from pathlib import Path
from typing import Any

from mixcni.case.diagnosis import diagnose
from mixcni.case.folder import Case
from mixcni.case.loading import Progress
from mixcni.errors import CaseError
from mixcni.report import Report, schema_text

Source = Report | Case | str | Path
"""A report, a case, the folder of one, or the .json file of a saved report."""


def report_of(source: Source, progress: Progress | None = None) -> Report | dict[str, Any]:
    """The report on `source`; one that was saved as JSON is an object by the contract `mixcni.report/1`.

    Raises
    ------
    CaseError : a path at which there is neither a case nor a saved report
    CaptureError, DumpError : as `diagnose`
    """
    if isinstance(source, str | Path) and Path(source).is_file() and Path(source).suffix == ".json":
        return _read(Path(source))
    return source if isinstance(source, Report) else diagnose(source, progress=progress)


def name_of(source: Source, default: str) -> str:
    """What to call a source in a sentence: its folder or file, the title of a report or of a case, or `default`."""
    if isinstance(source, str | Path):
        path = Path(source)
        return path.name or path.resolve().name
    if isinstance(source, Case):
        return source.folder.resolve().name if source.folder != Path() else source.title or default
    return source.title or default


def _read(path: Path) -> dict[str, Any]:
    import jsonschema

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(found, json.loads(schema_text()))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CaseError(path, "a report that mixcni saved as JSON", str(error)) from error
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "the top"
        says = error.message if len(error.message) <= 100 else f"{error.message[:100]}..."
        raise CaseError(path, "a report by mixcni.report/1", f"at {place}: {says}") from error
    assert isinstance(found, dict)
    return found
