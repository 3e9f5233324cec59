"""Tests of mixcni.align."""
