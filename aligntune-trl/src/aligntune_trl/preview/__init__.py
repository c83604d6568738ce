"""What `aligntune preview` shows of a run."""
