"""Perplexity and loss: how surprised a model is by a text, per token.

loss = Σ NLL / Σ tokens, over all tokens of all rows, each scored exactly once; with a prompt and a
completion, the completion alone is scored. perplexity = exp(loss). bits per byte = Σ NLL / (ln 2 ·
Σ bytes), which does not depend on the tokenizer. All are ratios of sums, so their interval comes
from a bootstrap over rows of the ratio. With the default stride, running text gets the values of
lm-eval's `loglikelihood_rolling`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, EvaluationContext, Evaluator, Metric
from aligntune_eval.asking.likelihood import loglikelihoods, positions_of
from aligntune_eval.asking.tokens import Target, target_of
from aligntune_eval.statistics import Floats, ratio_metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Loss", "Perplexity", "Window", "windows"]

Counts = NDArray[np.int64]

_MEMO = "aligntune_eval.nll"
_POSITIONS = 2048  # read at once where a model does not say how many it has


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


@dataclass(frozen=True)
class _Scored:
    """Sums of each row: negative log-likelihood in nats, tokens, bytes; shape (rows,) each."""

    nll: Floats
    tokens: Counts
    sizes: Counts
    details: dict[str, Any]


class _OfText(Evaluator):
    """What loss and perplexity have in common: windows, and the sums of each row."""

    needs: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self, window: int | None, stride: int | None, special_tokens: bool, name: str
    ) -> None:
        for key, value in (("window", window), ("stride", stride)):
            if value is not None and value < 1:
                raise ValueError(f"{key} must be at least 1, not {value}")
        if window is not None and stride is not None and stride > window:
            raise ValueError(f"stride ({stride}) must not be above window ({window})")
        self.name = name
        self.window = window
        self.stride = stride
        self.special_tokens = special_tokens

    def check(self, context: EvaluationContext) -> None:
        """See that the rows hold something to score, and that the model can read a window."""
        _targets(context, special=self.special_tokens)
        positions = positions_of(context.model)
        if positions is not None and self.window is not None and self.window > positions:
            raise EvaluationError(
                f"evaluator {self.name!r}: window is {self.window}, and the model has {positions} "
                "positions; set a smaller window, or leave it out"
            )

    def scored(self, context: EvaluationContext) -> _Scored:
        """The sums of each row, computed once for each window and stride of a context."""
        positions = positions_of(context.model) or _POSITIONS
        window = min(self.window or positions, positions)
        stride = min(self.stride or window, window)
        key = (_MEMO, window, stride, self.special_tokens)
        if key not in context.memo:
            targets = _targets(context, special=self.special_tokens)
            context.memo[key] = _scored(context, targets, window, stride)
        shared: _Scored = context.memo[key]
        return shared

    def ratio(
        self,
        name: str,
        context: EvaluationContext,
        top: tuple[str, Floats],
        bottom: tuple[str, Counts],
        **more: Any,
    ) -> Metric:
        """A metric that is a ratio of sums over rows, whose parts stand in the samples."""
        scored = self.scored(context)
        parts = [self._note(context, key, values) for key, values in (top, bottom)]
        kept = (scored.tokens > 0) & (scored.sizes > 0)
        return ratio_metric(
            name,
            top[1][kept],
            bottom[1][kept].astype(np.float64),
            Combine(more.pop("kind", "ratio"), *parts),
            seed=context.settings.seed,
            details=scored.details,
            higher_is_better=False,
            **more,
        )

    def _note(self, context: EvaluationContext, key: str, values: Floats | Counts) -> str:
        """Put numbers into the samples; another window's numbers there keep their name."""
        numbers: Sequence[float] = values.tolist()
        if any(
            sample.get(key, number) != number
            for sample, number in zip(context.samples, numbers, strict=True)
        ):
            key = f"{self.name}/{key}"
        context.note(key, numbers)
        return key


