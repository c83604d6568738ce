"""How much of a reference program a completion has, in words, in syntax and in data flow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aligntune.scoring import RewardFunction
from aligntune_rewards.code.blocks import LONGEST, Which, check_which, code_of
from aligntune_rewards.code.checked import flag
from aligntune_rewards.code.parsing import parsed
from aligntune_rewards.reference.codebleu_parts import (
    Program,
    flow_match,
    ngram_match,
    syntax_match,
    weighted_ngram_match,
)
from aligntune_rewards.reference.references import reference_texts

__all__ = ["PARTS", "CodebleuReward"]

PARTS = ("ngram", "weighted_ngram", "syntax", "dataflow")
"""The parts of the score, in the order of the paper."""


class CodebleuReward(RewardFunction):
    """CodeBLEU of the completion's code against a reference program, both in Python.

    The weighted mean of four matches (Ren et al. 2020, arXiv 2009.10297): n-grams of tokens (BLEU),
    the same with keywords weighing five times as much, subtrees of the syntax tree without names,
    and data flow with variables numbered. The algorithm is that of the paper and of its authors'
    code, on trees of `ast`; comments, docstrings and formatting do not count. Three things are
    meant to be different, since this is trained on: the last three matches are divided by the
    larger of the two programs (`symmetric`), where the paper divides by the reference, so that
    adding code never pays; data flow that does not match earns 0, where the package `codebleu`
    gives full marks; and a program that cannot be parsed earns 0.

    The code is the last fenced block that is marked as Python or not marked; a completion without a
    fence is code itself. The same holds for the reference; of a list, the best match counts. Where
    the reference has no data flow, its weight is shared among the other parts; if none counts, the
    row is left out.

    Range: 0 to 1. Higher is better. Columns: the reference; a row without one is left out (None).
    About 3 ms for 20 lines.

    Args:
        weights: of the parts `ngram`, `weighted_ngram`, `syntax`, `dataflow`, in that order or by
            name (those not named weigh 0); they are divided by their sum.
        symmetric: divide by the larger program; false gives the recall of the paper.
        block: which of several blocks counts: `last`, `first`, or `all`, one below the other.

    Attributes:
        failures: counts of `"syntax error"`, `"no code"`, `"too long"` (over 100,000 characters)
            and `"too deep"`.

    Raises:
        ValueError: when scoring, if a reference is no Python program.
        TypeError: when scoring, if a reference is no text.
    """

    name = "codebleu"
    requires = frozenset({"reference"})
    range = (0.0, 1.0)
    cost = "process"  # a parser can take long over a hostile text
    timeout = 5.0
    quiet = frozenset({"syntax error", "no code", "too long", "too deep"})

    def __init__(
        self,
        weights: Any = (0.25, 0.25, 0.25, 0.25),
        symmetric: bool = True,
        block: Which = "last",
    ) -> None:
        self.weights = _weights(weights)
        self.symmetric = flag(symmetric, "symmetric")
        self.block = check_which(block)

    def compute(self, text: str, reference: Any = None) -> float | None:
        if not (wanted := reference_texts(reference)):
            return None
        programs = [_reference(each, self.block) for each in wanted]
        candidate = self._candidate(text)
        if isinstance(candidate, str):
            return self.fail(candidate)
        scores = [self._score(candidate, program) for program in programs]
        return max((score for score in scores if score is not None), default=None)

    def parts(self, code: str, reference: str) -> dict[str, float | None]:
        """The four matches of two programs, before they are weighed; None is no data flow.

        Raises:
            ValueError: if one of them is no Python program.
        """
        return self._parts(_reference(code, self.block), _reference(reference, self.block))

    def _candidate(self, text: str) -> Program | str:
        """The program of a completion, or the kind of failure."""
        code = code_of(text, self.block)
        if code is None:
            return "no code"
        if len(code) > LONGEST:
            return "too long"
        tree = parsed(code)
        if tree is None:
            return "syntax error"
        try:
            return Program.of(tree)
        except RecursionError:
            return "too deep"

    def _parts(self, candidate: Program, reference: Program) -> dict[str, float | None]:
        tokens, symmetric = (candidate.tokens, reference.tokens), self.symmetric
        return {
            "ngram": ngram_match(*tokens),
            "weighted_ngram": weighted_ngram_match(*tokens, symmetric=symmetric),
            "syntax": syntax_match(candidate, reference, symmetric=symmetric),
            "dataflow": flow_match(candidate, reference, symmetric=symmetric),
        }

    def _score(self, candidate: Program, reference: Program) -> float | None:
        parts = self._parts(candidate, reference)
        there = [(self.weights[name], part) for name, part in parts.items() if part is not None]
        total = math.fsum(weight for weight, _ in there)
        if total == 0.0:  # data flow alone is asked for, and there is none
            return None
        return min(1.0, math.fsum(weight * part for weight, part in there) / total)


@lru_cache(maxsize=256)
def _reference(text: str, block: Which) -> Program:
    code = code_of(text, block)
    tree = None if code is None else parsed(code)
    if tree is None:
        raise ValueError(
            f"the reference {text[:80]!r} is no Python program; name the column that holds one "
            "with params.reference_column"
        )
    return Program.of(tree)


def _weights(given: Any) -> dict[str, float]:
    named = dict(given) if isinstance(given, Mapping) else None
    if named is None:
        if not isinstance(given, list | tuple) or len(given) != len(PARTS):
            raise ValueError(
                f"weights is {given!r}; it is four numbers, for {', '.join(PARTS)}, or a mapping "
                "of these names to numbers"
            )
        named = dict(zip(PARTS, given, strict=True))
    if unknown := sorted(set(named) - set(PARTS)):
        raise ValueError(f"weights has {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    weights = {name: named.get(name, 0.0) for name in PARTS}
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e9:
            raise ValueError(f"weights has {weight!r} for {name!r}; it must be a number, 0 or more")
    if not any(weights.values()):
        raise ValueError("weights are all 0; at least one part must count")
    return weights
