"""LoRA adapters: their settings, their relatives, and merging them."""
