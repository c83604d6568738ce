r"""The program that compares mathematical answers, run in a process of its own by `math_accuracy`.

Requests: `{"gold": …, "answers": […] or null, "text": …, "places": 6, "seconds": …}`; places are
decimal places, 6 if left out. Answers: `{"verdict": …}` with `"right"`, `"wrong"`, `"hedged"` (some
of the answers are right), `"no answer"`, or `"no gold"` (the reference cannot be parsed).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from aligntune.answering import serve

__all__ = ["judge"]

_MEMORY_BYTES = 4 << 30
_MATHS = re.compile(r"\$|\\\(|\\\[|\\boxed")
_PROSE = re.compile(r"[A-Za-z0-9]\s+[A-Za-z]{2,}|[A-Za-z]{2,}\s+\S")


@lru_cache(maxsize=1024)
def _gold(text: str) -> list[Any]:
    from math_verify import parse

    # "or" and "and" between numbers do not make it prose, nor do units.
    plain = re.sub(r"\\text\s*\{[^{}]*\}|\\[A-Za-z]+|\b(?:and|or)\b", "", text)
    if not text or _MATHS.search(text) or _PROSE.search(plain):
        parsed = parse(text, parsing_timeout=None)
        if parsed or not text:
            return list(parsed)
    return list(parse(f"${text}$", parsing_timeout=None))


def _is_right(gold: list[Any], answer: list[Any], places: int) -> bool:
    from math_verify import verify

    # The gold answer comes first: verify is not symmetric.
    return bool(verify(gold, answer, float_rounding=places, timeout_seconds=None))


def _are_right_together(gold: list[Any], answers: list[str], places: int) -> bool:
    """Whether several answers are the several parts of the reference."""
    from math_verify import parse
    from sympy import And, Expr, FiniteSet

    if len(answers) < 2 or any("$" in answer for answer in answers):
        return False
    if isinstance(gold[0], And) or (isinstance(gold[0], Expr) and gold[0].is_number):
        return False  # no number has parts; 1 and 234 are not 1,234, nor 1 and 2 all between them
    together = r" \text{ and } ".join(f"\\boxed{{{answer}}}" for answer in answers)
    parsed = parse(f"${together}$", parsing_timeout=None)
    # None may get lost, as 71 does of 71 and =72.
    whole = parsed and isinstance(parsed[0], FiniteSet) and len(parsed[0]) >= len(answers)
    return bool(whole) and _is_right(gold, parsed, places)


def judge(gold: str, answers: list[str] | None, text: str, places: int = 6) -> str:
    """The verdict on the declared answers of a completion, or, if it declares none, on its text.

    Several answers are right if each is, or if together they are the reference: that of a quadratic
    equation may stand in two boxes.
    """
    from math_verify import parse

    wanted = _gold(gold)
    if not wanted:
        return "no gold"
    if answers is None:
        parsed = [parse(text, parsing_timeout=None)]
    else:
        parsed = [parse(f"\\boxed{{{answer}}}", parsing_timeout=None) for answer in answers]
    if not any(parsed):
        return "no answer"
    right = [_is_right(wanted, answer, places) for answer in parsed]
    if all(right):
        return "right"
    if answers is not None and _are_right_together(wanted, answers, places):
        return "right"
    return "hedged" if any(right) else "wrong"


def _start() -> None:
    import logging

    import math_verify

    logging.disable(logging.WARNING)
    math_verify.verify(math_verify.parse("$1$", parsing_timeout=None), 1, timeout_seconds=None)


def _answer(request: dict[str, Any]) -> dict[str, str]:
    try:
        verdict = judge(
            request["gold"], request["answers"], request["text"], request.get("places", 6)
        )
    except (Exception, RecursionError, MemoryError):  # noqa: BLE001 - whatever sympy raises
        verdict = "unparseable"
    return {"verdict": verdict}


if __name__ == "__main__":
    serve(_answer, start=_start, memory_bytes=_MEMORY_BYTES)
