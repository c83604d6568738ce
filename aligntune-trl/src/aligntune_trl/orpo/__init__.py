"""Odds ratio preference optimization."""
