"""What goes wrong with the sandbox itself; what a program does wrong is its result."""

__all__ = ["SandboxError", "WeakIsolationError"]


class SandboxError(RuntimeError):
    """The sandbox cannot start here, or does not answer."""


class WeakIsolationError(SandboxError):
    """Only a weaker isolation than bubblewrap's is to be had, and nobody has allowed it."""
