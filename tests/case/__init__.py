"""Tests of the case folder and the run of all stages."""
