"""Flow tracking: packets to biflows and stream offsets."""
