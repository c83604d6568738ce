"""What algorithms that learn from judged completions have in common beside their losses."""

from __future__ import annotations

from aligntune.plan.parameters import Ours, Use

__all__ = ["completed_uses"]

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
