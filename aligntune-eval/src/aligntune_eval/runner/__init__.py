"""Models on tasks: checked first, measured one after the other, kept and read back."""
