"""Tests of causes and remedies."""
