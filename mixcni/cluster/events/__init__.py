"""What was seen happening: Cilium's monitor, Hubble, pwru and Retis. A module a source, a table each, one for lost events."""
