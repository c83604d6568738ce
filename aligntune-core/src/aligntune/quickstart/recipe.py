"""Makes what the quickstart trains on: a model of 0.8 M parameters, sums, and two configurations.

The sums are of two-digit numbers. The teacher of the SFT data is sloppy: it writes most sums of 100
and more rounded down to the ten (57+68=120). The model that learns from it is mediocre for that
reason, and GRPO, whose reward knows the right sums, can mend what imitation could not.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from aligntune.testing.data import write_jsonl
from aligntune.testing.models import make_model

__all__ = ["make", "problems"]

HELD_OUT, FOR_GRPO, FOR_SFT = 500, 2000, 5600
SLOPPY = 0.55  # share of the sums of 100 and more that the teacher rounds down

_SFT = """\
# The first stage imitates the sloppy teacher. Run it again with: aligntune train {file}
algorithm: sft
backend: trl
model:
  name_or_path: {folder}/model
  precision: fp32
  gradient_checkpointing: false
  max_seq_length: 32
datasets:
  - name: {folder}/data/sft.jsonl
eval_datasets:
  - name: {folder}/data/test.jsonl
train:
  max_steps: 700
  per_device_batch_size: 64
  learning_rate: 3e-3
  lr_scheduler: cosine
  warmup_steps: 20
  weight_decay: 0.0
  optimizer: adamw_torch_fused
  adam_beta2: 0.98
  logging_steps: 20
  eval_strategy: "no"
  load_best_model_at_end: false
  save_strategy: "no"
  seed: {seed}
evaluation:
  evaluators: [accuracy]
  compute_perplexity: false
  compute_rouge: false
  compute_bleu: false
  before_training: true
  batch_size: 256
  max_new_tokens: 6
logging:
  output_dir: {folder}/sft
  loggers: none
  log_level: WARNING
"""

_GRPO = """\
# The second stage learns from the reward. Run it again with: aligntune train {file}
algorithm: grpo
backend: trl
model:
  name_or_path: {folder}/sft/model
  precision: fp32
  peft_enabled: false
datasets:
  - name: {folder}/data/grpo.jsonl
eval_datasets:
  - name: {folder}/data/test.jsonl
rewards:
  - type: accuracy
train:
  max_steps: 110
  per_device_batch_size: 256
  num_generations: 8
  max_completion_length: 5
  temperature: 1.0
  top_p: 1.0
  kl_coef: 0.01
  learning_rate: 2e-4
  lr_scheduler: constant
  weight_decay: 0.0
  optimizer: adamw_torch_fused
  adam_beta2: 0.98
  logging_steps: 5
  save_strategy: "no"
  seed: {seed}
evaluation:
  evaluators: [accuracy]
  before_training: true
  batch_size: 256
  max_new_tokens: 6
logging:
  output_dir: {folder}/grpo
  loggers: none
  log_level: WARNING
"""


def problems() -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows for SFT, rows for GRPO and held-out rows; no problem occurs in two of them.

    The split is the same for every seed of a run. A row has `prompt` ("57+68="), `answer` ("125"),
    and for SFT the teacher's `completion`.
    """
    shuffled = [(left, right) for left in range(10, 100) for right in range(10, 100)]
    random.Random(1234).shuffle(shuffled)  # noqa: S311 (no secret)
    rows = [{"prompt": f"{left}+{right}=", "answer": str(left + right)} for left, right in shuffled]
    test, rest = rows[:HELD_OUT], rows[HELD_OUT:]
    teacher = random.Random(99)  # noqa: S311 (no secret)
    sft = []
    for row in rest[FOR_GRPO : FOR_GRPO + FOR_SFT]:
        total = int(row["answer"])
        sloppy = total >= 100 and teacher.random() < SLOPPY
        written = str(total // 10 * 10 if sloppy else total)
        sft.append({"prompt": row["prompt"], "completion": written})
    held_out = [{**row, "completion": row["answer"]} for row in test]
    return sft, rest[:FOR_GRPO], held_out


def make(folder: Path, *, seed: int = 0) -> tuple[Path, Path]:
    """Write model, data, `sft.yaml` and `grpo.yaml` into a folder; return both files."""
    make_model(
        folder / "model",
        hidden_size=192,
        layers=2,
        heads=4,
        key_value_heads=2,
        intermediate_size=448,
        positions=64,
        rope_theta=30.0,
        initializer_range=0.08,
        seed=seed,
    )
    for name, rows in zip(("sft", "grpo", "test"), problems(), strict=True):
        write_jsonl(folder / "data" / f"{name}.jsonl", rows)
    paths = []
    for name, template in (("sft", _SFT), ("grpo", _GRPO)):
        path = folder / f"{name}.yaml"
        text = template.format(folder=folder.as_posix(), file=path.as_posix(), seed=seed)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths[0], paths[1]
