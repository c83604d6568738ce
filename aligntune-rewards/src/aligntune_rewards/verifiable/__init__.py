"""Rewards whose answer can be checked: right or wrong, and nothing in between to argue about."""
