"""Cilium's own dumps: one module a command."""
