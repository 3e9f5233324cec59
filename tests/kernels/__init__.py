"""Kernels: both forms of each, and how they are made."""
