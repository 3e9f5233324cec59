"""Tests of the benchmark: its made captures, its counting, its tables."""
