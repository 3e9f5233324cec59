"""Cases as experiments: the table of who called whom under which policy, and the smallest statement that fits it."""

from mixcni.experiments.result import Matrix, matrix, schema_text
from mixcni.experiments.statements import Fit, Statement, Term, fit_statements

__all__ = ["Fit", "Matrix", "Statement", "Term", "fit_statements", "matrix", "schema_text"]
