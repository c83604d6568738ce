"""Rewards of style: mood, tone, register."""
