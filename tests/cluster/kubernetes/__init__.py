"""Tests of mixcni/cluster/kubernetes."""
