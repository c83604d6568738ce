"""Whether the code of a completion is a Python program, as Python's own parser sees it."""

from __future__ import annotations

from aligntune.scoring import RewardFunction
from aligntune_rewards.code.blocks import LONGEST, Which, check_which, code_of
from aligntune_rewards.code.parsing import does_something, parsed

__all__ = ["CodeSyntaxReward"]


class CodeSyntaxReward(RewardFunction):
    """1 if the code of the completion is a Python program, else 0.

    The code is the last fenced block that is marked as Python or not marked; a completion without a
    fence is code itself. It is parsed with `ast` and compiled, never run: `return` outside a
    function is a mistake too. What holds nothing but names, constants, docstrings and `pass` is no
    program: the answer `Yes` earns 0, although it parses. The grammar is that of the Python that
    scores.

    Range: 0 or 1. Higher is better. Columns: none. About 0.5 ms for 20 lines.

    Args:
        block: which of several blocks counts: `last`, `first`, or `all`, one below the other.

    Attributes:
        failures: counts of `"syntax error"`, `"no code"` and `"too long"` (over 100,000
            characters).
    """

    name = "code_syntax"
    range = (0.0, 1.0)
    cost = "process"  # a parser can take long over a hostile text
    timeout = 5.0
    quiet = frozenset({"syntax error", "no code", "too long"})

    def __init__(self, block: Which = "last") -> None:
        self.block = check_which(block)

    def compute(self, text: str) -> float | None:
        code = code_of(text, self.block)
        if code is None:
            return self.fail("no code")
        if len(code) > LONGEST:
            return self.fail("too long")
        tree = parsed(code)
        if tree is None:
            return self.fail("syntax error")
        return 1.0 if does_something(tree) else self.fail("no code")
