"""Writes the models and the rows that both sides of the training benchmark read."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from aligntune.testing import addition_rows, make_model, preference_rows, write_jsonl

folder = Path(sys.argv[1])
size = {"hidden_size": 256, "layers": 4, "heads": 4, "intermediate_size": 512}
make_model(folder / "model", **size)
tokenizer = AutoTokenizer.from_pretrained(folder / "model")
torch.manual_seed(0)
judge = AutoModelForSequenceClassification.from_pretrained(folder / "model", num_labels=1)
judge.config.pad_token_id = tokenizer.pad_token_id
judge.save_pretrained(folder / "judge")
tokenizer.save_pretrained(folder / "judge")
write_jsonl(folder / "rows.jsonl", addition_rows(2000))
write_jsonl(folder / "pairs.jsonl", preference_rows(2000))
