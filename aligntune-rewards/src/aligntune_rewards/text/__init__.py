"""Rewards of the text itself: how it reads, and whether it keeps to the point."""
