"""Rewards of program code, beside those that run it."""
