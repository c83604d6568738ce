"""The choice between Unsloth and TRL by facts, and why; and where parameters go on Unsloth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aligntune.config import load_config
from aligntune.errors import ConfigError, UnavailableError
from aligntune.plan import make_plan
from aligntune_unsloth import checks

PLAN = """
import sys
{before}
from aligntune.errors import AlignTuneError
from aligntune.config import load_config
from aligntune.plan import make_plan
try:
    plan = make_plan(load_config({{"model": "m", "dataset": "d", "backend": "{backend}"}}))
    print(plan.backend.name, "|", plan.why)
except AlignTuneError as error:
    print("refused |", error)
print([name for name in ("torch", "unsloth", "trl") if name in sys.modules])
"""


def planned(backend: str, before: str = "") -> tuple[str, str]:
    """What a fresh process plans, and which libraries it has imported by then."""
    done = subprocess.run(
        [sys.executable, "-c", PLAN.format(backend=backend, before=before)],
        capture_output=True,
        text=True,
        check=True,
    )
    *_, said, imported = done.stdout.splitlines()
    return said, imported


def test_auto_takes_unsloth_where_it_works_and_imports_nothing_to_find_out() -> None:
    assert planned("auto") == ("unsloth | unsloth is the best that works here", "[]")


def test_auto_falls_back_to_trl_and_says_why() -> None:
    said, _ = planned("auto", before="import trl")
    assert said.startswith(
        "trl | trl is the best that works here; unsloth was passed over: trl was"
    )
    assert "start a fresh process" in said


def test_one_process_runs_one_backend() -> None:
    said, _ = planned("trl", before="import unsloth")
    assert said.startswith("refused | the backend 'trl' cannot work here: unsloth was imported")
    said, _ = planned("unsloth", before="import trl")
    assert said.startswith("refused | the backend 'unsloth' cannot work here: trl was imported")


def test_without_a_gpu_an_unsloth_that_needs_one_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks.importlib.metadata, "version", lambda name: "2026.10.7")
    reason = checks.unusable()
    assert reason is not None
    assert "unsloth 2026.10.7 needs a GPU" in reason


def test_use_unsloth_and_another_backend_contradict_each_other() -> None:
    given = {"model": "m", "dataset": "d", "backend": "trl", "use_unsloth": True}
    with pytest.raises(ConfigError, match=r"`model\.use_unsloth` says 'unsloth'"):
        make_plan(load_config(given))


def test_a_field_that_unsloth_would_not_use_is_refused() -> None:
    given = {"model": "m", "dataset": "d", "backend": "unsloth", "device_map": "auto"}
    with pytest.raises(ConfigError, match="Unsloth places the model itself"):
        make_plan(load_config(given))


def test_no_longest_sequence_is_refused_and_not_made_up() -> None:
    given = {"model": "m", "dataset": "d", "backend": "unsloth", "max_seq_length": None}
    with pytest.raises(ConfigError, match="for a longest sequence, and none is set"):
        make_plan(load_config(given))


def test_a_run_on_unsloth_is_recorded_as_one(tmp_path: Path) -> None:
    from aligntune import create_sft_trainer
    from aligntune.testing import addition_rows, make_model, write_jsonl

    trainer = create_sft_trainer(
        model=str(make_model(tmp_path / "model")),
        dataset=str(write_jsonl(tmp_path / "rows.jsonl", addition_rows(8))),
        max_steps=1,
        output_dir=str(tmp_path / "run"),
    )
    run = trainer.train()
    status = json.loads(run.status.read_text())
    assert (status["status"], status["backend"]) == ("finished", "unsloth")
    assert (run.model / "model.safetensors").is_file()


def test_an_unusable_backend_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from aligntune_unsloth import backend

    monkeypatch.setattr(backend, "unusable", lambda: "no")
    with pytest.raises(UnavailableError, match="the backend 'unsloth' cannot work here: no"):
        backend.UnslothBackend().prepare(make_plan(load_config({"model": "m", "dataset": "d"})))
