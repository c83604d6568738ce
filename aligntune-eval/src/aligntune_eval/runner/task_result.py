"""What one model did on one task, as the runner returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from aligntune.evaluation import Evaluation, EvaluationSettings
    from aligntune.evaluation.columns import Rows
    from aligntune_eval.files.reading import Result
    from aligntune_eval.files.results import ResultFiles

__all__ = ["TaskResult"]


@dataclass(frozen=True)
class TaskResult:
    """What one model did on one task.

    `model`: as it was given. `task`: its name. `evaluation`: metrics and samples. `files`: where
    they stand, or None without an output folder. `rows`: those that were measured, of `available`.
    `settings`: how. `state`: `measured`; `resumed`, where an earlier process had begun; or `read`,
    where it was finished before and is read back. `resumed`: how many values (completions,
    log-likelihoods) an earlier process had left. `seconds`: spent on it now, loading left out.
    """

    model: str
    task: str
    evaluation: Evaluation
    files: ResultFiles | None
    rows: Rows
    available: int
    settings: EvaluationSettings
    state: Literal["measured", "resumed", "read"]
    resumed: int
    seconds: float

    def as_result(self) -> Result:
        """The same as `aligntune_eval.read_results` gives it, to compare and to draw."""
        from aligntune_eval.files.reading import result_of

        return result_of(
            self.evaluation,
            model=self.model,
            task=self.task,
            rows=self.rows,
            settings=self.settings,
        )

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values, without secrets; the samples are left out."""
        from aligntune_eval.files.results import measured

        files = [] if self.files is None else [str(self.files.results), str(self.files.samples)]
        return {
            "model": self.model,
            "task": self.task,
            "rows": len(self.rows),
            **measured(self.evaluation),
            "state": self.state,
            "resumed": self.resumed,
            "files": files,
        }
