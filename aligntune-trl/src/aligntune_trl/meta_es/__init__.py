"""Meta-ES."""
