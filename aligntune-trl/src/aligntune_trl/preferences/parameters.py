"""What algorithms that learn from judged completions have in common beside their losses."""

from __future__ import annotations

from aligntune.plan.parameters import Ours, Use, When
from aligntune_trl.fields.bends import BENDS, lora_dropout_stays, no_lora_dropout

__all__ = ["PREFERENCE_BENDS", "completed_uses", "measured_uses"]

PREFERENCE_BENDS = (
    ("model.disable_dropout", lora_dropout_stays),
    ("model.lora_dropout", no_lora_dropout),
    *BENDS,
)

_SAMPLES = "the completions that are written down when training ends"


def completed_uses() -> dict[str, Use]:
    """The fields of what the policy says itself, which is read and scored, not trained on."""
    return {
        "train.max_completion_length": Ours(_SAMPLES),
        "train.temperature": Ours(_SAMPLES),
        "train.top_p": Ours(_SAMPLES),
        "train.top_k": Ours(_SAMPLES),
        "train.enable_thinking": Ours(
            "the chat template of prompts that are completed to be read or measured"
        ),
    }


def measured_uses() -> dict[str, Use]:
    """The fields of the preference evaluation, for algorithms that learn from pairs."""
    measured = When("evaluation.dpo_eval_enabled", (True,))
    names = (
        "dpo_eval_max_samples",
        "dpo_zero_shot_max_samples",
        "dpo_few_shot_max_samples",
        "dpo_few_shot_examples_text",
    )
    return {
        "evaluation.dpo_eval_enabled": Ours("the preference evaluation"),
        **{
            f"evaluation.{name}": Ours("the preference evaluation", when=measured) for name in names
        },
    }
