"""Evaluations as files, in the shapes of lm-eval."""
