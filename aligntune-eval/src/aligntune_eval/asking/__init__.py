"""What a model is asked: prompts to continue, and texts to find likely."""
