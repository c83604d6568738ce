"""Online direct preference optimization."""
