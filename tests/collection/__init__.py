"""Tests of mixcni.collection."""
