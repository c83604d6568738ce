"""Group relative policy optimization on TRL's GRPOTrainer (Shao et al. 2024, arXiv 2402.03300)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aligntune.core.trainer_base import RLTrainerBase
from aligntune.errors import DataError
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.base import TRLTrainer
from aligntune_trl.callbacks import SamplesCallback, ScorerCallback
from aligntune_trl.fields.batch import generation_cycle, prompt_limit, prompts_per_generation
from aligntune_trl.generation import with_short_prompts

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from aligntune.scoring import Scorer
    from aligntune_trl.preview.rows import Seen

__all__ = ["GRPOTrainer"]

logger = logging.getLogger("aligntune")


class GRPOTrainer(TRLTrainer, RLTrainerBase):
    """Learns from rewards, compared within groups of completions of one prompt.

    A completion's advantage is its reward minus its group's mean, over the group's standard
    deviation; the loss is the clipped surrogate plus the KL divergence to the reference.

    TRL is handed one reward, the weighted sum, so that weights are applied exactly once.
    """

    owner = "GRPOConfig"
    padding_side = "left"
    scorer: Scorer

    @property
    def template_arguments(self) -> dict[str, Any]:
        return {"enable_thinking": self.config.train.enable_thinking}

    @property
    def length_limit(self) -> int | None:
        return prompt_limit(self.config)

    def rows_seen(self, rows: Dataset) -> list[Seen]:
        from aligntune_trl.preview.rows import prompts_seen

        return prompts_seen(self, rows, self.length_limit)

    def prepare_data(self) -> None:
        super().prepare_data()
        assert self.data is not None
        for prepared in filter(None, (self.data, self.eval_data)):
            prepared.rows = with_short_prompts(
                prepared.rows, self.tokenizer, self.length_limit, self.template_arguments
            )
        needed = prompts_per_generation(self.config)
        if len(self.data.rows) < needed:
            raise DataError(
                f"{len(self.data.rows)} prompts are fewer than the {needed} that are completed at "
                "once; lower `train.per_device_batch_size`, or bring more rows"
            )
        # Last, because rewards load what they score with, and a run may train its reward model.
        self.scorer = self.plan.scorer(self.data.rows.column_names, self.data.partial)

    def resumed_from(self, step: int) -> None:
        cycle = generation_cycle(self.config)
        if step % cycle:
            logger.warning(
                "step %d is amid the %d steps that completions serve: those still to be used are "
                "lost, new ones are made, and the run goes on otherwise than it would have",
                step,
                cycle,
            )

    @property
    def ratio(self) -> str:
        """Of what the probability is compared with the old one: each `token`, or the `sequence`."""
        # LUSPO's ratio is that of a whole completion (arXiv 2602.05261).
        return "sequence" if self.config.train.loss_type == "luspo" else "token"

    def own_arguments(self) -> dict[str, Any]:
        """What the algorithm itself says, whatever rows the table has for it."""
        train = self.config.train
        return {
            "loss_type": train.loss_type,
            "scale_rewards": train.scale_rewards,
            "importance_sampling_level": self.ratio,
            "use_bias_correction_kl": False,
        }

    def loop(self) -> Callable[..., Any]:
        """The TRL trainer; its module is imported only here, once the backend is prepared."""
        from aligntune_trl.grpo.loop import RolloutTrainer

        return RolloutTrainer

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        import trl

        assert self.data is not None
        arguments |= {
            "remove_unused_columns": False,
            "chat_template_kwargs": self.template_arguments,
            **self.own_arguments(),
        }
        config = build_config(getattr(trl, self.owner), arguments)
        for name, value in self.own_arguments().items():  # Unsloth changes some that it was told
            setattr(config, name, value)
        trainer: Trainer = self.loop()(
            model=policy.model,
            reward_funcs=[self.scorer],
            args=config,
            train_dataset=self.data.rows,
            eval_dataset=None if self.eval_data is None else self.eval_data.rows,
            processing_class=policy.tokenizer,
            peft_config=policy.peft,
            callbacks=[
                *callbacks,
                SamplesCallback(self.run, self.scorer),
                ScorerCallback(self.scorer),
            ],
        )
        return trainer
