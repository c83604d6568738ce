"""Dr. GRPO."""
