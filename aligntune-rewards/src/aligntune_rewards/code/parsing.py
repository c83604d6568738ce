"""Python's parser on text that anybody may have written."""

from __future__ import annotations

import ast
import warnings

__all__ = ["does_something", "parsed"]

# What ends the compiler's work on a text, beside its mistakes: nesting too deep for it (two of
# these), and characters that no file can hold.
_MISTAKES = (SyntaxError, ValueError, MemoryError, RecursionError)


def parsed(code: str) -> ast.Module | None:
    """The tree of a program that Python would run; None if it would not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of things such as "\d" in what others wrote
        try:
            tree = ast.parse(code)
            # The tree does not show all mistakes: `return` outside a function, `x` twice among
            # the parameters.
            compile(code, "<completion>", "exec", dont_inherit=True)
        except _MISTAKES:
            return None
    return tree


def does_something(tree: ast.Module) -> bool:
    """Whether there is more to a program than names, constants, docstrings and `pass`."""
    return any(map(_acts, tree.body))


def _acts(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return False
    if isinstance(statement, ast.Expr):
        acting = ast.Call | ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr
        return any(isinstance(node, acting) for node in ast.walk(statement))
    return True
