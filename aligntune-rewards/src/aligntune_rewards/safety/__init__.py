"""Rewards that keep completions harmless and private."""
