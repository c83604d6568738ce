"""Text and token classification, which are SFT with labels."""
