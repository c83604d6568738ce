"""Documented path of the RL configuration loader."""
