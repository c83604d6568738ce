"""What is measured: one module for each evaluator, or for a few that are alike."""
