"""Tests of mixcni.comparison."""
