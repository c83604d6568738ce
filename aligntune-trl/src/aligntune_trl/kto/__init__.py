"""Kahneman-Tversky optimization."""
