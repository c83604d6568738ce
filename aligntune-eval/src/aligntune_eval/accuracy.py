"""Rewards as measurements: the mean of any registered reward over completions of the model.

`accuracy` takes a verifier, a reward whose values lie between 0 (wrong) and 1 (right). The reward
is looked up by name like any other, with the reference column and the checks that training applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.evaluation.columns import Rows, columns_of, require
from aligntune.scoring import Part, RewardBatch, Scorer, build_reward
from aligntune.scoring.faults import raw_values
from aligntune_eval.generation import completions, generation_details
from aligntune_eval.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.plugins import Plugins

__all__ = ["Accuracy", "MeanReward"]


class MeanReward(Evaluator):
    """Mean of a registered reward; rows that the reward does not apply to are left out and counted.

    `reward`: its name. `params`: its parameters. `name`: what the metric is called; unset,
    `reward/` and the reward's name.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def __init__(
        self, reward: str, params: Mapping[str, Any] | None = None, name: str | None = None
    ) -> None:
        self.name = name or f"reward/{reward}"
        self.reward = reward
        self.params = dict(params or {})
        self._part: Part | None = None
        self._reference: str | None = None

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Look the reward up and check that the rows bring what it requires.

        Raises:
            NotRegisteredError: if no such reward is installed; names what would bring it.
            ConfigError: if the reward does not take the parameters.
            DataError, EvaluationError: if the rows lack what it requires.
        """
        super().prepare(rows, settings, plugins)
        params = dict(self.params)
        explicit = params.pop("reference_column", settings.reference_column)
        name, reward = build_reward(self.reward, params, plugins)
        self._part = Part(name, reward)
        if explicit is not None:
            require(self.name, [explicit], rows, settings)
        scorer = Scorer([self._part], explicit)
        scorer.check(columns_of(rows))
        self._reference = scorer.reference_column
        needed = reward.needs
        if "reference" in needed and self._reference is not None:
            needed = needed - {"reference"} | {self._reference}
        require(self.name, sorted(needed), rows, settings)
        scorer.load()

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        if self._part is None:
            self.prepare(context.rows, context.settings, context.plugins)
        assert self._part is not None
        values = raw_values(self._part.name, self._part.reward, self._batch(context))
        context.score(self.name, values)
        applied = [value for value in values if value is not None]
        if not applied:
            raise EvaluationError(
                f"reward {self.reward!r} applies to none of the {len(values)} rows"
            )
        self._check(values)
        details = {
            "reward": self.reward,
            "reference_column": self._reference,
            "not_applicable": len(values) - len(applied),
            **generation_details(context),
        }
        return [mean_metric(self.name, applied, seed=context.settings.seed, details=details)]

    def _check(self, values: list[float | None]) -> None:
        """Refuse values that this metric cannot mean; any will do for a mean reward."""

    def _batch(self, context: EvaluationContext) -> RewardBatch:
        rows, prompt_column = context.rows, context.settings.prompt_column
        made = completions(context)
        prompts = [row[prompt_column] for row in rows]
        names = [name for name in columns_of(rows) if name != prompt_column]
        columns = {name: [row.get(name) for row in rows] for name in names}
        references = columns[self._reference] if self._reference is not None else None
        if references is not None:
            context.note("reference", references)
        messages = None
        if not any(isinstance(prompt, str) for prompt in prompts):
            messages = [[{"role": "assistant", "content": answer.text}] for answer in made]
        return RewardBatch(
            texts=[answer.text for answer in made],
            prompts=prompts,
            references=references,
            columns=columns,
            completion_ids=[answer.ids for answer in made],
            messages=messages,
        )


class Accuracy(MeanReward):
    """Share of completions that a verifier accepts.

    `reward`: the name of the verifier; its values must lie between 0 and 1. `params`: its
    parameters. `name`: what the metric is called.
    """

    def __init__(
        self,
        reward: str = "accuracy",
        params: Mapping[str, Any] | None = None,
        name: str = "accuracy",
    ) -> None:
        super().__init__(reward, params, name)

    def _check(self, values: list[float | None]) -> None:
        for index, value in enumerate(values):
            if value is not None and not 0 <= value <= 1:
                raise EvaluationError(
                    f"reward {self.reward!r} gives row {index} the value {value}; accuracy "
                    "needs values between 0 and 1, and the evaluator 'reward' takes any"
                )
