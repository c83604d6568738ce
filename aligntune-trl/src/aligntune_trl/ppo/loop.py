"""Proximal policy optimization on what TRL makes rollouts with; TRL has no PPO itself.

TRL's GRPOTrainer completes prompts, asks for rewards, loads the reference and steps through the
minibatches of a rollout. Groups and their advantages give way here to the critic, generalized
advantage estimation and the losses of `ppo_loss`. Read `_generate_and_score_completions`, the
rollout, then `compute_loss`, the update.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from aligntune_trl.grpo.loop import RolloutTrainer
from aligntune_trl.ppo.critic import ValueHead
from aligntune_trl.ppo.loss import (
    adapt_kl_coef,
    advantages_and_returns,
    explained_variance,
    kl_estimate,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)

if TYPE_CHECKING:
    import trl
    from torch import Tensor

    from aligntune.config.sections.training import TrainingConfig
    from aligntune_trl.ppo.critic import ValueModel

__all__ = ["PPOLoop"]

CRITIC = "critic.safetensors"
STATE = "ppo_state.json"
Batch = dict[str, Any]


class PPOLoop(RolloutTrainer):
    """PPO with one completion for each prompt.

    Attributes:
        critic: a `ValueHead` or a `ValueModel`; trained with the policy, saved in checkpoints only.
        kl_coef: the coefficient of the KL penalty, which the controller adapts.

    Args:
        settings: the `train` section of the configuration.
        value_model: the critic; None for a value head.
        stop_token_id: completions end at this token; None for the model's own.
        arguments: those of TRL's trainer; `args.beta` is the first KL coefficient.
    """

    args: trl.GRPOConfig
    model: Any
    # Transformers divides the loss by the accumulated passes.
    loss_is_scaled_for_ga = False  # type: ignore[assignment]
    moved_by_rollouts = ("kl_coef",)

    def __init__(
        self,
        *,
        settings: TrainingConfig,
        value_model: ValueModel | None,
        stop_token_id: int | None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        # The same, as transformers before 5.20 asks; TRL 1.14 sets the second, which forbids it.
        self.model_accepts_loss_kwargs = False
        self.compute_loss_func = None
        self.settings = settings
        self.kl_coef: float = self.args.beta
        critic = value_model or ValueHead(self.model.config.get_text_config().hidden_size)
        # No dropout: the policy is compared with itself, and so are the critic's values.
        self.critic = self.accelerator.prepare_model(critic.eval())
        self.reads_policy = critic.reads_policy
        if stop_token_id is not None:
            self.eos_token_ids = [stop_token_id]
            self.generation_kwargs["eos_token_id"] = [stop_token_id]
            self.generation_config.eos_token_id = [stop_token_id]
        # Forward passes that a rollout serves.
        self._passes: int = (self.args.steps_per_generation or 1) * self.num_iterations
        self._scores = torch.empty(0)
        self._moved: list[float] = []
        self._moved_enough = False
        self._updated = False

    # The rollout

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        """Complete prompts, score the completions, and say how good each of their tokens was."""
        made = super()._generate_and_score_completions(inputs)
        self._metrics[self._mode].pop("frac_reward_zero_std")  # of groups, which PPO has not
        mask, ours = made["completion_mask"], self.settings

        logprobs, values = self._read_in_parts(made)
        reference = made.get("ref_per_token_logps", logprobs)
        kl = kl_estimate(logprobs, reference, ours.kl_estimator) * mask

        stops = torch.tensor(self.eos_token_ids, device=mask.device)
        stopped = (torch.isin(made["completion_ids"], stops) * mask).any(dim=1)
        scores = self._scores - ours.missing_eos_penalty * ~stopped
        rewards = token_rewards(scores, kl, mask, self.kl_coef)
        if ours.whiten_rewards:
            rewards = whiten(rewards, mask, shift=False)

        advantages, returns = advantages_and_returns(rewards, values, mask, ours.gamma, ours.lam)
        self._log_rollout(kl, values, advantages, returns, mask)
        return {
            **{key: made[key] for key in ("prompt_ids", "prompt_mask", "completion_ids")},
            "completion_mask": mask,
            "logprobs": logprobs,
            "values": values,
            "advantages": whiten(advantages, mask),
            "returns": returns,
        }

    def _calculate_rewards(self, inputs: Any, prompts: list[Any], *more: Any) -> Tensor:
        rewards: Tensor = super()._calculate_rewards(inputs, prompts, *more)
        first = self.accelerator.process_index * len(prompts)
        weights = self.reward_weights.to(rewards.device)
        self._scores = (rewards * weights).sum(dim=1)[first : first + len(prompts)]
        return rewards

    def _log_rollout(
        self, kl: Tensor, values: Tensor, advantages: Tensor, returns: Tensor, mask: Tensor
    ) -> None:
        for_completion = kl.sum(dim=1).mean()
        if self.args.beta != 0:
            self._log("kl", masked_mean(kl, mask))
            self._log("kl_of_completion", for_completion)
            self._log("kl_coef", torch.tensor(self.kl_coef))
        self._log("values", masked_mean(values, mask))
        self._log("advantages", masked_mean(advantages, mask))
        self._log("returns", masked_mean(returns, mask))
        self._log("explained_variance", explained_variance(values, returns, mask))
        target = self.settings.target_kl
        if self.settings.adap_kl_ctrl and target is not None and self._mode == "train":
            mean = self.accelerator.gather(for_completion).mean().item()
            self.kl_coef = adapt_kl_coef(self.kl_coef, mean, target)

    # The update

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """One pass over a minibatch; none once the policy has moved enough on this rollout."""
        if self._updated:  # transformers clears the gradients of its own model
            self.critic.zero_grad()
        self._updated = self.accelerator.sync_gradients
        if self._step % self._passes == 0:
            self._moved_enough = False
        if self._moved_enough:  # without gradients the optimizer leaves every weight as it is
            self._step += 1
            return torch.zeros((), device=self.accelerator.device)
        loss: Tensor = super().training_step(  # type: ignore[no-untyped-call]
            model, inputs, num_items_in_batch
        )
        if self._updated:
            ours, moved = self.settings, sum(self._moved) / len(self._moved)
            limit = None if ours.adap_kl_ctrl else ours.target_kl
            self._moved_enough = limit is not None and moved > limit
            self._moved.clear()
        return loss

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        """Policy loss + vf_coef * value loss - ent_coef * entropy, means over tokens."""
        ours, mask = self.settings, inputs["completion_mask"]
        logprobs, entropies, values = self._read(model, inputs)

        of_policy, policy_clipped = policy_loss(
            logprobs, inputs["logprobs"], inputs["advantages"], self.epsilon_low, self.epsilon_high
        )
        of_values, values_clipped = value_loss(
            values, inputs["values"], inputs["returns"], ours.cliprange_value
        )
        entropy = masked_mean(entropies, mask)
        loss = (
            masked_mean(of_policy, mask)
            + ours.vf_coef * masked_mean(of_values, mask)
            - ours.ent_coef * entropy
        )

        moved = masked_mean(kl_estimate(inputs["logprobs"], logprobs.detach(), "k3"), mask)
        if self._mode == "train":
            self._moved.append(self.accelerator.gather(moved).mean().item())
        self._log("entropy", entropy)
        self._log("policy_loss", masked_mean(of_policy, mask))
        self._log("value_loss", masked_mean(of_values, mask))
        self._log("clip_ratio", masked_mean(policy_clipped.float(), mask))
        self._log("value_clip_ratio", masked_mean(values_clipped.float(), mask))
        self._log("approx_kl", moved)
        return loss

    # Policy and critic

    def _read(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities, entropies and values, each of shape (completions, tokens)."""
        tokens = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        # What is read at a token is about the one that follows, so it starts one earlier.
        window = slice(-batch["completion_ids"].size(1) - 1, -1)
        out = model(
            input_ids=tokens,
            attention_mask=attention,
            logits_to_keep=-window.start,
            output_hidden_states=self.reads_policy,
            use_cache=False,
        )
        all_logprobs = (out.logits[:, window].float() / self.temperature).log_softmax(dim=-1)
        chosen = batch["completion_ids"].unsqueeze(-1)
        logprobs = all_logprobs.gather(-1, chosen).squeeze(-1)
        entropies = -(all_logprobs.exp() * all_logprobs).sum(dim=-1)
        if self.reads_policy:
            values = self.critic(out.hidden_states[-1][:, window])
        else:
            values = self.critic(tokens, attention)[:, window]
        return logprobs, entropies, values

    @torch.no_grad()
    def _read_in_parts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities and values of a rollout, as many completions at once as in training."""
        names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")
        size = self.args.per_device_train_batch_size
        logprobs, values = [], []
        for start in range(0, len(batch["prompt_ids"]), size):
            part = {name: batch[name][start : start + size] for name in names}
            with self.compute_loss_context_manager():
                some_logprobs, _, some_values = self._read(self.model, part)
            logprobs.append(some_logprobs)
            values.append(some_values)
        return torch.cat(logprobs), torch.cat(values)

    # The critic beside the policy: optimizer, clipping, checkpoints

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        fresh = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if fresh:
            group = {"params": list(self.critic.parameters()), "weight_decay": 0.0}
            optimizer.add_param_group(group)
        return optimizer

    def _clip_grad_norm(self, model: Any) -> Any:
        both = [*model.parameters(), *self.critic.parameters()]
        return self.accelerator.clip_grad_norm_(both, self.args.max_grad_norm)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            critic = self.accelerator.unwrap_model(self.critic)
            save_file(critic.state_dict(), Path(output_dir) / CRITIC)
            (Path(output_dir) / STATE).write_text(json.dumps({"kl_coef": self.kl_coef}))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            critic = self.accelerator.unwrap_model(self.critic)
            critic.load_state_dict(load_file(Path(checkpoint) / CRITIC))
            self.kl_coef = json.loads((Path(checkpoint) / STATE).read_text())["kl_coef"]

    @property
    def _mode(self) -> str:
        return "train" if self.model.training else "eval"

    def _log(self, name: str, value: Tensor) -> None:
        value = value.detach().to(self.accelerator.device)
        mean = self.accelerator.gather(value).mean().item()
        if not math.isnan(mean):  # equal returns have no variance to explain
            self._metrics[self._mode][name].append(mean)
