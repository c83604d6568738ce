"""Preference accuracy and reward margin: does the model, or a reward, prefer what was chosen?"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.evaluation.preference import (
    margins,
    preference_accuracy,
    preferred,
    reward_margin,
)
from aligntune_eval.preference.rewards import PairRewards, Rewarded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins
    from aligntune_eval.metrics.named_reward import NamedReward

__all__ = ["PreferenceAccuracy", "RewardMargin"]


class _OfPairs(Evaluator):
    """A metric of the rewards of pairs."""

    needs: ClassVar[tuple[str, ...]] = ("chosen", "rejected")
    rewards: PairRewards

    @property
    def reward(self) -> NamedReward | None:
        """The registered reward that judges the answers, if one does."""
        return self.rewards.reward

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        super().prepare(rows, settings, plugins)
        self.rewards.prepare(rows, settings, plugins)

    def check(self, context: EvaluationContext) -> None:
        self.rewards.check(context)

    def measures(self) -> dict[str, bool | None]:
        return {self.name: True}

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        found = self.rewards.measure(context)
        values = self._values(found)
        context.score(self.name, found.pairs.spread(values, len(context.rows)))
        return [self._metric(found, context.settings.seed)]

    @abstractmethod
    def _values(self, found: Rewarded) -> list[float]:
        """The value of each pair."""

    @abstractmethod
    def _metric(self, found: Rewarded, seed: int) -> Metric:
        """The metric of all pairs."""


class PreferenceAccuracy(_OfPairs):
    """Share of pairs whose chosen answer has the higher reward; ties count half.

    accuracy = mean of [r(x, chosen) > r(x, rejected)] + [equal] / 2. Range 0 to 1, 0.5 by guessing;
    higher is better. Interval: Wilson's without ties, else a bootstrap over pairs.

    Rows need `chosen` and `rejected`, with a prompt apart or shared by both, as texts or chat
    messages. Pairs that DPO leaves out (equal or empty answers) are left out and counted.

    Sources: the implicit reward of DPO (Rafailov et al. 2023, arXiv 2305.18290), as TRL logs it
    under `rewards/accuracies`, where ties count 0; accuracy of rewards on pairs is RewardBench's
    measure (Lambert et al. 2024, arXiv 2403.13787).

    `reference_model`: a folder, a name on the hub, or `base` for the model under the adapter; then
    the reward is the log-ratio to it. Unset, it is the log-likelihood. `length_normalized`: divide
    by the tokens of the answer. `reward`, `params`: a registered reward judges both texts instead,
    and the model is not asked. `trust_remote_code`: for the reference model.
    """

    def __init__(
        self,
        reference_model: str | None = None,
        *,
        length_normalized: bool = False,
        reward: str | None = None,
        params: Mapping[str, Any] | None = None,
        trust_remote_code: bool = False,
        name: str = "preference_accuracy",
    ) -> None:
        self.name = name
        self.rewards = PairRewards(
            name,
            reference_model=reference_model,
            length_normalized=length_normalized,
            reward=reward,
            params=params,
            trust_remote_code=trust_remote_code,
        )

    def _values(self, found: Rewarded) -> list[float]:
        return preferred(found.chosen, found.rejected)

    def _metric(self, found: Rewarded, seed: int) -> Metric:
        return preference_accuracy(
            self.name, found.chosen, found.rejected, seed=seed, details=found.details
        )


class RewardMargin(_OfPairs):
    """Mean difference between the rewards of the chosen and the rejected answer.

    margin = mean of r(x, chosen) - r(x, rejected). Any number, above 0 where the chosen answers
    are preferred; higher is better, at the same `beta`. Unit: of the reward; nats without a
    reference model, nats per token with `length_normalized`. Interval: bootstrap over pairs.

    Rows, sources and parameters are those of `preference_accuracy`, and TRL logs it under
    `rewards/margins`. `beta`: scale of the log-ratio to the `reference_model`, 0.1 as in DPO; give
    the one that was trained with.
    """

    def __init__(
        self,
        reference_model: str | None = None,
        *,
        beta: float | None = None,
        length_normalized: bool = False,
        reward: str | None = None,
        params: Mapping[str, Any] | None = None,
        trust_remote_code: bool = False,
        name: str = "reward_margin",
    ) -> None:
        self.name = name
        self.rewards = PairRewards(
            name,
            reference_model=reference_model,
            beta=beta,
            length_normalized=length_normalized,
            reward=reward,
            params=params,
            trust_remote_code=trust_remote_code,
        )

    def _values(self, found: Rewarded) -> list[float]:
        return margins(found.chosen, found.rejected)

    def _metric(self, found: Rewarded, seed: int) -> Metric:
        return reward_margin(
            self.name,
            found.chosen,
            found.rejected,
            seed=seed,
            unit=found.unit,
            details=found.details,
        )
