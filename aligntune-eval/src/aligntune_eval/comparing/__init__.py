"""Two evaluations compared by paired difference."""
