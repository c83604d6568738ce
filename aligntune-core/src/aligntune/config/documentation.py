"""What stands beneath each field: its meaning, read from the source when somebody asks for it.

pydantic can do this too (`use_attribute_docstrings`), at the import of every section: measured,
that adds a quarter to the import of the configuration, which every command pays.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache

from aligntune.config.section import Section

__all__ = ["meaning", "summary"]


@cache
def _fields(cls: type[Section]) -> dict[str, str]:
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            found[statement.target.id] = " ".join(str(following.value.value).split())
    return found


def meaning(cls: type[Section], field: str) -> str:
    """What a field of a section means, or an empty string where nobody wrote it down."""
    for base in cls.__mro__:
        if issubclass(base, Section) and base is not Section and field in _fields(base):
            return _fields(base)[field]
    return ""


def summary(cls: type[Section]) -> str:
    """What a section is for: the first line of its docstring."""
    return (cls.__doc__ or "").strip().partition("\n")[0]
