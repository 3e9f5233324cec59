"""Anonymised captures and dumps: what must change, and what must not."""
