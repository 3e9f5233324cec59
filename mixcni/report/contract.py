"""The report as the versioned JSON object `mixcni.report/1`; its JSON Schema is report.schema.json beside this module."""

from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mixcni.report.proxied import proxied_rows
from mixcni.report.tables import exchange_rows, point_rows
from mixcni.report.words import direction_text
from mixcni.schema import Fate

if TYPE_CHECKING:
    from mixcni.explain import Evidence, Finding
    from mixcni.report.report import Report

SCHEMA: Final = "mixcni.report/1"


def schema_text() -> str:
    """The JSON Schema of the contract."""
    return resources.files("mixcni.report").joinpath("report.schema.json").read_text(encoding="utf-8")


def report_object(report: "Report", *, every_exchange: bool = False) -> dict[str, Any]:
    """The report by the contract."""
    localisation = report.localisation
    fates = localisation.fates
    wanted = np.arange(len(fates)) if every_exchange else np.flatnonzero(fates["fate"] != Fate.ANSWERED)
    causes = {finding.loss: finding.cause for finding in reversed(report.findings_found) if finding.is_named}
    names = [point.name for point in localisation.points]
    proxied = proxied_rows(localisation, report.proxy_links, failed_only=not every_exchange)
    return {
        "schema": SCHEMA,
        "title": report.title,
        "verdict": report.verdict,
        "headline": report.headline,
        "path": names,
        "losses": [
            {
                "hop": [names[loss.near], names[loss.far]],
                "direction": direction_text(loss.direction),
                "conversations": loss.conversations,
                "exchanges": int(loss.fates.size),
                "confidence": round(loss.confidence, 6),
                "cause": causes.get(number),
                "common": [{**asdict(trait), "chance": float(f"{trait.chance:.3g}")} for trait in loss.traits],
            }
            for number, loss in enumerate(localisation.losses)
        ],
        "points": [_point(row, report, position) for position, row in enumerate(point_rows(localisation))],
        "exchanges": [
            {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in row.items()
                if name != "message" or value is not None
            }
            for row in exchange_rows(localisation, report.frames, wanted)
        ],
        **({"proxied": proxied} if proxied else {}),
        "findings": [_finding(finding) for finding in report.findings_found],
        "assumptions": list(report.assumptions),
        "inputs": [
            {
                "file": entry.file,
                "sha256": entry.sha256,
                "packets": entry.packets,
                "damage": [dict(d) for d in entry.damage],
            }
            for entry in report.inputs
        ],
    }


def _point(row: dict[str, Any], report: "Report", position: int) -> dict[str, Any]:
    clock = report.localisation.alignment.clocks[position]
    return {
        **{name: row[name] for name in ("point", "node", "kind", "packets", "flows", "requests", "responses")},
        "other_conversations": row["other_conversations"],
        "miss_rate": [round(row["miss_rate_low"], 6), round(row["miss_rate_high"], 6)],
        "clock": {
            "offset_ns": clock.offset_ns if clock.is_known else None,
            "drift_ppm": None if clock.drift_ppm is None else round(clock.drift_ppm, 6),
            "drift_uncertainty_ppm": None if clock.drift_uncertainty_ppm is None else round(clock.drift_uncertainty_ppm, 6),
            "uncertainty_ns": clock.uncertainty_ns,
        },
    }


def _fact(fact: "Evidence") -> dict[str, Any]:
    more = {"more": fact.more} if fact.more else {}
    return {"file": fact.file or None, "line": fact.line, "frames": list(fact.frames), **more, "says": fact.says}


def _finding(finding: "Finding") -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "confidence": finding.confidence,
        "sentence": finding.sentence,
        "evidence": [_fact(fact) for fact in finding.evidence],
        "against": [_fact(fact) for fact in finding.against],
        "remedies": [
            {
                "sentence": remedy.sentence,
                "yaml": remedy.yaml,
                "checked": None if remedy.would_pass is None else {"would_pass": remedy.would_pass, "of": remedy.of},
            }
            for remedy in finding.remedies
        ],
        "collect": list(finding.collect),
    }
