"""Tests of mixcni.experiments."""
