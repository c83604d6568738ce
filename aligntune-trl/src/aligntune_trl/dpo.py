"""Direct preference optimization on TRL's DPOTrainer (Rafailov et al. 2023, arXiv 2305.18290)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune.evaluation.state import undisturbed
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy, load_kwargs, start
from aligntune_trl.bars import library_bars
from aligntune_trl.base import TRLTrainer
from aligntune_trl.dpo_losses import weighed
from aligntune_trl.generation import complete, prompt_length, with_short_prompts
from aligntune_trl.preference_eval import PreferenceEvaluation, scored

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, Trainer

    from aligntune.evaluation import Metric
    from aligntune.scoring import Scorer
    from aligntune_trl.preview_rows import Seen

__all__ = ["DPOTrainer"]

SAMPLES = 3  # prompts that are completed, to be read, when training ends


class DPOTrainer(TRLTrainer, RLTrainerBase):
    """Learns from pairs of completions of which one was preferred.

    The implicit reward of a completion is beta times its log-ratio, policy over reference; the loss
    is -log sigmoid of the difference between chosen and rejected. The reference is the model that
    training starts from: with an adapter, the model without it.

    Rewards are not trained on. They score what the policy says once it is trained.
    """

    owner = "DPOConfig"
    scorer: Scorer | None = None
    preferences: PreferenceEvaluation | None = None

    @property
    def prompt_limit(self) -> int | None:
        """The longest prompt, in tokens, that leaves something to train on; None for any."""
        train, whole = self.config.train, self.config.model.max_seq_length
        room = whole - 1 if whole is not None and train.truncation_mode == "keep_start" else None
        limits = [limit for limit in (train.max_prompt_length, room) if limit is not None]
        return min(limits) if limits else None

    def prepare_data(self) -> None:
        super().prepare_data()
        assert self.data is not None
        for prepared in filter(None, (self.data, self.eval_data)):
            prepared.rows = with_short_prompts(prepared.rows, self.tokenizer, self.prompt_limit, {})
        if self.config.rewards:
            self.scorer = self.plan.scorer(self.shown.column_names)
        if self.config.evaluation.dpo_eval_enabled:
            self.preferences = PreferenceEvaluation.make(
                self.config.evaluation, self.shown, self.data.rows, self._fitting
            )

    def rows_seen(self, rows: Dataset) -> list[Seen]:
        found = super().rows_seen(rows)
        limit = self.prompt_limit
        lengths = [prompt_length(self.tokenizer, prompt, {}) for prompt in rows["prompt"]]
        said = f"the prompt is longer than {limit} tokens"
        return [
            replace(one, left_out=said) if limit is not None and length > limit else one
            for one, length in zip(found, lengths, strict=True)
        ]

    @property
    def shown(self) -> Dataset:
        """The rows whose prompts are completed to be read."""
        prepared = self.eval_data or self.data
        assert prepared is not None
        return prepared.rows

    def _fitting(self, rows: Dataset) -> Dataset:
        whole = self.config.model.max_seq_length
        limit = None if whole is None else whole - 1
        named = "model.max_seq_length"
        return with_short_prompts(rows, self.tokenizer, limit, {}, set_by=named)

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        from aligntune_trl.preference import PreferenceTrainer

        assert self.data is not None
        train = self.config.train
        losses = weighed(train)
        arguments |= {"loss_type": list(losses), "loss_weights": list(losses.values())}
        if train.reference_free:  # log-probabilities that are known beforehand: zero
            arguments["precompute_ref_log_probs"] = True
        return PreferenceTrainer(
            longest=train.max_target_length,
            reference_free=train.reference_free,
            model=policy.model,
            ref_model=self._reference(policy),
            args=_config(arguments),
            train_dataset=self.data.rows,
            eval_dataset=None if self.eval_data is None else self.eval_data.rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=callbacks,
        )

    def _reference(self, policy: Policy) -> PreTrainedModel | None:
        """The reference, where TRL would not load the one that is meant by itself.

        It loads one from where the policy lies, as `arguments` say; it switches an adapter off.
        """
        model, train = self.config.model, self.config.train
        # Biases that train beside an adapter stay when it is switched off.
        biased = model.peft_enabled and model.bias != "none" and not train.reference_free
        asked = biased or model.force_use_ref_model or model.ref_model_init_kwargs
        loaded = not isinstance(policy.model, str)
        alone = model.peft_enabled or train.precompute_ref_log_probs or train.reference_free
        if not asked and (alone or not loaded):
            return None
        from transformers import AutoModelForCausalLM

        kwargs = {**load_kwargs(self.plan), **model.ref_model_init_kwargs}
        name = start(self.plan) if loaded else policy.model
        reference: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, **kwargs)
        return reference

    def measure(self, when: str) -> list[Metric]:
        """Run the evaluators; before and after training, the preference evaluation too."""
        found = super().measure(when)
        if when == "during":
            return found
        if self.preferences is not None:
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
            return self._say(prompts, wanted.max_new_tokens, wanted.temperature, wanted.top_p)

        with undisturbed(trainer.model), library_bars(shown=False):
            return self.preferences.run(trainer, say, self.scorer)

    def _say_afterwards(self) -> list[dict[str, Any]]:
        train = self.config.train
        rows = self.shown.select(range(min(SAMPLES, len(self.shown))))
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
                template_arguments={"enable_thinking": self.config.train.enable_thinking},
            )


def _config(arguments: dict[str, Any]) -> Any:
    import trl

    with warnings.catch_warnings():  # the releases that may be installed have it
        warnings.filterwarnings("ignore", "The `'keep_end'` truncation mode", FutureWarning)
        return build_config(trl.DPOConfig, arguments)
