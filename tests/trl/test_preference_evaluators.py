"""`aligntune eval` of a saved policy has the numbers of the DPO run that saved it, and of TRL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from aligntune.errors import ConfigError
from aligntune.testing import make_model, preference_rows, write_jsonl
from aligntune_eval.plugin import aligntune_cli_commands

BETA = 0.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preferences")
    make_model(folder / "model")
    write_jsonl(folder / "rows.jsonl", preference_rows(24))
    write_jsonl(folder / "talk.jsonl", preference_rows(24, chat=True))
    for name, chat in (("texts.jsonl", False), ("chats.jsonl", True)):
        write_jsonl(folder / name, preference_rows(12, seed=1, chat=chat))
    return folder


def evaluated(model: Path, rows: Path, reference: str) -> dict[str, Any]:
    """What the command line measures, by name."""
    metrics = ("preference_accuracy", "reward_margin")
    params = [f"{name}.reference_model={reference}" for name in metrics]
    options = [f"--param={param}" for param in (*params, f"reward_margin.beta={BETA}")]
    asked = ["eval", str(model), "--dataset", str(rows), "--metrics", ",".join(metrics)]
    app = typer.Typer()
    app.callback()(lambda: None)
    aligntune_cli_commands(app)
    asked += [*options, "--json", "--batch-size", "5"]
    printed = json.loads(CliRunner().invoke(app, asked, catch_exceptions=False).stdout)
    (result,) = printed["results"]
    return {metric["name"]: metric for metric in result["metrics"]}


@pytest.mark.parametrize(
    ("adapter", "rows"), [(False, "texts.jsonl"), (True, "chats.jsonl")], ids=["full", "lora"]
)
def test_a_saved_policy_has_the_numbers_of_its_run(
    folder: Path, short_run: Callable[..., Any], adapter: bool, rows: str
) -> None:
    trainer = short_run(
        "dpo",
        dataset_name=str(folder / ("talk.jsonl" if adapter else "rows.jsonl")),
        eval_datasets=[str(folder / rows)],
        per_device_eval_batch_size=4,
        peft_enabled=adapter,
        beta=BETA,
        evaluation={"dpo_eval_enabled": True, "dpo_few_shot_max_samples": 1, "max_new_tokens": 2},
    )
    run = trainer.train()
    found = trainer.evaluate()
    reference = "base" if adapter else str(folder / "model")
    ours = evaluated(Path(run.model), folder / rows, reference)
    accuracy, margin = ours["preference_accuracy"], ours["reward_margin"]
    assert abs(margin["value"]) > 1e-3
    assert accuracy["n"] == margin["n"] == 12
    for trls, own in (("rewards/accuracies", accuracy), ("dpo_zero_shot_accuracy", accuracy)):
        assert own["value"] == pytest.approx(found[f"eval_{trls}"], abs=1e-5)
    for trls, own in (("rewards/margins", margin), ("dpo_zero_shot_margin", margin)):
        assert own["value"] == pytest.approx(found[f"eval_{trls}"], abs=1e-5)
    lines = [json.loads(line) for line in Path(run.evaluation).read_text().splitlines()]
    told = {line["name"]: line for line in lines if line["when"] == "after"}
    for name, own in (("accuracy", accuracy), ("margin", margin)):
        line = told[f"dpo_zero_shot_{name}"]
        for end in ("low", "high", "stderr"):
            assert line[end] == pytest.approx(own[end], abs=1e-5)


def test_examples_of_another_kind_are_refused(folder: Path, short_run: Callable[..., Any]) -> None:
    rows = {"eval_datasets": [str(folder / "chats.jsonl")]}
    said = "serve as examples, are text, and the evaluation data are chats"
    with pytest.raises(ConfigError, match=said):
        short_run("dpo", **rows, evaluation={"dpo_eval_enabled": True}).setup()
    of_both = {"dpo_eval_enabled": True, "dpo_few_shot_examples_text": "1+1=2"}
    short_run("dpo", **rows, evaluation=of_both).setup()


def test_evaluators_measure_the_policy_during_a_run(
    folder: Path, short_run: Callable[..., Any]
) -> None:
    base = {"reference_model": "base"}
    wanted = [
        {"type": "preference_accuracy", "params": base},
        {"type": "reward_margin", "params": {**base, "beta": BETA}},
        {"type": "kl", "params": base},
    ]
    trainer = short_run(
        "dpo",
        eval_datasets=[str(folder / "texts.jsonl")],
        per_device_eval_batch_size=4,
        peft_enabled=True,
        beta=BETA,
        evaluation={"evaluators": wanted, "max_new_tokens": 2, "before_training": True},
    )
    run = trainer.train()
    found = trainer.evaluate()
    for ours, trls in (("preference_accuracy", "accuracies"), ("reward_margin", "margins")):
        assert found[f"eval_{ours}"] == pytest.approx(found[f"eval_rewards/{trls}"], abs=1e-5)
    lines = [json.loads(line) for line in Path(run.evaluation).read_text().splitlines()]
    values = {(line["when"], line["name"]): line["value"] for line in lines}
    assert values["before", "preference_accuracy"] == 0.5
    assert values["before", "reward_margin"] == values["before", "kl"] == 0.0
    assert values["after", "kl"] == found["eval_kl"] > 1e-5
