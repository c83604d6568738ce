"""Evaluations as if two models had been measured, without a model."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from aligntune.evaluation import (
    Combine,
    EvalTask,
    Evaluation,
    EvaluationContext,
    EvaluationSettings,
    Metric,
)
from aligntune.plugins import Plugins, Switches
from aligntune_eval.files.results import ResultFiles, TaskOutcome, write_results
from aligntune_eval.metrics.corpus import Bleu
from aligntune_eval.statistics import mean_metric

Rows = list[dict[str, Any]]


def sums(count: int) -> Rows:
    """Additions, no two of them the same."""
    return [
        {"prompt": f"{i}+1=", "reference": f"the answer is {i + 1} and no other"}
        for i in range(count)
    ]


def measured(rows: Rows, right: float = 0.5, seed: int = 0, bleu: bool = False) -> Evaluation:
    """A model that is right in about this share of rows: accuracy, perplexity, and BLEU."""
    draw = random.Random(seed)
    context = EvaluationContext(
        None, None, rows, EvaluationSettings(), Plugins(Switches(only=frozenset()))
    )
    hits = [float(draw.random() < right) for _ in rows]
    texts = [
        row["reference"] if hit else f"the answer is {draw.randint(10**6, 10**7)} I think"
        for row, hit in zip(rows, hits, strict=True)
    ]
    tokens = [len(row["reference"]) for row in rows]
    nll = [n * (1.0 + draw.random() * (1.5 - right)) for n in tokens]
    for key in ("prompt", "reference"):
        context.note(key, [row[key] for row in rows])
    context.note("completion", texts)
    context.note("nll", nll)
    context.note("tokens", tokens)
    context.score("accuracy", hits)
    perplexity = Metric(
        "perplexity",
        math.exp(sum(nll) / sum(tokens)),
        len(rows),
        higher_is_better=False,
        combine=Combine("exp_ratio", "nll", "tokens"),
        details={"window": 64},
    )
    metrics = [mean_metric("accuracy", hits), perplexity]
    if bleu:
        references = [[row["reference"]] for row in rows]
        metrics += Bleu().measure(texts, references, {"reference_column": "reference"}, context)
    return Evaluation(tuple(metrics), context.samples, 1.0)


def written(
    folder: Path,
    model: str,
    evaluation: Evaluation,
    rows: Rows,
    task: str = "sums",
    **settings: Any,
) -> ResultFiles:
    """The files of one model on one task."""
    made = EvalTask(name=task, dataset=rows, metrics=["accuracy"])
    outcome = TaskOutcome(made, evaluation, rows, len(rows), EvaluationSettings(**settings))
    return write_results([outcome], folder, model=model)[0]
