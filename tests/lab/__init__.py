"""Tests of the lab: real kernel traffic, recorded anew."""
