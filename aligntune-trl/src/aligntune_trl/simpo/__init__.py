"""Simple preference optimization."""
