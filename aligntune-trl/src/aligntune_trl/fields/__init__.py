"""Where configuration fields go, what their defaults bend to, and what must hold between them."""
