"""SFT on a model that Unsloth loads, from a stream of rows."""

from __future__ import annotations

import json
from pathlib import Path

from aligntune import create_sft_trainer
from aligntune.testing import addition_rows, make_model, write_jsonl


def losses(run: Path) -> list[float]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [found["loss"] for line in lines if "loss" in (found := json.loads(line))]


def test_a_stream_is_trained_on_and_resumed(tmp_path: Path) -> None:
    make_model(tmp_path / "model")
    write_jsonl(tmp_path / "rows.jsonl", addition_rows(20))
    for name, cut in (("whole", None), ("stopped", 2)):
        given = {
            "model_name": str(tmp_path / "model"),
            "datasets": [{"name": str(tmp_path / "rows.jsonl"), "streaming": True}],
            "backend": "unsloth",
            "output_dir": str(tmp_path / name),
            "precision": "fp32",
            "peft_enabled": False,
            "gradient_checkpointing": False,
            "max_seq_length": 64,
            "max_steps": 4,
            "per_device_batch_size": 2,
            "save_strategy": "steps",
            "save_interval": 2,
            "logging_steps": 1,
            "loggers": "none",
            "learning_rate": 1e-3,
        }
        create_sft_trainer(**given, stop_after_steps=cut).train()
        if cut is not None:
            create_sft_trainer(**given).train(resume=True)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    assert len(set(losses(tmp_path / "whole"))) == 4
    record = json.loads((tmp_path / "whole" / "data.json").read_text())["train"][0]
    assert 8 <= record["kept"] < 20
