"""Neural Mirror GRPO."""
