"""Documented path of the SFT configuration loader."""
