"""A sandbox for Python that nobody trusts, such as a model's; usable without the rewards.

`Sandbox` runs programs and calls their functions. What comes out is text, or plain values that are
compared outside (`same`): the program never sees what is expected of it.
"""

from aligntune_rewards.sandbox.errors import SandboxError, WeakIsolationError
from aligntune_rewards.sandbox.limits import Limits
from aligntune_rewards.sandbox.results import Calls, Checked, Checks, Result, Returned
from aligntune_rewards.sandbox.sandbox import Call, Sandbox
from aligntune_rewards.sandbox.values import NotPlainError, same

__all__ = [
    "Call",
    "Calls",
    "Checked",
    "Checks",
    "Limits",
    "NotPlainError",
    "Result",
    "Returned",
    "Sandbox",
    "SandboxError",
    "WeakIsolationError",
    "same",
]
