"""One run, written in every form that a configuration may have: the same values and losses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aligntune import (
    DatasetConfig,
    EvaluationConfig,
    EvaluatorConfig,
    LoggingConfig,
    ModelConfig,
    RewardConfig,
    SFTConfig,
    TrainerBase,
    TrainingConfig,
    UnifiedConfig,
    create_rl_trainer,
    create_sft_trainer,
)
from aligntune.plan import save_resolved

FORMS = ("yaml", "json", "dict", "flat dict", "keyword arguments", "objects", "file and keywords")


def nested(kind: str, model: Path, chat: Path) -> dict[str, Any]:
    """The run as a nested dict; the other forms below say the same in their own way."""
    train = {"max_steps": 2, "learning_rate": 0.001, "logging_steps": 1, "seed": 7}
    run: dict[str, Any] = {
        "algorithm": kind,
        "model": {
            "name_or_path": str(model),
            "peft_enabled": True,
            "lora_rank": 4,
            "lora_dropout": 0.0,
            "target_modules": ["q_proj", "v_proj"],
        },
        "datasets": [{"name": str(chat), "max_samples": 12, "system_prompt": "Add: 1 + 1 = 2"}],
        "logging": {"output_dir": "run", "loggers": ["none"]},
    }
    if kind == "sft":
        run["model"]["max_seq_length"] = 64
        run["train"] = {**train, "per_device_batch_size": 2, "gradient_accumulation_steps": 2}
        run["eval_datasets"] = [{"name": str(chat), "max_samples": 4}]
        run["evaluation"] = {"evaluators": [{"type": "perplexity"}], "batch_size": 4}
    else:
        run["train"] = {**train, "per_device_batch_size": 4, "max_completion_length": 4}
        run["rewards"] = [{"type": "accuracy"}, {"type": "length", "weight": 0.5}]
    return run


def flat(kind: str, model: Path, chat: Path) -> dict[str, Any]:
    """The same by flat names, some of them other names of a field."""
    run: dict[str, Any] = {
        "model_name": str(model),
        "dataset_name": str(chat),
        "max_samples": 12,
        "system_prompt": "Add: 1 + 1 = 2",
        "use_peft": True,
        "lora_r": 4,
        "lora_dropout": 0,
        "lora_target_modules": ["q_proj", "v_proj"],
        "max_steps": 2,
        "learning_rate": 1e-3,
        "log_interval": 1,
        "seed": 7,
        "output_dir": "run",
        "report_to": "none",
    }
    if kind == "sft":
        return run | {
            "max_length": 64,
            "batch_size": 2,
            "gradient_accumulation_steps": 2,
            "eval_datasets": [{"name": str(chat), "max_samples": 4}],
            "evaluation": {"evaluators": ["perplexity"], "batch_size": 4},
        }
    return run | {
        "algorithm": "GRPO",
        "per_device_train_batch_size": 4,
        "max_new_tokens": 4,
        "reward_functions": ["accuracy", "length"],
        "reward_function_weights": [1.0, 0.5],
    }


def objects(kind: str, model: Path, chat: Path) -> SFTConfig | UnifiedConfig:
    values = nested(kind, model, chat)
    sections: dict[str, Any] = {
        "model": ModelConfig(**values["model"]),
        "datasets": [DatasetConfig(**rows) for rows in values["datasets"]],
        "train": TrainingConfig(**values["train"]),
        "logging": LoggingConfig(**values["logging"]),
    }
    if kind == "grpo":
        rewards = [RewardConfig(**reward) for reward in values["rewards"]]
        return UnifiedConfig(algorithm="grpo", rewards=rewards, **sections)
    measured = EvaluationConfig(evaluators=[EvaluatorConfig(type="perplexity")], batch_size=4)
    rows = [DatasetConfig(name=str(chat), max_samples=4)]
    return SFTConfig(eval_datasets=rows, evaluation=measured, **sections)


def flags(kind: str, model: Path, chat: Path) -> list[str]:
    """The same as flags: flat names, full paths, and both ways to give a value."""
    run = [
        *("--model", str(model), "--dataset", str(chat), "--max-samples=12", "--use-peft"),
        *("--system-prompt", "Add: 1 + 1 = 2", "--lora-r", "4", "--lora-dropout", "0"),
        *("--model.target_modules", '["q_proj", "v_proj"]', "--max-steps", "2"),
        *("--learning-rate", "1e-3", "--train.logging_steps", "1", "--seed", "7"),
        *("--output-dir", "run", "--loggers", "none"),
    ]
    sft = [
        *("--type", "sft", "--max-seq-length", "64", "--batch-size", "2"),
        *("--gradient-accumulation-steps", "2", "--eval-dataset", str(chat)),
        *("--eval_datasets.0.max_samples", "4", "--evaluation.batch_size", "4"),
        *("--evaluation.evaluators", '["perplexity"]'),
    ]
    grpo = [
        *("--algorithm", "grpo", "--batch-size", "4", "--max-completion-length", "4"),
        *("--reward-functions", '["accuracy", "length"]', "--reward-function-weights", "[1, 0.5]"),
    ]
    return [*run, *(sft if kind == "sft" else grpo)]


def written(path: Path, values: dict[str, Any]) -> Path:
    dump = yaml.safe_dump if path.suffix == ".yaml" else json.dumps
    path.write_text(dump(values))
    return path


def trainer_of(form: str, kind: str, model: Path, chat: Path) -> TrainerBase:
    """The trainer of the run, made from Python; files are written to the current folder."""
    create: Callable[..., TrainerBase] = create_sft_trainer if kind == "sft" else create_rl_trainer
    values = nested(kind, model, chat)
    if form in ("yaml", "json"):
        return create(written(Path(f"config.{form}"), values))
    if form == "dict":
        return create(values)
    if form == "flat dict":
        return create(flat(kind, model, chat))
    if form == "keyword arguments":
        return create(**flat(kind, model, chat))
    if form == "objects":
        return create(objects(kind, model, chat))
    less = {**values, "train": {**values["train"], "seed": 1, "learning_rate": 1}}
    del less["logging"]
    file = written(Path("config.yaml"), less)
    return create(file, seed=7, learning_rate=1e-3, output_dir="run", loggers="none")


def losses(run: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if "loss" in line]


@pytest.fixture(scope="module", params=["sft", "grpo"])
def by_command(
    request: pytest.FixtureRequest,
    model: Path,
    chat: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path]:
    """The algorithm, and the run that a real `aligntune train` with flags made."""
    folder = tmp_path_factory.mktemp("flags")
    command = [str(Path(sys.executable).with_name("aligntune")), "train"]
    done = subprocess.run(
        [*command, *flags(request.param, model, chat)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return request.param, folder / "run"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_resolved_configuration(
    by_command: tuple[str, Path],
    form: str,
    model: Path,
    chat: Path,
    here: Path,
) -> None:
    kind, run = by_command
    resolved = save_resolved(trainer_of(form, kind, model, chat).plan, here / "resolved.yaml")
    assert resolved.read_bytes() == (run / "config.yaml").read_bytes()


def test_python_trains_as_the_command_does(
    by_command: tuple[str, Path], model: Path, chat: Path, here: Path
) -> None:
    kind, expected = by_command
    run = trainer_of("keyword arguments", kind, model, chat).train()
    assert run.config.read_bytes() == (expected / "config.yaml").read_bytes()
    assert [step for step, _ in losses(expected)] == [1, 2]
    assert losses(run.path) == losses(expected)


def test_the_resolved_configuration_makes_the_same_run_again(
    by_command: tuple[str, Path], aligntune: Any, here: Path
) -> None:
    _, first = by_command
    done = aligntune("train", first / "config.yaml", "--output-dir", "again")
    assert done.code == 0, done.err
    again = here / "again"
    expected = (first / "config.yaml").read_text()
    assert expected.count("output_dir: run\n") == 1
    assert (again / "config.yaml").read_text() == expected.replace(
        "output_dir: run\n", "output_dir: again\n"
    )
    assert losses(again) == losses(first)
