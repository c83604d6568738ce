"""Proximal policy optimization (Schulman et al. 2017, arXiv 1707.06347) from rewards.

For language models as in Ziegler et al. 2019 (arXiv 1909.08593) and Ouyang et al. 2022
(arXiv 2203.02155).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, Problem
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Policy
from aligntune_trl.callbacks import SamplesCallback, ScorerCallback
from aligntune_trl.grpo.trainer import GRPOTrainer
from aligntune_trl.ppo.critic import check_value_model, load_value_model

if TYPE_CHECKING:
    from transformers import Trainer

__all__ = ["PPOTrainer"]


class PPOTrainer(GRPOTrainer):
    """Learns from rewards, with a critic that says how much better than expected each token was.

    The reward of a completion goes to its last token, and each token pays for its KL divergence to
    the reference; `aligntune_trl.ppo.loop` is the algorithm.
    """

    def prepare_data(self) -> None:
        name = self.config.model.reward_value_model
        if name is not None:
            check_value_model(name, self.config, self.tokenizer)
        self._stop_token_id()
        super().prepare_data()

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        from aligntune_trl.ppo.loop import PPOLoop

        assert self.data is not None
        name = self.config.model.reward_value_model
        return PPOLoop(
            settings=self.config.train,
            value_model=None if name is None else load_value_model(name, self.config),
            stop_token_id=self._stop_token_id(),
            model=policy.model,
            reward_funcs=[self.scorer],
            args=self._loop_arguments(arguments),
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

    def _loop_arguments(self, arguments: dict[str, Any]) -> Any:
        """GRPO's configuration, without its groups.

        It refuses groups of one, so it is made for pairs, of twice as many completions.
        """
        import trl

        train = self.config.train
        together = train.per_device_batch_size * self.config.distributed.num_processes
        rollout = train.rollout_batch_size or together * train.gradient_accumulation_steps
        config = build_config(
            trl.GRPOConfig,
            arguments
            | {
                "beta": train.kl_coef if train.init_kl_coef is None else train.init_kl_coef,
                "remove_unused_columns": False,
                "chat_template_kwargs": self.template_arguments,
                "num_generations": 2,
                "num_generations_eval": 1,
                "generation_batch_size": 2 * rollout,
            },
        )
        config.per_device_train_batch_size = train.per_device_batch_size
        config.num_generations = 1
        config.generation_batch_size = rollout
        config.steps_per_generation = rollout // together
        return config

    def _stop_token_id(self) -> int | None:
        """The token that ends a completion; None for the model's own.

        Raises:
            ConfigError: if `train.stop_token` is not one token of the tokenizer.
        """
        stop = self.config.train.stop_token
        if stop == "eos":
            return None
        found: int | None = self.tokenizer.get_vocab().get(stop)
        if found is None:
            where = self.config.origins.get("train.stop_token", "")
            message = f"{stop!r} is no token of this model's tokenizer"
            raise ConfigError(Problem("train.stop_token", message, where, "`eos` is its own"))
        return found
