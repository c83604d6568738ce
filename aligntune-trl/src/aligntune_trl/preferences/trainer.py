"""A run on pairs of completions: how long they may be, what the policy says, what it prefers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.evaluation.best import best_metric
from aligntune.evaluation.state import undisturbed
from aligntune.scoring.conversation import completion_text
from aligntune_trl.bars import library_bars
from aligntune_trl.base import TRLTrainer
from aligntune_trl.dpo.evaluation import PreferenceEvaluation, scored
from aligntune_trl.generation import complete, prompt_length, with_short_prompts

if TYPE_CHECKING:
    from datasets import Dataset

    from aligntune.evaluation import Metric
    from aligntune.scoring import Scorer
    from aligntune_trl.preview.rows import Seen

__all__ = ["PairTrainer"]

SAMPLES = 3  # prompts that are completed, to be read, when training ends


class PairTrainer(TRLTrainer):
    """Base of trainers on rows of `prompt`, `chosen` and `rejected`.

    Rewards are not trained on. They score what the policy says once it is trained.
    """

    answers = "chosen"  # the column of completions as they should be
    stays: str | None = None  # the end of an over-long row that TRL keeps; None: as is configured
    scorer: Scorer | None = None
    preferences: PreferenceEvaluation | None = None

    @property
    def template_arguments(self) -> dict[str, Any]:
        return {"enable_thinking": self.config.train.enable_thinking}

    @property
    def prompt_limit(self) -> int | None:
        """The longest prompt, in tokens, that leaves something to train on; None for any."""
        train, whole = self.config.train, self.config.model.max_seq_length
        stays = self.stays or train.truncation_mode
        room = whole - 1 if whole is not None and stays == "keep_start" else None
        limits = [limit for limit in (train.max_prompt_length, room) if limit is not None]
        return min(limits) if limits else None

    def prepare_data(self) -> None:
        super().prepare_data()
        assert self.data is not None
        for prepared in filter(None, (self.data, self.eval_data)):
            prepared.rows = self._arrange(prepared.rows, trained=prepared is self.data)
            prepared.rows = with_short_prompts(prepared.rows, self.tokenizer, self.prompt_limit, {})
        if self.config.rewards:
            self.scorer = self.plan.scorer(
                self.shown.column_names, (self.eval_data or self.data).partial
            )
            rows = self._few()  # a reward that fails does so now, and not when training has ended
            scored(self.scorer, rows, [completion_text(answer) for answer in rows[self.answers]])
        if self.config.evaluation.dpo_eval_enabled:
            self.preferences = PreferenceEvaluation.make(
                self.config.evaluation, self.shown, self.data.rows, self._fitting
            )

    def measured(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The chosen answer of a pair is the one that a policy should give."""
        return [{**row, "completion": row["chosen"]} for row in rows]

    def rows_seen(self, rows: Dataset) -> list[Seen]:
        found = super().rows_seen(rows)
        limit = self.prompt_limit
        lengths = [prompt_length(self.tokenizer, prompt, {}) for prompt in rows["prompt"]]
        said = f"the prompt is longer than {limit} tokens"
        return [
            replace(one, left_out=said) if limit is not None and length > limit else one
            for one, length in zip(found, lengths, strict=True)
        ]

    def _arrange(self, rows: Dataset, *, trained: bool) -> Dataset:
        """The rows as the algorithm reads them; pairs as they are."""
        return rows

    @property
    def shown(self) -> Dataset:
        """The rows whose prompts are completed to be read."""
        prepared = self.eval_data or self.data
        assert prepared is not None
        return prepared.rows

    def _few(self) -> Dataset:
        return self.shown.select(range(min(SAMPLES, len(self.shown))))

    def _fitting(self, rows: Dataset) -> Dataset:
        whole = self.config.model.max_seq_length
        limit = None if whole is None else whole - 1
        named = "model.max_seq_length"
        return with_short_prompts(rows, self.tokenizer, limit, {}, set_by=named)

    def measure(self, when: str) -> list[Metric]:
        """Run the evaluators; before and after training, the preference evaluation too.

        During training it runs where checkpoints are compared by it.
        """
        found = super().measure(when)
        chooses = (best_metric(self.config) or "").startswith("dpo_")
        if self.preferences is not None and (when != "during" or chooses):
            metrics, samples = self._measure_preferences()
            self.write_metrics(when, metrics)
            self._write_samples(samples, evaluation=True)
            found += metrics
        if when == "after":
            self._write_samples(self._say_afterwards())
        return found

    def evaluate(self) -> dict[str, float]:
        """TRL's own evaluation, the configured evaluators and the preference evaluation."""
        found = super().evaluate()
        if self.preferences is not None:
            metrics, _ = self._measure_preferences()
            found |= {f"eval_{metric.name}": metric.value for metric in metrics}
        return found

    def _measure_preferences(self) -> tuple[list[Metric], list[dict[str, Any]]]:
        assert self.preferences is not None
        trainer: Any = self.setup()
        wanted = self.config.evaluation

        def say(prompts: Sequence[Any]) -> list[str]:
            length, temperature = wanted.max_new_tokens, wanted.temperature
            return self._say(prompts, length, temperature, wanted.top_p, wanted.top_k)

        with undisturbed(trainer.model), library_bars(shown=False):
            return self.preferences.run(trainer, say, self.scorer)

    def _say_afterwards(self) -> list[dict[str, Any]]:
        train = self.config.train
        rows = self._few()
        length = train.max_completion_length
        texts = self._say(rows["prompt"], length, train.temperature, train.top_p, train.top_k)
        return scored(self.scorer, rows, texts)

    def _write_samples(self, samples: list[dict[str, Any]], **more: bool) -> None:
        for sample in samples:
            line = {"step": self.setup().state.global_step, **more, **sample}
            self.run.append_jsonl(self.run.samples, line)

    def _say(
        self, prompts: Sequence[Any], length: int, temperature: float, top_p: float, top_k: int = 0
    ) -> list[str]:
        """Complete prompts; the same ones every time, and training goes on as if it had not."""
        import torch

        model: Any = self.setup().model
        with undisturbed(model):
            torch.manual_seed(self.config.train.seed)
            return complete(
                model,
                self.tokenizer,
                prompts,
                max_new_tokens=length,
                temperature=temperature,
                top_p=top_p,
                top_k=top_k,
                template_arguments=self.template_arguments,
            )
