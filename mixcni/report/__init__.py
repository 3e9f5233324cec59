"""Stage 8, findings -> what people see: text, JSON by the contract `mixcni.report/1`, DataFrames and notebook cells.

Every form renders the same `Summary`, so no two of them can disagree.
"""

from mixcni.report.contract import SCHEMA, schema_text
from mixcni.report.inputs import InputFile
from mixcni.report.report import Report

__all__ = ["SCHEMA", "InputFile", "Report", "schema_text"]
