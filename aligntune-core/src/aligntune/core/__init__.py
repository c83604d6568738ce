"""The factory and the trainer base classes, at their documented paths."""
