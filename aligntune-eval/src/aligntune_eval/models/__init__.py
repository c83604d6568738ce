"""Models: where they come from, whether they fit, and how they are loaded."""
