"""Before and after: two reports held against each other on fates, populations and causes."""

from mixcni.comparison.result import Comparison, compare, schema_text

__all__ = ["Comparison", "compare", "schema_text"]
