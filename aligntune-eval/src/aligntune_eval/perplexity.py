"""Perplexity: how surprised a model is by a text, per token.

perplexity = exp(Σ NLL / Σ tokens), over all tokens of all rows, each scored exactly once; with a
prompt and a completion, the completion alone is scored. bits per byte = Σ NLL / (ln 2 · Σ bytes),
which does not depend on the tokenizer. Both are ratios of sums, so their interval comes from a
bootstrap over rows of the ratio. With the default stride, running text gets the values of lm-eval's
`loglikelihood_rolling`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, EvaluationContext, Evaluator, Metric
from aligntune_eval.likelihood import loglikelihoods, positions_of
from aligntune_eval.statistics import Floats, bootstrap_ratio, percentiles
from aligntune_eval.tokens import Target, target_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Perplexity", "Window", "windows"]


@dataclass(frozen=True)
class Window:
    """One forward pass over `ids`, of which the last `scored` next-token predictions count."""

    row: int
    ids: list[int]
    scored: int


def windows(row: int, target: Target, window: int, stride: int) -> Iterator[Window]:
    """Cut a sequence so that each token after its context is scored once.

    The first window predicts as many tokens as it can; each later one predicts the next `stride`
    tokens with as much context before them as fits into `window` inputs.
    """
    last = len(target.ids) - 1
    done = target.first - 1
    while done < last:
        end = min(last, max(window, done + stride))
        start = max(0, end - window)
        yield Window(row, target.ids[start : end + 1], end - done)
        done = end


class Perplexity(Evaluator):
    """Perplexity and bits per byte.

    `window`: most tokens that the model reads at once; unset, as many as it has positions (2048
    where it does not say). `stride`: tokens that each further window scores; unset, `window`. A
    smaller stride gives every token more context, a lower value, and takes longer.

    Raises:
        ValueError: if `window` or `stride` is below 1, or `stride` above `window`.
    """

    needs: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self, window: int | None = None, stride: int | None = None, name: str = "perplexity"
    ) -> None:
        for key, value in (("window", window), ("stride", stride)):
            if value is not None and value < 1:
                raise ValueError(f"{key} must be at least 1, not {value}")
        if window is not None and stride is not None and stride > window:
            raise ValueError(f"stride ({stride}) must not be above window ({window})")
        self.name = name
        self.window = window
        self.stride = stride

    def measures(self) -> dict[str, bool | None]:
        prefix = "" if self.name == "perplexity" else f"{self.name}/"
        return {self.name: False, f"{prefix}bits_per_byte": False}

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        targets = [target_of(row, context.tokenizer, context.settings) for row in context.rows]
        positions = positions_of(context.model) or 2048
        window = min(self.window or positions, positions)
        stride = min(self.stride or window, window)
        nll = self._nll(context, targets, window, stride)
        context.note("nll", [float(value) for value in nll])
        context.note("tokens", [target.tokens for target in targets])
        context.note("bits", [float(value) for value in nll / math.log(2)])
        context.note("bytes", [target.bytes for target in targets])
        kept = [index for index, target in enumerate(targets) if target.tokens and target.bytes]
        if not kept:
            raise EvaluationError("no row holds a token to score: every text is empty")
        tokens = np.array([targets[i].tokens for i in kept], dtype=np.float64)
        sizes = np.array([targets[i].bytes for i in kept], dtype=np.float64)
        details = {
            "window": window,
            "stride": stride,
            "tokens": int(tokens.sum()),
            "bytes": int(sizes.sum()),
            "nats_per_token": float(nll[kept].sum() / tokens.sum()),
            "empty_rows": len(targets) - len(kept),
        }
        prefix = "" if self.name == "perplexity" else f"{self.name}/"
        ratio = partial(_ratio, details=details, seed=context.settings.seed)
        bits = Combine("ratio", "bits", "bytes")
        return [
            ratio(self.name, nll[kept], tokens, combine=Combine("exp_ratio", "nll", "tokens")),
            ratio(f"{prefix}bits_per_byte", nll[kept] / math.log(2), sizes, combine=bits),
        ]

    def _nll(
        self, context: EvaluationContext, targets: list[Target], window: int, stride: int
    ) -> Floats:
        """Negative log-likelihood of each row's scored tokens, in nats, shape (rows,)."""
        parts = [w for i, target in enumerate(targets) for w in windows(i, target, window, stride)]
        total = np.zeros(len(targets), dtype=np.float64)
        answers = loglikelihoods(
            context,
            [Target(part.ids, len(part.ids) - part.scored, 0) for part in parts],
            describe=lambda index: f"row {parts[index].row}",
        )
        for part, answer in zip(parts, answers, strict=True):
            total[part.row] -= answer.logprob
        return total


def _ratio(
    name: str,
    top: Floats,
    bottom: Floats,
    *,
    details: dict[str, Any],
    seed: int,
    combine: Combine,
) -> Metric:
    """The metric Σ top / Σ bottom (or exp of it), with its bootstrap interval over rows."""
    exponential = combine.kind == "exp_ratio"
    value = float(top.sum() / bottom.sum())
    details = {**details, "interval": "bootstrap" if len(top) > 1 else "none"}
    unit = "" if exponential else "bits/byte"
    if len(top) < 2:
        value = math.exp(value) if exponential else value
        return Metric(
            name, value, 1, unit=unit, details=details, higher_is_better=False, combine=combine
        )
    drawn = bootstrap_ratio(top, bottom, seed)
    if exponential:
        value, drawn = math.exp(value), np.exp(drawn)
    error = float(drawn.std(ddof=1))
    low, high = percentiles(drawn)
    return Metric(
        name,
        value,
        len(top),
        error,
        low,
        high,
        unit=unit,
        details=details,
        higher_is_better=False,
        combine=combine,
    )
