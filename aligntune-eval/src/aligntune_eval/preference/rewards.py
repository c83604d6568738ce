"""The two rewards of a pair: what the model itself implies, or what a registered reward says.

Implicit, with a reference model:     r(x, y) = beta (log p(y|x) - log p_ref(y|x))
without a reference model:            r(x, y) = log p(y|x), in nats
with `length_normalized`:             either of them divided by the tokens of y
explicit, with `reward`:              whatever the registered reward says of y

Reference:
    Rafailov et al. 2023, "Direct preference optimization" (arXiv 2305.18290), section 4 and eq. 5;
    the term beta log Z(x) is left out, since it is the same for both answers of a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune_eval.asking.likelihood import check_requests, loglikelihoods
from aligntune_eval.asking.tokens import tokens_of
from aligntune_eval.metrics.named_reward import NamedReward
from aligntune_eval.models.reference_model import ReferenceModel
from aligntune_eval.preference.pairs import Pairs, pairs_of, targets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aligntune.evaluation import EvaluationContext, EvaluationSettings
    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins
    from aligntune_eval.asking.likelihood import Likelihood
    from aligntune_eval.asking.tokens import Target

__all__ = ["PairRewards", "Rewarded"]

BETA = 0.1
_MEMO = "aligntune_eval.preference.rewards"


@dataclass(frozen=True)
class Rewarded:
    """The rewards of both answers of the pairs that have them, in the order of `pairs.found`."""

    pairs: Pairs
    chosen: list[float]
    rejected: list[float]
    unit: str
    details: dict[str, Any]


class PairRewards:
    """Where the rewards of pairs come from.

    Raises:
        ValueError: for parameters that exclude each other, or that nothing would use.
    """

    def __init__(
        self,
        who: str,
        *,
        reference_model: str | None = None,
        beta: float | None = None,
        length_normalized: bool = False,
        reward: str | None = None,
        params: Mapping[str, Any] | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        if beta is not None and (reference_model is None or not 0 < beta < float("inf")):
            raise ValueError(
                f"beta is {beta}; it scales the log-ratio to a `reference_model`, which is not set"
                if reference_model is None
                else f"beta is {beta}; it must be above 0"
            )
        if reward is not None and (reference_model is not None or length_normalized):
            other = "reference_model" if reference_model is not None else "length_normalized"
            raise ValueError(f"reward and {other} are set; a pair is judged by one of them")
        if reward is None and params:
            raise ValueError("params are those of a reward; set `reward`, or leave them out")
        if trust_remote_code and reference_model is None:
            raise ValueError("trust_remote_code is for the `reference_model`, which is not set")
        self.who = who
        self.beta = BETA if beta is None else beta
        self.length_normalized = length_normalized
        self.reference = (
            None
            if reference_model is None
            else ReferenceModel(reference_model, who, trust_remote_code=trust_remote_code)
        )
        self.reward = None if reward is None else NamedReward(reward, params)

    def __repr__(self) -> str:
        return f"PairRewards({vars(self)!r})"

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Check rows, reference model and reward; no model is loaded."""
        pairs_of(self.who, rows, settings)
        if self.reference is not None:
            self.reference.check_source()
        if self.reward is not None:
            self.reward.prepare(self.who, rows, settings, plugins)

    def check(self, context: EvaluationContext) -> None:
        """See that the reference model fits the measured one, and every answer both of them."""
        if self.reward is not None:
            return
        pairs, targets = self._asked(context)
        check_requests(targets, context.model, _described(pairs))
        if self.reference is not None:
            self.reference.check_against(context, same_size=False)
            with self.reference.used(context) as model:
                check_requests(targets, model, _described(pairs, by_reference=True))

    def measure(self, context: EvaluationContext) -> Rewarded:
        """The rewards of every pair; also written into the samples, under `<name>/chosen` etc.

        Raises:
            EvaluationError: if an answer does not fit into the model, or the reward applies to no
                pair.
        """
        if self.reward is not None:
            pairs = pairs_of(self.who, context.rows, context.settings)
            found = self._explicit(context, pairs, self.reward)
        else:
            found = self._implied(context, *self._asked(context))
        for side, values in (("chosen", found.chosen), ("rejected", found.rejected)):
            context.note(f"{self.who}/{side}", found.pairs.spread(values, len(context.rows)))
        return found

    def _asked(self, context: EvaluationContext) -> tuple[Pairs, list[Target]]:
        """The pairs and the tokens of both answers of each, made once for each context."""
        if _MEMO not in context.memo:
            pairs = pairs_of(self.who, context.rows, context.settings)
            both = [targets_of(pair, context.tokenizer, context.settings) for pair in pairs.found]
            context.memo[_MEMO] = pairs, [target for pair in both for target in pair]
        shared: tuple[Pairs, list[Target]] = context.memo[_MEMO]
        return shared

    def _implied(self, context: EvaluationContext, pairs: Pairs, targets: list[Target]) -> Rewarded:
        model = loglikelihoods(context, targets, describe=_described(pairs))
        rewards = [each.logprob for each in model]
        if self.reference is not None:
            reference = self._reference(context, pairs, targets)
            rewards = [
                self.beta * (ours - theirs.logprob)
                for ours, theirs in zip(rewards, reference, strict=True)
            ]
        if self.length_normalized:
            rewards = [r / target.tokens for r, target in zip(rewards, targets, strict=True)]
        return Rewarded(
            pairs, rewards[::2], rewards[1::2], self._unit(), self._details(pairs, targets)
        )

    def _reference(
        self,
        context: EvaluationContext,
        pairs: Pairs,
        targets: Sequence[Target],
    ) -> list[Likelihood]:
        assert self.reference is not None
        self.check(context)
        with self.reference.used(context) as model:
            return loglikelihoods(
                context,
                targets,
                model=model,
                label=self.reference.label,
                describe=_described(pairs, by_reference=True),
            )

    def _explicit(self, context: EvaluationContext, pairs: Pairs, reward: NamedReward) -> Rewarded:
        name = context.settings.prompt_column
        rows = [{**context.rows[pair.row], name: pair.prompt} for pair in pairs.found]
        both = []
        for side in ("chosen", "rejected"):
            texts = [pair.text(side) for pair in pairs.found]
            # Without a model there is no tokenizer; a reward of tokens says so.
            ids = None if context.tokenizer is None else tokens_of(texts, context.tokenizer)
            both.append(reward.values(rows, texts, context.settings, ids=ids))
        applied = [
            (pair, chosen, rejected)
            for pair, chosen, rejected in zip(pairs.found, *both, strict=True)
            if chosen is not None and rejected is not None
        ]
        if not applied:
            raise EvaluationError(
                f"reward {reward.reward!r} applies to none of the {len(pairs.found)} pairs"
            )
        kept = Pairs([pair for pair, _, _ in applied], pairs.left_out)
        details = {
            "source": "reward",
            "reward": reward.reward,
            "reference_column": reward.reference_column,
            "not_applicable": len(pairs.found) - len(applied),
            "left_out": dict(pairs.left_out),
        }
        chosen, rejected = [c for _, c, _ in applied], [r for _, _, r in applied]
        return Rewarded(kept, chosen, rejected, "", details)

    def _unit(self) -> str:
        if self.reference is not None:
            return ""
        return "nats/token" if self.length_normalized else "nats"

    def _details(self, pairs: Pairs, targets: Sequence[Target]) -> dict[str, Any]:
        details: dict[str, Any] = {"source": "log-likelihood"}
        if self.reference is not None:
            named = {"reference_model": self.reference.source, "beta": self.beta}
            details = {"source": "implicit reward", **named}
        return {
            **details,
            "length_normalized": self.length_normalized,
            "tokens": sum(target.tokens for target in targets),
            "left_out": dict(pairs.left_out),
        }


def _described(pairs: Pairs, *, by_reference: bool = False) -> Callable[[int], str]:
    """What the n-th answer is called in an error; those of a pair stand one after the other."""

    def described(index: int) -> str:
        side = ("chosen", "rejected")[index % 2]
        reader = ", read by the reference model," if by_reference else ""
        return f"the {side} answer of row {pairs.found[index // 2].row}{reader}"

    return described
