"""Tests of mixcni/cluster/policies."""
