"""What `llm_judge` is made of: what it asks, how it asks, what it keeps, and what it may spend."""
