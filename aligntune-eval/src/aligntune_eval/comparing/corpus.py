"""Paired differences of corpus metrics: BLEU, chrF and TER of resampled rows, by sacrebleu.

No score of a row adds up to these, but each is made from a few counts per row, so a resample costs
one sum and not one pass over the texts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from aligntune.errors import UnavailableError
from aligntune_eval.comparing.paired import resampled_sums
from aligntune_eval.metrics.reference_metric import reference_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import Metric
    from aligntune_eval.files.reading import Row
    from aligntune_eval.statistics import Floats

__all__ = ["corpus_resamples"]


def corpus_resamples(
    metrics: tuple[Metric, Metric],
    rows: Sequence[Sequence[Row]],
    pairs: Sequence[tuple[Row, Row]],
    seed: int,
) -> tuple[float, float, Floats] | str:
    """Both scores over the pairs, and their resampled differences; or why there are none.

    `rows`: all rows of each side, from which the number in its results has to come out.

    Raises:
        UnavailableError: if sacrebleu is not installed.
    """
    scorers = [_scorer(metric) for metric in metrics]
    if None in scorers:
        return "how the rows make it is not in the results"
    counts: list[Floats] = []
    for place, (metric, scorer) in enumerate(zip(metrics, scorers, strict=True)):
        whole = _counts(scorer, metric, rows[place])
        if not math.isclose(_score(scorer, whole.sum(axis=0)), metric.value, rel_tol=1e-6):
            return "the completions do not give the number in the results"
        at = {id(row): index for index, row in enumerate(rows[place])}
        counts.append(whole[[at[id(pair[place])] for pair in pairs]])
    width = counts[0].shape[1]
    sums = resampled_sums(np.concatenate(counts, axis=1), seed)
    drawn = [_score(scorers[1], row[width:]) - _score(scorers[0], row[:width]) for row in sums]
    first, second = (_score(s, c.sum(axis=0)) for s, c in zip(scorers, counts, strict=True))
    return first, second, np.array(drawn)


def _scorer(metric: Metric) -> Any:
    """The object of sacrebleu that made a metric, from its details; None if they do not say."""
    said = metric.details.get("sacrebleu")
    if not isinstance(said, dict):
        return None
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
        from sacrebleu.metrics.ter import TER
    except ImportError as error:
        raise UnavailableError(
            f"comparing {metric.name!r} needs sacrebleu, which is not installed: "
            'pip install "aligntune-eval[text]"'
        ) from error
    kinds: dict[str, Any] = {"bleu": BLEU, "chrf": CHRF, "ter": TER}
    return kinds[said["metric"].lower()](**said["options"])


def _counts(scorer: Any, metric: Metric, rows: Sequence[Row]) -> Floats:
    """What sacrebleu adds up, shape (rows, counts); its own tests of significance do it so."""
    references = [_references(metric, row) for row in rows]
    most = max(map(len, references))
    streams = [[r[n] if n < len(r) else None for r in references] for n in range(most)]
    texts = [row.completions[0] for row in rows]
    found = scorer._extract_corpus_statistics(texts, streams)  # noqa: SLF001
    return np.asarray(found, dtype=np.float64)


def _score(scorer: Any, sums: Floats) -> float:
    return float(scorer._compute_score_from_stats(sums.tolist()).score)  # noqa: SLF001


def _references(metric: Metric, row: Row) -> list[str]:
    column: Any = metric.details.get("reference_column")
    return reference_texts(row.doc[column]) if column in row.doc else [row.reference]
