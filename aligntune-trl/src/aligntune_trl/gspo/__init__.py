"""Group sequence policy optimization."""
