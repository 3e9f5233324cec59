"""Tests of mixcni/cluster/logs."""
