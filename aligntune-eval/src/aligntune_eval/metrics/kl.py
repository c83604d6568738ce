"""How far a model has moved from its reference, along what it says itself.

At each position of a completion the two models' distributions over the whole vocabulary are
compared, so that nothing is estimated from the tokens that happened to be sampled:

    KL_t = Σ_v p(v | x, y_<t) log( p(v | x, y_<t) / p_ref(v | x, y_<t) )

The sum over the positions of completions that are sampled from the model is an unbiased estimate of
KL(p || p_ref) between the distributions over whole completions, of lower variance than the mean of
log p(y) / p_ref(y), and never negative.

Reference:
    Amini, Vieira, Cotterell 2025, "Better estimation of the KL divergence between language models"
    (arXiv 2504.10637), the Rao-Blackwellized estimator.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, ClassVar

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune_eval.asking.batching import batches
from aligntune_eval.asking.generation import check_prompts, generation_details, samples_of
from aligntune_eval.asking.likelihood import scored_logits
from aligntune_eval.asking.tokens import Target, prompts_of
from aligntune_eval.asking.work import digest, work_of
from aligntune_eval.models.reference_model import ReferenceModel
from aligntune_eval.statistics import mean_metric, ratio_metric

if TYPE_CHECKING:
    import torch

    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins

__all__ = ["KlDivergence", "divergence"]

_TOKENS_AT_ONCE = 16_384  # inputs of one forward pass, padding included
_LOGITS_AT_ONCE = 2**27  # numbers that one forward pass of each model may return
_CELLS = 2**24  # probabilities that are compared at once: 128 MiB in float64


class KlDivergence(Evaluator):
    """KL(model || reference) along the model's completions, exact over the vocabulary.

    Two metrics: `kl`, the sum over the tokens of a completion, as its mean over completions, in
    nats; and `kl_per_token`, the sum over all tokens divided by their number, in nats per token.
    At least 0, and 0 only for equal models; neither direction is better by itself. With
    temperature 1, `top_p` 1 and `top_k` 0, `kl` estimates the divergence of the two models without
    bias (up to `max_new_tokens`); with other settings it is that along the completions made, and
    `sampled_from_model` in the details is false. Intervals: bootstrap over rows.

    Rows need a prompt. Both models are in memory at once, but for `reference_model: base`.

    `reference_model`: a folder, a name on the hub, or `base` for the model under the adapter.
    `trust_remote_code`: for the reference model. `name`: what the first metric is called; the
    second is `<name>_per_token`.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt",)

    def __init__(
        self, reference_model: str, *, trust_remote_code: bool = False, name: str = "kl"
    ) -> None:
        self.name = name
        self.reference = ReferenceModel(reference_model, name, trust_remote_code=trust_remote_code)

    def measures(self) -> dict[str, bool | None]:
        return {self.name: None, f"{self.name}_per_token": None}

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        super().prepare(rows, settings, plugins)
        self.reference.check_source()

    def check(self, context: EvaluationContext) -> None:
        """See that both models can read every prompt with its completion, in one vocabulary."""
        check_prompts(context)
        self.reference.check_against(context, same_size=True)
        with self.reference.used(context) as reference:
            check_prompts(context, reference)

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        self.check(context)
        samples = samples_of(context)
        prompts = prompts_of(context.rows, context.tokenizer, context.settings)
        targets = [
            Target([*prompt.ids, *each.ids], len(prompt.ids), len(each.text.encode()))
            for prompt, answers in zip(prompts, samples, strict=True)
            for each in answers
        ]
        found = self._divergences(context, targets)
        count = context.settings.num_samples
        rows = range(len(context.rows))
        sums = [math.fsum(found[row * count : (row + 1) * count]) / count for row in rows]
        tokens = [
            sum(each.tokens for each in targets[row * count : (row + 1) * count]) / count
            for row in rows
        ]
        context.score(self.name, sums)
        context.note(f"{self.name}_tokens", tokens)
        return self._metrics(context, sums, tokens)

    def _metrics(
        self, context: EvaluationContext, sums: list[float], tokens: list[float]
    ) -> list[Metric]:
        settings = context.settings
        count = settings.num_samples
        details = {
            "reference_model": self.reference.source,
            "tokens": round(sum(tokens) * count),
            "sampled_from_model": (settings.temperature, settings.top_p, settings.top_k)
            == (1, 1, 0),
            **generation_details(context),
        }
        whole = mean_metric(
            self.name,
            sums,
            seed=settings.seed,
            unit="nats",
            details=details,
            higher_is_better=None,
            proportion=False,
        )
        each = ratio_metric(
            f"{self.name}_per_token",
            sums,
            tokens,
            Combine("ratio", self.name, f"{self.name}_tokens"),
            seed=settings.seed,
            unit="nats/token",
            details=details,
        )
        return [whole, each]

    def _divergences(self, context: EvaluationContext, targets: list[Target]) -> list[float]:
        """The sum of KL_t over the scored tokens of each target, in nats."""
        store, work = context.store, work_of(context, "scoring")
        keys = [digest(f"kl{self.reference.label}", each.ids, each.first) for each in targets]
        lengths = [len(target.ids) for target in targets]
        vocabulary = context.model.get_output_embeddings().weight.shape[0]
        most = min(_TOKENS_AT_ONCE, max(1, _LOGITS_AT_ONCE // vocabulary))
        found: dict[int, float] = {}
        for batch in batches(lengths, context.settings.batch_size, most):
            stored = [store.get(keys[i]) if store is not None else None for i in batch]
            if any(value is None for value in stored):
                begin = time.perf_counter()
                values = self._measure(context, [targets[i] for i in batch])
                seconds = (time.perf_counter() - begin) / len(batch)
                made = [[value, seconds] for value in values]
                _refuse_infinite(self.name, values)
                if store is not None:
                    store.put({keys[i]: entry for i, entry in zip(batch, made, strict=True)})
            else:
                made = [list(value) for value in stored if value is not None]
            for i, (value, took), was in zip(batch, made, stored, strict=True):
                found[i] = value
                work.add(took, lengths[i] - 1, stored=was is not None)
            context.progress("comparing with the reference", len(found), len(targets))
        return [found[i] for i in range(len(targets))]

    def _measure(self, context: EvaluationContext, targets: list[Target]) -> list[float]:
        ours = list(scored_logits(targets, context.model))
        with self.reference.used(context) as model:
            theirs = list(scored_logits(targets, model))
        return [divergence(p, q) for p, q in zip(ours, theirs, strict=True)]


def divergence(p: torch.Tensor, q: torch.Tensor) -> float:
    """Σ over positions of KL(softmax(p) || softmax(q)), in nats, of logits (tokens, vocabulary).

    Computed in float64; infinite where `q` excludes what `p` does not.
    """
    import torch

    # Apple's GPUs have no float64.
    exact = torch.float32 if p.device.type == "mps" else torch.float64
    total = 0.0
    step = max(1, _CELLS // p.shape[-1])
    for start in range(0, p.shape[0], step):
        ours, theirs = (part[start : start + step].to(exact).log_softmax(-1) for part in (p, q))
        # 0 log 0 is 0, where a model masks tokens of its vocabulary.
        terms = torch.where(ours == -math.inf, 0.0, ours.exp() * (ours - theirs))
        # Rounding can leave a sum that is 0 just below it.
        total += float(terms.sum(-1).clamp_min(0).sum())
    return total


def _refuse_infinite(who: str, values: list[float]) -> None:
    if any(not math.isfinite(value) for value in values):
        raise EvaluationError(
            f"evaluator {who!r}: the divergence of a completion is not finite: the reference model "
            "gives probability 0 to a token that the model does not, or one of them yields NaN"
        )
