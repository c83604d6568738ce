"""Group relative policy optimization, and what its family is made of."""
