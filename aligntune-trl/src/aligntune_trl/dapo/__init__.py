"""DAPO."""
