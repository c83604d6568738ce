"""From a name or a YAML file to tasks of lm-eval that are checked and have their data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.evaluation import EvalTask, EvaluationSettings

if TYPE_CHECKING:
    from aligntune.evaluation import Evaluation, Store
    from aligntune.evaluation.columns import Rows
    from aligntune.evaluation.protocol import Progress

__all__ = ["PreparedHarness", "harness_task"]


@dataclass(frozen=True)
class PreparedHarness:
    """Tasks of lm-eval whose data are there; see `aligntune_eval.tasks.prepare.Runnable`."""

    task: EvalTask
    rows: Rows
    available: int
    settings: EvaluationSettings
    fingerprint: str

    def run(
        self,
        model: Any,
        tokenizer: Any,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Evaluation:
        """Measure a model with lm-eval's evaluator."""
        raise NotImplementedError


def harness_task(
    name_or_path: str,
    *,
    num_fewshot: int | None = None,
    max_samples: int | None = None,
    batch_size: int = 16,
    seed: int | None = None,
    chat: bool = False,
    system_prompt: str | None = None,
    trust_remote_code: bool = False,
) -> PreparedHarness:
    """Find tasks of lm-eval, load their data and check them; no model is needed.

    Args:
        name_or_path: the name of a task, a group or a tag of lm-eval (with or without `lm_eval:`),
            a YAML file in lm-eval's form, or a folder of such files.
        num_fewshot: examples before each question; unset, as many as the task says.
        max_samples: the first so many rows of each task.
        batch_size: requests in one forward pass.
        seed: of the choice of examples and of sampling; unset, lm-eval's own (1234).
        chat: make prompts with the model's chat template, as `--apply_chat_template` does.
        system_prompt: put before each question.
        trust_remote_code: run Python code that a YAML file names, and metrics that come as code.

    Raises:
        UnavailableError: if lm-eval is not installed.
        NotRegisteredError: for a name that lm-eval does not have.
        EvaluationError: for a file that is wrong, or asks for what is not allowed.
    """
    raise NotImplementedError
