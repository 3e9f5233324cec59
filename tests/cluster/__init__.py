"""Cilium's dumps: each sample's figures, the grammar's cases, any text at all, and what the state answers."""
