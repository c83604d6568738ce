"""Runs that learn from programs: isolation is recorded, and a weak one ends the run early."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer
from aligntune.errors import ConfigError, UnavailableError
from aligntune.testing import make_model, write_jsonl

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    make_model(tmp_path / "model")
    tests = json.dumps(["assert add(1, 2) == 3"])
    write_jsonl(tmp_path / "rows.jsonl", [{"prompt": "Write add(a, b).", "tests": tests}] * 8)
    return {
        "algorithm": "grpo",
        "backend": "trl",
        "model_name": str(tmp_path / "model"),
        "dataset_name": str(tmp_path / "rows.jsonl"),
        "output_dir": str(tmp_path / "run"),
        "precision": "fp32",
        "batch_size": 4,
        "max_completion_length": 8,
        "max_steps": 1,
        "logging_steps": 1,
        "loggers": "none",
    }


def test_a_run_records_how_programs_were_isolated(settings: dict[str, Any]) -> None:
    rewards = [{"type": "code_execution"}, {"type": "code_syntax", "weight": 0.1}]
    run = create_rl_trainer(**settings, rewards=rewards).train()
    environment = json.loads(run.environment.read_text())
    assert environment["rewards"] == {"code_execution": {"isolation": "bwrap"}}
    assert environment["python"]
    (sample, *_) = run.read_jsonl(run.samples)
    assert sample["rewards"] == {"code_execution": 0.0, "code_syntax": 0.0}


def test_weak_isolation_ends_the_run_before_the_policy_loads(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aligntune_rewards.sandbox import tiers

    (tmp_path / "model" / "model.safetensors").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    tiers.probe.cache_clear()
    try:
        with pytest.raises(UnavailableError, match=r"'code_execution'.*install bubblewrap"):
            create_rl_trainer(**settings, rewards=["code_execution"]).setup()
    finally:
        tiers.probe.cache_clear()
    with pytest.raises(ConfigError, match=r"model\.name_or_path"):  # the policy comes after
        create_rl_trainer(**settings, rewards=["code_syntax"]).setup()
