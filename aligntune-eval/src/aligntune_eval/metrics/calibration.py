"""Calibration: whether a model is right as often as it is sure, over answers to choose from."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from aligntune.evaluation import Combine, EvaluationContext, Metric
from aligntune_eval.metrics.choices import ChoiceEvaluator, Question
from aligntune_eval.statistics import RESAMPLES, Floats, mean_metric, percentiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Calibration", "expected_calibration_error"]

_CELLS = 4_000_000  # indices drawn at once: 32 MB


class Calibration(ChoiceEvaluator):
    """Expected calibration error (0 to 1) and Brier score (0 to 2) of the choices; lower is better.

    The probabilities of a row are softmax of the log-likelihoods of its choices. With its likeliest
    choice as the answer and the probability of that as confidence, in `bins` bins of equal width,
    ece = Σ_b |B_b| / n · |acc(B_b) - conf(B_b)| (Guo et al. 2017, arXiv 1706.04599, eq. 3), and
    brier_score = the mean of Σ_k (p_k - y_k)² (Brier 1950), y being 1 for the right choice. Rows
    and `delimiter` are those of `multiple_choice`. Intervals: bootstrap over rows. Of few rows ece
    is above 0 even for a calibrated model, and its resamples are more so.

    `name`: unless it is `calibration`, it stands before the metrics' names with a slash.

    Raises:
        ValueError: if `bins` is below 1.
    """

    def __init__(
        self, bins: int = 10, delimiter: str | None = None, name: str = "calibration"
    ) -> None:
        if bins < 1:
            raise ValueError(f"bins must be at least 1, not {bins}")
        super().__init__(delimiter, name)
        self.bins = bins

    def measures(self) -> dict[str, bool | None]:
        return {self._named(metric): False for metric in ("ece", "brier_score")}

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        questions = self.questions(context)
        probabilities = [_softmax(question.logprobs) for question in questions]
        sure = np.array([float(each.max()) for each in probabilities])
        hits = np.array(
            [
                float(np.argmax(each) == question.right)
                for each, question in zip(probabilities, questions, strict=True)
            ]
        )
        context.note("confidence", sure.tolist())
        brier = [_brier(p, question) for p, question in zip(probabilities, questions, strict=True)]
        context.score(self._named("brier_score"), brier)
        seed = context.settings.seed
        return [
            _ece(self._named("ece"), sure, hits, self.bins, seed),
            mean_metric(
                self._named("brier_score"),
                brier,
                seed=seed,
                higher_is_better=False,
                proportion=False,
            ),
        ]

    def _named(self, metric: str) -> str:
        return metric if self.name == "calibration" else f"{self.name}/{metric}"


def expected_calibration_error(sure: Floats, hits: Floats, bins: int) -> float:
    """ECE of confidences and hits (0 or 1), shape (n,) each; see `Calibration`."""
    gaps = np.bincount(_bin(sure, bins), weights=hits - sure, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


def _ece(name: str, sure: Floats, hits: Floats, bins: int, seed: int) -> Metric:
    places = _bin(sure, bins)
    details: dict[str, Any] = {"bins": bins, "reliability": _reliability(sure, hits, places)}
    error = low = high = None
    if len(sure) > 1:
        drawn = _resampled(hits - sure, places, bins, seed)
        error = float(drawn.std(ddof=1))
        low, high = percentiles(drawn)
    return Metric(
        name,
        expected_calibration_error(sure, hits, bins),
        len(sure),
        error,
        low,
        high,
        details={**details, "interval": "none" if error is None else "bootstrap"},
        higher_is_better=False,
        combine=Combine("corpus"),
    )


def _resampled(gaps: Floats, places: NDArray[np.int64], bins: int, seed: int) -> Floats:
    """ECE of rows drawn with replacement, shape (RESAMPLES,); the order of rows does not count."""
    order = np.lexsort((gaps, places))
    gaps, places = gaps[order], places[order]
    starts = np.searchsorted(places, np.arange(bins + 1))
    generator = np.random.default_rng(seed)
    n = len(gaps)
    step = max(1, _CELLS // n)
    drawn: list[Floats] = []
    for begin in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - begin)
        counts = generator.multinomial(n, np.full(n, 1 / n), size=size)
        parts = [np.abs(counts[:, a:b] @ gaps[a:b]) for a, b in pairwise(starts)]
        drawn.append(np.sum(parts, axis=0) / n)
    return np.concatenate(drawn)


def _reliability(sure: Floats, hits: Floats, places: NDArray[np.int64]) -> list[dict[str, Any]]:
    """A reliability diagram: of each bin that holds rows, how many, how sure and how right."""
    return [
        {
            "bin": int(place),
            "rows": int((places == place).sum()),
            "confidence": float(sure[places == place].mean()),
            "accuracy": float(hits[places == place].mean()),
        }
        for place in np.unique(places)
    ]


def _bin(sure: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each confidence: bin m holds ((m / bins), (m + 1) / bins]."""
    return np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)


def _softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max())
    shares: Floats = powers / powers.sum()
    return shares


def _brier(probabilities: Floats, question: Question) -> float:
    wanted = np.zeros_like(probabilities)
    wanted[question.right] = 1.0
    return float(((probabilities - wanted) ** 2).sum())
