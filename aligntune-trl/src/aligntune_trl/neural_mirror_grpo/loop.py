"""Group-based mirror policy optimization on what TRL makes rollouts with.

TRL's GRPOTrainer completes prompts, asks for rewards and compares them within groups; its loss has
no place for another divergence, so that the loss is here. Read `compute_loss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from aligntune_trl.grpo.loop import RolloutTrainer
from aligntune_trl.neural_mirror_grpo.loss import Divergence, dr_grpo_mean, token_divergence
from aligntune_trl.ppo.loss import kl_estimate, masked_mean, policy_loss

if TYPE_CHECKING:
    import trl
    from torch import Tensor

__all__ = ["MirrorLoop"]


class MirrorLoop(RolloutTrainer):
    """GRPO with another divergence than KL.

    `args.beta` is the weight of the divergence: where it is not 0, TRL loads a reference, or takes
    the adapter off for it, and a rollout has `ref_per_token_logps`.

    Attributes:
        divergence: D(y, y0) of the policy's and the reference's probability of a token.
        ent_coef: the weight of the entropy.
    """

    args: trl.GRPOConfig
    model: Any
    divergence: Divergence
    ent_coef: float

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        """Clipped surrogate + beta * D - ent_coef * entropy."""
        mask, longest = inputs["completion_mask"], self.args.max_completion_length
        assert longest is not None  # it always is, in TRL's configuration made from ours
        logprobs, entropies, _ = self._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
            torch.cat([inputs["prompt_mask"], mask], dim=1),
            inputs["completion_ids"].size(1),
            compute_entropy=True,
        )
        # Without them completions serve one update, in which the policy is the one that made them.
        old = inputs.get("old_per_token_logps", logprobs.detach())
        advantages = inputs["advantages"].unsqueeze(1)
        surrogate, clipped = policy_loss(
            logprobs, old, advantages, self.epsilon_low, self.epsilon_high
        )
        if "importance_sampling_ratio" in inputs:  # vLLM's probabilities are not quite the policy's
            surrogate = surrogate * inputs["importance_sampling_ratio"]
        of_policy = dr_grpo_mean(surrogate, mask, longest)
        entropy = masked_mean(entropies, mask)
        loss = of_policy - self.ent_coef * entropy

        if self.beta:
            reference = inputs["ref_per_token_logps"]
            moved = token_divergence(logprobs, reference, self.divergence)
            of_mirror = self.beta * dr_grpo_mean(moved, mask, longest)
            loss = loss + of_mirror
            self._log("mirror_loss", of_mirror)
            self._log("divergence", masked_mean(moved, mask))
            self._log("kl", masked_mean(kl_estimate(logprobs, reference, "k3"), mask))
        self._log("policy_loss", of_policy)
        self._log("entropy", entropy)
        self._log("clip_ratio", masked_mean(clipped.float(), mask))
        # TRL has told transformers that the loss of a pass is scaled already.
        return loss / (self.current_gradient_accumulation_steps if self.model.training else 1)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        *,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **of_images: Any,
    ) -> tuple[Tensor, Tensor, None]:
        """Log-probabilities and entropies of the last tokens, of policy and reference alike.

        TRL's own, which Unsloth replaces by one without gradients and with another padding.
        """
        logprobs, entropies = [], []
        size = batch_size or len(input_ids)
        for start in range(0, len(input_ids), size):
            ids, attention = input_ids[start : start + size], attention_mask[start : start + size]
            with self.accelerator.autocast():
                # What is read at a token is about the one that follows, so it starts one earlier.
                out = model(
                    input_ids=ids,
                    attention_mask=attention,
                    logits_to_keep=logits_to_keep + 1,
                    use_cache=False,
                )
            logits = out.logits[:, -logits_to_keep - 1 : -1].float() / self.temperature
            every = logits.log_softmax(dim=-1)
            chosen = ids[:, -logits_to_keep:].unsqueeze(-1)
            logprobs.append(every.gather(-1, chosen).squeeze(-1))
            entropies.append(-(every.exp() * every).sum(dim=-1))
        return torch.cat(logprobs), torch.cat(entropies), None

    def _log(self, name: str, value: Tensor) -> None:
        mode = "train" if self.model.training else "eval"
        self._metrics[mode][name].append(self.accelerator.gather(value.detach()).mean().item())
