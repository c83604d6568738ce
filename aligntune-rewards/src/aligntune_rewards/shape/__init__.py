"""Rewards of form: length, layout, repetition, language."""
