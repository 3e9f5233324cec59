"""Tests of mixcni.localise."""
