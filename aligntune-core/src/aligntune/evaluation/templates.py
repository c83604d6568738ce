"""Jinja templates over the columns of a row, in a sandbox, where a missing value is an error.

A template that is one expression alone (`{{ choices.text }}`) gives the value of that expression,
such as a list or a number; any other gives text. None is never written as text: a template that
means an empty text where there is no value says so (`{{ context or '' }}`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["Template", "template_problem"]

_ALONE = re.compile(r"\s*\{\{-?(.*?)-?\}\}\s*", re.DOTALL)


class _EmptyError(Exception):
    """An expression of a template is None."""


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, finalize=_not_none
    )
    made.globals.clear()  # `lipsum` is random, and the names of the others may be columns
    made.globals.update(range=range, zip=zip)
    return made


def _not_none(value: Any) -> Any:
    if value is None:
        raise _EmptyError
    return value


def template_problem(source: object) -> str:
    """Why this is no template, in words; empty if it is one."""
    from jinja2 import TemplateSyntaxError

    if not isinstance(source, str):
        return f"expected a Jinja template, that is text, not {source!r}"
    try:
        _environment().parse(source)
    except TemplateSyntaxError as error:
        return f"it is no Jinja template: {error.message} (line {error.lineno} of it)"
    return ""


class Template:
    """A template that gives what stands under `name` in each row.

    Raises:
        EvaluationError: if it does not parse; says where.
    """

    def __init__(self, source: str, name: str) -> None:
        if problem := template_problem(source):
            raise EvaluationError(f"{name}: {problem}")
        self.source = source
        self.name = name
        self._render = _renderer(source)

    def columns(self) -> set[str]:
        """Names that the template reads from the row, whichever of its branches is taken."""
        from jinja2.meta import find_undeclared_variables

        known = set(_environment().globals)
        return find_undeclared_variables(_environment().parse(self.source)) - known

    def render(self, row: Mapping[str, Any], index: int) -> Any:
        """The value for a row.

        Raises:
            EvaluationError: names the column that is missing or empty, the row and the template.
        """
        from jinja2 import TemplateError, UndefinedError

        try:
            return self._render(row)
        except UndefinedError as error:
            raise self._error(_undefined(str(error), row), index) from None
        except _EmptyError:
            empty = [name for name in sorted(self.columns()) if row.get(name) is None]
            which = f" ({', '.join(empty)} is)" if empty else ""
            what = f"a value that it writes is None in this row{which}"
            raise self._error(f"{what}; `or ''` writes an empty text there", index) from None
        except TemplateError as error:
            raise self._error(str(error), index) from error
        except Exception as error:  # an expression may raise anything, such as for 'a' + 1
            raise self._error(f"{type(error).__name__}: {error}", index) from error

    def _error(self, what: str, index: int) -> EvaluationError:
        source = self.source if len(self.source) <= 120 else f"{self.source[:117]}..."
        return EvaluationError(f"{self.name} of row {index}: {what}; the template is {source!r}")


def _renderer(source: str) -> Callable[[Mapping[str, Any]], Any]:
    from jinja2.nodes import Output, TemplateData

    environment = _environment()
    body = environment.parse(source).body
    alone = _ALONE.fullmatch(source)
    if (
        alone
        and len(body) == 1
        and isinstance(body[0], Output)
        and not any(isinstance(node, TemplateData) for node in body[0].nodes)
        and len(body[0].nodes) == 1
    ):
        expression = environment.compile_expression(alone[1], undefined_to_none=False)

        def value(row: Mapping[str, Any]) -> Any:
            found = _not_none(expression(row))
            str(found)  # an undefined value raises where it is used
            return found

        return value
    template = environment.from_string(source)
    return template.render


def _undefined(said: str, row: Mapping[str, Any]) -> str:
    """The library's sentence, said of columns."""
    found = re.fullmatch(r"'(\w+)' is undefined", said)
    if found is None or found[1] in row:
        return said
    hint = did_you_mean(found[1], row)
    there = f"the columns there are: {', '.join(row)}" if row else "the row holds no columns"
    return "; ".join(filter(None, (f"there is no column {found[1]!r}", hint, there)))
