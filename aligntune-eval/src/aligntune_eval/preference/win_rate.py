"""Win rate: how often the model's completion is better than a baseline's."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune_eval.asking.generation import check_prompts, generation_details
from aligntune_eval.metrics.named_reward import NamedReward
from aligntune_eval.metrics.per_row import answers_of, means, repeated
from aligntune_eval.preference.baseline import baseline_texts
from aligntune_eval.preference.verdicts import (
    OTHER,
    Contest,
    Verdicts,
    by_judge,
    by_reward,
    judge_params,
)
from aligntune_eval.statistics import mean_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins
    from aligntune.scoring import RewardFunction

__all__ = ["WinRate"]


class WinRate(Evaluator):
    """Share of rows in which the model's completion beats the baseline; ties count half.

    win rate = (wins + ties / 2) / rows. Range 0 to 1, 0.5 where both are equally good; higher is
    better. Interval: Wilson's without ties, else a bootstrap over rows. Of several completions of a
    row the mean counts. Mean lengths of both sides stand in the details: judges favour long
    answers, and the figure is not controlled for it.

    Rows need a prompt, the baseline where it is a column, and what the reward requires.

    Sources: win rate with half ties, as AlpacaEval counts them (Dubois et al. 2024, arXiv
    2404.04475); both orders of a judge, Zheng et al. 2023 (arXiv 2306.05685, section 3.4).

    `reward`: the registered reward that decides; the higher one wins. `params`: its parameters.
    `pairwise`: the reward reads the column `other`, and compares its completion with it; it is
    asked in both orders, and an answer wins that is preferred in both. `llm_judge` gets a rubric
    for pairs, unless `params` has one, with `{completion}` and `{other}`. `baseline`: a column, or
    the folder, `results_*.json` or `samples_*.jsonl` of an evaluation of the same rows; unset, the
    reference column.

    Raises:
        ValueError: if no reward is named.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def __init__(
        self,
        reward: str | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        pairwise: bool = False,
        baseline: str | None = None,
        name: str = "win_rate",
    ) -> None:
        if not reward:
            raise ValueError(
                "reward is not set; it names what decides, such as `reward_model`, or `llm_judge` "
                "with `pairwise: true`"
            )
        self.name = name
        self.pairwise = pairwise
        self.baseline = baseline
        made = judge_params(reward, params or {}) if pairwise else params
        self.reward = NamedReward(reward, made, brings=(OTHER,) if pairwise else ())
        self._made: RewardFunction | None = None
        self.baseline_texts: list[str] = []

    def measures(self) -> dict[str, bool | None]:
        return {self.name: True}

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Read the baseline, look the reward up, and check that the rows bring what it requires."""
        super().prepare(rows, settings, plugins)
        self.baseline_texts = baseline_texts(self.name, self.baseline, rows, settings)
        self._made = self.reward.prepare(self.name, rows, settings, plugins)
        if self.pairwise and OTHER not in self._made.needs:
            raise EvaluationError(
                f"evaluator {self.name!r}: pairwise is set, and the reward {self.reward.reward!r} "
                f"requires no column {OTHER!r}, so that it cannot compare two answers; leave "
                f"pairwise out, or let it read {OTHER!r} (the rubric of llm_judge by {{{OTHER}}})"
            )

    def check(self, context: EvaluationContext) -> None:
        """See that the model can complete every prompt."""
        check_prompts(context)

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        if self._made is None:
            self.prepare(context.rows, context.settings, context.plugins)
        assert self._made is not None
        answers = answers_of(context)
        times = context.settings.num_samples
        contest = Contest(
            repeated(context.rows, times),
            [answer.text for answer in answers],
            repeated(self.baseline_texts, times),
        )
        if self.pairwise:
            found = by_judge(self.reward, self._made, contest, context)
        else:
            found = by_reward(self.reward, contest, context)
        values = means(found.values, len(context.rows))
        context.note("baseline", self.baseline_texts)
        context.score(self.name, values)
        for key, scores in found.scores.items():
            context.note(f"{self.name}/{key}", means(scores, len(context.rows)))
        applied = [value for value in values if value is not None]
        if not applied:
            raise EvaluationError(
                f"reward {self.reward.reward!r} judges none of the {len(values)} rows"
            )
        details = self._details(context, found, contest, len(values) - len(applied))
        return [mean_metric(self.name, applied, seed=context.settings.seed, details=details)]

    def _details(
        self, context: EvaluationContext, found: Verdicts, contest: Contest, not_applicable: int
    ) -> dict[str, Any]:
        assert self._made is not None
        given = {k: v for k, v in self.reward.params.items() if k != "reference_column"}
        return {
            "reward": self.reward.reward,
            "params": given,
            **self._made.record(),
            "reference_column": self.reward.reference_column,
            "pairwise": self.pairwise,
            "baseline": self.baseline or "the reference column",
            "ties": found.values.count(0.5),
            "not_applicable": not_applicable,
            **found.details,
            "characters": fmean(map(len, contest.answers)),
            "baseline_characters": fmean(map(len, contest.others)),
            **generation_details(context),
        }
