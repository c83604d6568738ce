"""Rewards that compare a completion with a reference text."""
