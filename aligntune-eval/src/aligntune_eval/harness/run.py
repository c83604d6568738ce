"""Runs lm-eval's evaluator on a model that is loaded, and gives its numbers our form."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from aligntune.errors import AlignTuneError, EvaluationError, describe
from aligntune.evaluation import Evaluation
from aligntune.evaluation.state import undisturbed
from aligntune_eval.harness.library import quiet
from aligntune_eval.harness.numbers import metrics_of
from aligntune_eval.harness.samples import samples_of

if TYPE_CHECKING:
    from aligntune.evaluation import Store
    from aligntune.evaluation.protocol import Progress
    from aligntune_eval.harness.prepare import PreparedHarness

__all__ = ["measure"]


def measure(
    ready: PreparedHarness,
    model: Any,
    tokenizer: Any,
    progress: Progress | None,
    store: Store | None,
) -> Evaluation:
    """See `PreparedHarness.run`."""
    begin = time.perf_counter()
    name = ready.task.name
    if ready.how.chat and not getattr(tokenizer, "chat_template", None):
        raise EvaluationError(
            f"{name} is to be asked as a chat, and the model has no chat template"
        )
    try:
        with undisturbed(model), quiet():
            results = _evaluate(ready, model, tokenizer, progress, store)
        metrics = metrics_of(ready, results)
    except AlignTuneError:
        raise
    except Exception as error:  # lm-eval's, its libraries' and the tasks' own: named here once
        raise EvaluationError(f"{name} of lm-eval: {describe(error)}") from error
    samples = samples_of(ready, results)
    return Evaluation(tuple(metrics), samples, time.perf_counter() - begin)


def _evaluate(
    ready: PreparedHarness,
    model: Any,
    tokenizer: Any,
    progress: Progress | None,
    store: Store | None,
) -> dict[str, Any]:
    """What `lm_eval.simple_evaluate` does with tasks that are loaded, and nothing else."""
    import numpy as np
    import torch
    from lm_eval.evaluator import evaluate

    from aligntune_eval.harness.model import LoadedLM

    how = ready.how
    of_python, of_others = how.seeds
    random.seed(of_python)
    np.random.seed(of_others)  # noqa: NPY002  (what tasks use; `undisturbed` restores it)
    torch.manual_seed(of_others)
    for task in ready.loaded["tasks"].values():
        task.set_fewshot_seed(seed=of_others)
    asked = LoadedLM(model, tokenizer, batch_size=how.batch_size, progress=progress, store=store)
    results: dict[str, Any] = evaluate(
        lm=asked,
        task_dict=ready.loaded,
        limit=how.max_samples,
        system_instruction=how.system_prompt,
        apply_chat_template=how.chat,
        fewshot_as_multiturn=how.chat,
    )
    return results
