"""KTO, ORPO, SimPO and online DPO through Unsloth: the numbers of plain TRL in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import unsloth  # noqa: F401

from aligntune import create_rl_trainer
from aligntune.testing import addition_rows, make_model, preference_rows, write_jsonl

STEPS = 4
COMPARED = ("loss", "grad_norm", "rewards/chosen", "rewards/rejected", "logps/chosen", "reward")
LORA: dict[str, Any] = {"lora_rank": 4, "lora_dropout": 0.0, "target_modules": ["q_proj"]}
ROWS = {"kto": "judged", "orpo": "pairs", "simpo": "pairs", "online_dpo": "prompts"}
MARKS = """
def share(text, **columns):
    return sum(ord(character) * 0.37**place for place, character in enumerate(text))
"""
PLAIN = """
import json, sys
from aligntune import create_rl_trainer
for settings in json.loads(sys.argv[1]):
    create_rl_trainer(**settings).train()
"""
each = pytest.mark.parametrize("algorithm", ROWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preferences")
    make_model(folder / "model", initializer_range=0.2)
    pairs = preference_rows(24)
    sides = (("chosen", True), ("rejected", False))
    judged = [
        {"prompt": pair["prompt"], "completion": pair[side], "label": good}
        for number, pair in enumerate(pairs)
        for side, good in sides[: 1 + number % 2]
    ]
    write_jsonl(folder / "pairs.jsonl", pairs)
    write_jsonl(folder / "judged.jsonl", judged)
    write_jsonl(folder / "prompts.jsonl", addition_rows(24))
    (folder / "preference_marks.py").write_text(MARKS)
    return folder


@pytest.fixture(scope="module", autouse=True)
def marks(folder: Path) -> Any:
    """The reward can be imported, here and in a child process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield


def settings(folder: Path, backend: str, algorithm: str, adapter: bool) -> dict[str, Any]:
    reward = {"type": "custom", "params": {"reward_function": "preference_marks:share"}}
    return {
        "model_name": str(folder / "model"),
        "dataset_name": str(folder / f"{ROWS[algorithm]}.jsonl"),
        "algorithm": algorithm,
        "backend": backend,
        "output_dir": str(folder / f"{backend}-{algorithm}-{adapter}"),
        "max_steps": STEPS,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 3e-3,
        "max_seq_length": 64,
        "max_completion_length": 4,
        "save_interval": 2,
        "logging_steps": 1,
        "precision": "fp32",
        "loggers": "none",
        "peft_enabled": adapter,
        **(LORA if adapter else {}),
        **({"rewards": [reward]} if algorithm == "online_dpo" else {}),
    }


def logged(path: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{n: line[n] for n in COMPARED if n in line} for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def plain(folder: Path, marks: Any) -> dict[tuple[str, bool], list[dict[str, float]]]:
    """What plain TRL logs, of every algorithm, in full and with an adapter."""
    runs = {(a, b): settings(folder, "trl", a, b) for a in ROWS for b in (False, True)}
    given = json.dumps(list(runs.values()))
    subprocess.run([sys.executable, "-c", PLAIN, given], check=True)
    return {k: logged(Path(run["output_dir"]) / "metrics.jsonl") for k, run in runs.items()}


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@each
def test_unsloth_has_the_losses_of_plain_trl(
    folder: Path, plain: dict[tuple[str, bool], Any], algorithm: str, adapter: bool
) -> None:
    run = create_rl_trainer(**settings(folder, "unsloth", algorithm, adapter)).train()
    found, expected = logged(run.metrics), plain[algorithm, adapter]
    assert len({line["loss"] for line in expected}) == STEPS
    if adapter:  # Unsloth draws the adapter's random start otherwise; at first it changes nothing
        found, expected = ([{**lines[0], "grad_norm": 0.0}] for lines in (found, expected))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4, rel=1e-4)
    assert not any(path.is_dir() for path in run.model.iterdir()), "a copy of the adapter"


@each
def test_a_run_through_unsloth_resumes_exactly(
    folder: Path, tmp_path: Path, algorithm: str
) -> None:
    def make(name: str, **more: Any) -> Any:
        given = settings(folder, "unsloth", algorithm, adapter=True)
        return create_rl_trainer(**{**given, "output_dir": str(tmp_path / name), **more})

    whole = logged(make("whole").train().metrics)
    make("parts", stop_after_steps=2).train()
    assert logged(make("parts").train(resume=True).metrics) == whole


@pytest.mark.parametrize("algorithm", ["online_dpo", "ppo"])
def test_accumulated_passes_are_averaged(folder: Path, tmp_path: Path, algorithm: str) -> None:
    """TRL 1.14 forbids transformers to average them, for the sake of a loss that these have not."""

    def first(name: str, **sizes: int) -> dict[str, float]:
        given = settings(folder, "unsloth", "online_dpo", adapter=False)
        own = {"algorithm": algorithm, "output_dir": str(tmp_path / name), "stop_after_steps": 1}
        if algorithm == "ppo":
            own["num_ppo_epochs"] = 1
        return logged(create_rl_trainer(**{**given, **own, **sizes}).train().metrics)[0]

    whole = first("whole", batch_size=8, gradient_accumulation_steps=1)
    parts = first("parts", batch_size=4, gradient_accumulation_steps=2)
    for name in ("loss", "grad_norm"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-2)
