"""Rewards as measurements: the mean of any registered reward over completions of the model.

`accuracy` takes a verifier, a reward whose values lie between 0 (wrong) and 1 (right). The metrics
of `aligntune_eval.metrics.reward_metrics` are the same thing, each with a reward of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.scoring import Failed
from aligntune_eval.asking.generation import check_prompts, generation_details
from aligntune_eval.metrics.named_reward import NamedReward
from aligntune_eval.metrics.per_row import answers_of, means, repeated
from aligntune_eval.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins
    from aligntune.scoring import RewardFunction

__all__ = ["Accuracy", "MeanReward"]

# Where 0 and 1 are a miss and a hit: the range of shares, and none declared.
_OF_SHARES = ((0.0, 1.0), (-math.inf, math.inf))


class MeanReward(Evaluator):
    """Mean of a registered reward over the completions, in the reward's own unit and range.

    Rows that the reward does not apply to are left out and counted. Of several completions of a row
    the mean counts. Rows need a prompt and what the reward requires. Higher is better.

    `reward`: its name. `params`: its parameters, and `reference_column`. `name`: what the metric is
    called; unset, `reward/` and the reward's name.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt",)
    higher_is_better: bool | None = True

    def __init__(
        self, reward: str, params: Mapping[str, Any] | None = None, name: str | None = None
    ) -> None:
        self.name = name or f"reward/{reward}"
        self.reward = NamedReward(reward, params)
        self._made: RewardFunction | None = None

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Look the reward up and check that the rows bring what it requires.

        Raises:
            NotRegisteredError: if no such reward is installed; names what would bring it.
            ConfigError: if the reward does not take the parameters.
            UnavailableError: if it needs a package that is not installed, with the command.
            DataError, EvaluationError: if the rows lack what it requires.
        """
        if (column := self.reward.params.get("reference_column")) is not None:
            settings = replace(settings, reference_column=column)
        super().prepare(rows, settings, plugins)
        rows, settings = self.read(rows, settings)
        self._made = self.reward.prepare(self.name, rows, settings, plugins)

    def read(self, rows: Rows, settings: EvaluationSettings) -> tuple[Rows, EvaluationSettings]:
        """The rows and settings as the reward is shown them."""
        return rows, settings

    def measures(self) -> dict[str, bool | None]:
        return {self.name: self.higher_is_better}

    def check(self, context: EvaluationContext) -> None:
        """See that the model can complete every prompt."""
        check_prompts(context)

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        values, details = self.scored(context)
        rows = means([None if v is None else self.value_of(v) for v in values], len(context.rows))
        return [self.mean(self.name, rows, context, details)]

    def scored(self, context: EvaluationContext) -> tuple[list[float | None], dict[str, Any]]:
        """The reward of each completion, in the order of `answers_of`, and how it came about."""
        if self._made is None:
            self.prepare(context.rows, context.settings, context.plugins)
        assert self._made is not None
        answers = answers_of(context)
        rows, settings = self.read(context.rows, context.settings)
        times = len(answers) // len(rows)
        if (references := self.reward.references(rows)) is not None:
            context.note("reference", references)
        values = self.reward.values(
            repeated(rows, times),
            [answer.text for answer in answers],
            settings,
            ids=[answer.ids for answer in answers],
        )
        self._check(values, times)
        details = {
            "reward": self.reward.reward,
            "params": {k: v for k, v in self.reward.params.items() if k != "reference_column"},
            "reference_column": self.reward.reference_column,
            **self._made.record(),
            **self.described(self._made),
            **generation_details(context),
        }
        if failed := Counter(value.kind for value in values if isinstance(value, Failed)):
            details["failures"] = dict(sorted(failed.items()))
        return values, details

    def value_of(self, reward: float) -> float:
        """What a value of the reward is in this metric."""
        return float(reward)

    def described(self, reward: RewardFunction) -> dict[str, Any]:
        """What else of the reward belongs into the details."""
        return {}

    def mean(
        self,
        name: str,
        values: Sequence[float | None],
        context: EvaluationContext,
        details: dict[str, Any],
        *,
        higher_is_better: bool | None = None,
    ) -> Metric:
        """The mean over rows, whose values become scores; rows without one are counted.

        Raises:
            EvaluationError: if no row has a value.
        """
        context.score(name, values)
        applied = [value for value in values if value is not None]
        if not applied:
            raise EvaluationError(
                f"reward {self.reward.reward!r} applies to none of the {len(values)} rows"
            )
        return mean_metric(
            name,
            applied,
            seed=context.settings.seed,
            details={**details, "not_applicable": len(values) - len(applied)},
            higher_is_better=self.measures().get(name, higher_is_better),
            proportion=self._made is None or self._made.range in _OF_SHARES,
        )

    def _check(self, values: Sequence[float | None], times: int) -> None:
        """Refuse values that this metric cannot mean; any will do for a mean reward."""


class Accuracy(MeanReward):
    """Share of completions that a verifier accepts, 0 to 1; higher is better.

    Rows need a prompt, and what the verifier needs. Of several completions of a row the mean
    counts.

    `reward`: the name of the verifier; its values must lie between 0 and 1. `params`: its
    parameters, and `reference_column`. `name`: what the metric is called.
    """

    def __init__(
        self,
        reward: str = "accuracy",
        params: Mapping[str, Any] | None = None,
        name: str = "accuracy",
    ) -> None:
        super().__init__(reward, params, name)

    def _check(self, values: Sequence[float | None], times: int) -> None:
        for index, value in enumerate(values):
            if value is not None and not 0 <= value <= 1:
                raise EvaluationError(
                    f"reward {self.reward.reward!r} gives row {index // times} the value {value}; "
                    "accuracy needs values between 0 and 1, and the evaluator 'reward' takes any"
                )
