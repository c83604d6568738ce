"""Writes the model and the rows that both sides of the training benchmark read."""

from __future__ import annotations

import sys
from pathlib import Path

from aligntune.testing import addition_rows, make_model, write_jsonl

folder = Path(sys.argv[1])
make_model(folder / "model", hidden_size=256, layers=4, heads=4, intermediate_size=512)
write_jsonl(folder / "rows.jsonl", addition_rows(2000))
