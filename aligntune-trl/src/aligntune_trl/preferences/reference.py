"""The model that a policy is compared with, in algorithms that learn from preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune_trl.backend import load_kwargs, start
from aligntune_trl.lora.checks import off_is_start

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from aligntune.plan import Plan
    from aligntune_trl.backend import Policy

__all__ = ["own_reference"]


def own_reference(plan: Plan, policy: Policy) -> PreTrainedModel | None:
    """The reference, where TRL would not load the one that is meant by itself.

    It loads one from where the policy lies, as `arguments` say; it switches an adapter off.
    """
    model, train = plan.config.model, plan.config.train
    # What an adapter that is switched off leaves need not be what training started from.
    moved = model.peft_enabled and not off_is_start(model) and not train.reference_free
    asked = moved or model.force_use_ref_model or model.ref_model_init_kwargs
    alone = model.peft_enabled or train.precompute_ref_log_probs or train.reference_free
    if not asked and (alone or isinstance(policy.model, str)):
        return None
    from transformers import AutoModelForCausalLM

    kwargs = {**load_kwargs(plan), **model.ref_model_init_kwargs}
    name = policy.model if isinstance(policy.model, str) else start(plan)
    reference: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, **kwargs)
    return reference
