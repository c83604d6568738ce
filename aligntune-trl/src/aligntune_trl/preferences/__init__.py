"""What algorithms that learn from preferences have in common."""
