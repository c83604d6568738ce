"""One step of training for any algorithm on any backend: the cells of docs/matrix.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.facts import AlgorithmFacts
from aligntune.registry import Entry
from aligntune.testing import addition_rows, make_model, preference_rows, write_jsonl

__all__ = ["train_one_step", "trainer_of_one_step"]

ROWS = 16
# What an algorithm cannot do without, beside a model, rows and a reward.
NEEDED: dict[str, dict[str, Any]] = {
    "text_classification": {"num_labels": 2},
    "token_classification": {"num_labels": 2},
    "meta_es": {
        "meta_es": {"N": 2, "T": 1, "meta_iterations": 1, "eval_max_tokens": 4},
        "kl_coef": 0.0,
    },
}


def rows_of(contract: str) -> list[dict[str, Any]]:
    """Rows as a contract wants them."""
    sums = addition_rows(ROWS)
    if contract == "preference":
        return preference_rows(ROWS)
    if contract == "unpaired-preference":
        return [{**row, "label": bool(number % 2)} for number, row in enumerate(sums)]
    if contract == "text-classification":
        return [{"text": row["prompt"], "label": number % 2} for number, row in enumerate(sums)]
    if contract == "token-classification":
        return [{"tokens": ["1", "plus", "2"], "ner_tags": [1, 0, 1]} for _ in sums]
    return sums


def train_one_step(entry: Entry[AlgorithmFacts], folder: Path, *, adapter: bool) -> dict[str, Any]:
    """Train one step, and return the last line of the run's metrics."""
    run = trainer_of_one_step(entry, folder, peft_enabled=adapter).train()
    lines = run.metrics.read_text(encoding="utf-8").splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def trainer_of_one_step(entry: Entry[AlgorithmFacts], folder: Path, **more: Any) -> Any:
    """The trainer of a run of one step on rows that its algorithm reads."""
    facts = entry.facts
    given: dict[str, Any] = {
        "model_name": str(make_model(folder / "model")),
        "dataset_name": str(write_jsonl(folder / "rows.jsonl", rows_of(facts.data))),
        "algorithm": entry.name,
        "backend": facts.backend,
        "output_dir": str(folder / "run"),
        "max_steps": 1,
        "batch_size": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "loggers": "none",
        **NEEDED.get(entry.name, {}),
        **more,
    }
    if entry.name == "meta_es":
        given["eval_dataset"] = given["dataset_name"]
    if facts.data == "prompt":
        given["max_completion_length"] = 4
    if facts.rewards == "required":
        given["rewards"] = [{"type": "custom", "params": {"reward_function": len}}]
    create = create_sft_trainer if facts.kind == "sft" else create_rl_trainer
    return create(**given)