class Perplexity(_OfText):
    """Perplexity, exp(Σ NLL / Σ tokens), 1 or more, and bits per byte, Σ NLL / (ln 2 · Σ bytes).

    Of both, lower is better. Rows need `text`, `messages`, or a prompt with a `completion`, which
    then is scored alone. `window`: most tokens that the model reads at once; unset, as many as it
    has positions (2048 where it does not say). `stride`: tokens that each further window scores;
    unset, `window`. A smaller stride gives every token more context, a lower value, and takes
    longer. `special_tokens`: score also what the tokenizer adds to running text, such as a token
    that begins it, given that same token, as lm-eval does by default. Source: Jelinek et al. 1977;
    windows as lm-eval's `loglikelihood_rolling`.

    Raises:
        ValueError: if `window` or `stride` is below 1, or `stride` above `window`.
        EvaluationError: before anything is scored, if the model has fewer positions than `window`.
    """

    def __init__(
        self,
        window: int | None = None,
        stride: int | None = None,
        name: str = "perplexity",
        special_tokens: bool = False,
    ) -> None:
        super().__init__(window, stride, special_tokens, name)

    def measures(self) -> dict[str, bool | None]:
        return {self.name: False, self._bits: False}

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        scored = self.scored(context)
        nll, tokens = ("nll", scored.nll), ("tokens", scored.tokens)
        bits, sizes = ("bits", scored.nll / math.log(2)), ("bytes", scored.sizes)
        return [
            self.ratio(self.name, context, nll, tokens, kind="exp_ratio"),
            self.ratio(self._bits, context, bits, sizes, unit="bits/byte"),
        ]

    @property
    def _bits(self) -> str:
        return "bits_per_byte" if self.name == "perplexity" else f"{self.name}/bits_per_byte"


class Loss(_OfText):
    """Mean negative log-likelihood of a token, Σ NLL / Σ tokens, in nats; 0 or more, lower better.

    The mean is over tokens, as training's loss is, so long rows count more. Rows and parameters are
    those of `perplexity`, which is e to this.

    Raises:
        ValueError: if `window` or `stride` is below 1, or `stride` above `window`.
    """

    def __init__(
        self,
        window: int | None = None,
        stride: int | None = None,
        name: str = "loss",
        special_tokens: bool = False,
    ) -> None:
        super().__init__(window, stride, special_tokens, name)

    def measures(self) -> dict[str, bool | None]:
        return {self.name: False}

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        scored = self.scored(context)
        nll, tokens = ("nll", scored.nll), ("tokens", scored.tokens)
        return [self.ratio(self.name, context, nll, tokens, unit="nats/token")]


def _targets(context: EvaluationContext, *, special: bool) -> list[Target]:
    """What is scored of each row, made once for each context.

    Raises:
        EvaluationError: if nothing is.
    """
    key = (_MEMO, "targets", special)
    if key not in context.memo:
        made = [
            target_of(row, context.tokenizer, context.settings, special=special)
            for row in context.rows
        ]
        if not any(target.tokens and target.bytes for target in made):
            raise EvaluationError("no row holds a token to score: every text is empty")
        context.memo[key] = made
    shared: list[Target] = context.memo[key]
    return shared


def _scored(context: EvaluationContext, targets: list[Target], window: int, stride: int) -> _Scored:
    parts = [w for i, target in enumerate(targets) for w in windows(i, target, window, stride)]
    answers = loglikelihoods(
        context,
        [Target(part.ids, len(part.ids) - part.scored, 0) for part in parts],
        describe=lambda index: f"row {parts[index].row}",
    )
    nll = np.zeros(len(targets), dtype=np.float64)
    for part, answer in zip(parts, answers, strict=True):
        nll[part.row] -= answer.logprob
    tokens = np.array([target.tokens for target in targets])
    sizes = np.array([target.bytes for target in targets])
    kept = (tokens > 0) & (sizes > 0)
    details = {
        "window": window,
        "stride": stride,
        "tokens": int(tokens[kept].sum()),
        "bytes": int(sizes[kept].sum()),
        "nats_per_token": float(nll[kept].sum() / tokens[kept].sum()),
        "empty_rows": int((~kept).sum()),
    }
    return _Scored(nll, tokens, sizes, details)
