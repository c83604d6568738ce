"""Online DPO on what TRL makes groups of completions with.

TRL's GRPOTrainer completes each prompt twice, asks for rewards and loads the reference; groups and
their advantages give way here to pairs. TRL's own OnlineDPOTrainer, which is experimental, is not
used: it adds up the gradients of accumulated passes instead of averaging them, takes the first of
two completions with equal rewards for the better one, cuts prompts unseen, and cannot evaluate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from aligntune_trl.grpo.loop import RolloutTrainer
from aligntune_trl.online_dpo.loss import choose, pair_loss

if TYPE_CHECKING:
    import trl
    from torch import Tensor

    from aligntune.config.sections.training import TrainingConfig

__all__ = ["OnlinePairs"]

Batch = dict[str, Any]


class OnlinePairs(RolloutTrainer):
    """Pairs of completions that the policy makes itself, and DPO's loss of them.

    Args:
        settings: the `train` section of the configuration.
        arguments: those of TRL's trainer.
    """

    args: trl.GRPOConfig
    model: Any
    # Transformers divides the loss by the accumulated passes.
    loss_is_scaled_for_ga = False  # type: ignore[assignment]

    def __init__(self, *, settings: TrainingConfig, **arguments: Any) -> None:
        super().__init__(**arguments)
        # The same, as transformers before 5.20 asks; TRL 1.14 sets the second, which forbids it.
        self.model_accepts_loss_kwargs = False
        self.compute_loss_func = None
        self.settings = settings
        self.beta = 0.0  # with `args.beta` TRL has loaded the reference; it is read here alone
        self._scores = torch.empty(0)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        """Complete each prompt twice, and put what was chosen beside what was rejected."""
        made = super()._generate_and_score_completions(inputs)
        chosen, rejected, decided = choose(self._penalized(made))
        both = torch.stack([chosen, rejected], dim=1)  # (pairs, 2)
        batch = {
            "prompt_ids": made["prompt_ids"][chosen],
            "prompt_mask": made["prompt_mask"][chosen],
            "completion_ids": made["completion_ids"][both],
            "completion_mask": made["completion_mask"][both],
            "decided": decided,
        }
        return {**batch, "reference": self._of_reference(batch)}

    def _calculate_rewards(self, inputs: Any, prompts: list[Any], *more: Any) -> Tensor:
        rewards: Tensor = super()._calculate_rewards(inputs, prompts, *more)
        first = self.accelerator.process_index * len(prompts)
        weights = self.reward_weights.to(rewards.device)
        self._scores = (rewards * weights).sum(dim=1)[first : first + len(prompts)]
        return rewards

    def _penalized(self, made: Batch) -> Tensor:
        """The scores, less for completions that do not end."""
        stops = torch.tensor(self.eos_token_ids, device=self._scores.device)
        stopped = (torch.isin(made["completion_ids"], stops) * made["completion_mask"]).any(dim=1)
        scores: Tensor = self._scores - self.settings.missing_eos_penalty * ~stopped
        return scores

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        """The mean loss of the pairs; one that is not decided counts as 0."""
        ours = self.settings
        policy = self._read(model, inputs)
        ratios = policy - inputs["reference"]
        x = ratios[:, 0] - ratios[:, 1]
        loss = pair_loss(x, ours.beta, str(ours.loss_type or "sigmoid")) * inputs["decided"]

        rewards = ours.beta * ratios.detach()
        self._log("rewards/chosen", rewards[:, 0])
        self._log("rewards/rejected", rewards[:, 1])
        self._log("rewards/margins", rewards[:, 0] - rewards[:, 1])
        self._log("rewards/accuracies", (rewards[:, 0] > rewards[:, 1]).float())
        self._log("logps/chosen", policy[:, 0])
        self._log("logps/rejected", policy[:, 1])
        self._log("kl_of_completion", ratios)
        self._log("kl", ratios.sum() / inputs["completion_mask"].sum())  # of a token, sampled
        mean: Tensor = loss.mean()
        return mean

    def _read(self, model: Any, batch: Batch) -> Tensor:
        """Log-probability of each completion, summed over its tokens: shape (pairs, 2)."""
        ids, mask = batch["completion_ids"].flatten(0, 1), batch["completion_mask"].flatten(0, 1)
        prompt_ids = batch["prompt_ids"].repeat_interleave(2, dim=0)
        prompt_mask = batch["prompt_mask"].repeat_interleave(2, dim=0)
        window = slice(-ids.size(1) - 1, -1)  # what is read at a token is about the next
        out = model(
            input_ids=torch.cat([prompt_ids, ids], dim=1),
            attention_mask=torch.cat([prompt_mask, mask], dim=1),
            logits_to_keep=-window.start,
            use_cache=False,
        )
        # Half precision would lose what two policies differ by.
        single = torch.promote_types(out.logits.dtype, torch.float32)
        logprobs = out.logits[:, window].to(single).log_softmax(dim=-1)
        of_tokens = logprobs.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
        summed: Tensor = (of_tokens * mask).sum(dim=1).view(-1, 2)
        return summed

    @torch.no_grad()
    def _of_reference(self, batch: Batch) -> Tensor:
        """The same under the reference, as many completions at once as in training."""
        size = max(1, self.args.per_device_train_batch_size // 2)
        found = []
        for start in range(0, len(batch["decided"]), size):
            part = {name: value[start : start + size] for name, value in batch.items()}
            with self.compute_loss_context_manager():
                if self.ref_model is not None:
                    found.append(self._read(self.ref_model, part))
                    continue
                with self.accelerator.unwrap_model(self.model).disable_adapter():
                    found.append(self._read(self.model, part))
        return torch.cat(found)

    def _log(self, name: str, values: Tensor) -> None:
        mode = "train" if self.model.training else "eval"
        mean = self.accelerator.gather(values.detach().float().mean()).mean().item()
        self._metrics[mode][name].append(mean)
