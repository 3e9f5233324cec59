"""Tests of mixcni/cluster/events."""
