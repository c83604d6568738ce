"""Pairs of answers of which people preferred one."""

from __future__ import annotations

from typing import Any

from aligntune.evaluation import EvalTask, TaskCategory

__all__ = ["HH_RLHF", "split_pair"]

_TURN = "\n\nAssistant:"


def split_pair(row: dict[str, Any]) -> dict[str, Any]:
    """The dialogue up to the last answer, and both of these, as the code of DPO splits them."""
    prompt = row["chosen"][: row["chosen"].rindex(_TURN) + len(_TURN)]
    return {
        "prompt": prompt,
        "chosen": row["chosen"][len(prompt) :],
        "rejected": row["rejected"][len(prompt) :],
    }


HH_RLHF = EvalTask(
    name="hh_rlhf",
    category=TaskCategory.PREFERENCE,
    description="Dialogues (Bai et al. 2022), share where the chosen answer is likelier",
    dataset="Anthropic/hh-rlhf",
    split="test",
    processing_fn=split_pair,
    metrics=("preference_accuracy",),
)
