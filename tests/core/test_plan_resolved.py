"""The resolved configuration gives the same run again, and holds no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aligntune import ConfigLoader
from aligntune.config import load_config
from aligntune.hardware import Hardware
from aligntune.plan import Plan, make_plan, plan_as_dict, resolved_values, save_resolved

pytestmark = pytest.mark.usefixtures("toy")

RUNS: dict[str, dict[str, Any]] = {
    "sft": {"algorithm": "toy-sft", "batch_size": 2, "peft_enabled": True, "lora_rank": 4},
    "rl": {
        "algorithm": "toy-rl",
        "peft_enabled": False,
        "rewards": [{"type": "praise", "weight": 0.5, "clip": [-1, 1]}, "toy:praise"],
        "evaluation": {"evaluators": ["mood", {"type": "mood", "params": {"x": 1}}]},
        "eval_datasets": [{"name": "e", "split": "dev"}],
        "datasets": [{"name": "d", "column_mapping": {"q": "prompt"}}, "d2"],
        "chat_template": "{{ messages }}",
        "learning_rate": 3e-7,
    },
}


def planned(source: Any, hardware: Hardware | None = None) -> Plan:
    return make_plan(load_config(source), hardware=hardware)


def given(run: str) -> dict[str, Any]:
    return (
        {"model": "m", "dataset": "d"} | RUNS[run] if run == "sft" else {"model": "m"} | RUNS[run]
    )


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_the_resolved_file_gives_the_same_run(run: str, suffix: str, tmp_path: Path) -> None:
    plan = planned(given(run), Hardware(name="abacus"))
    path = save_resolved(plan, tmp_path / "deep" / "config.yaml")
    if suffix == "json":
        values = yaml.safe_load(path.read_text())
        path = path.with_suffix(".json")
        path.write_text(json.dumps(values))
    again = planned(path, Hardware(name="another machine"))
    assert again.flat() == {**plan.flat(), "backend": plan.backend.name}
    assert resolved_values(again) == resolved_values(plan)
    assert type(again.config) is type(plan.config)
    assert not list(path.parent.glob("*.part"))


def test_it_holds_what_the_run_uses_and_nothing_else() -> None:
    values, secrets = resolved_values(planned(given("sft"), Hardware(name="abacus")))
    assert values["backend"] == "fast"
    assert values["train"] == {
        "per_device_batch_size": 2,
        "learning_rate": 1e-5,
        "seed": 42,
        "use_trl": False,
        "loss_type": "nll",
    }
    assert values["model"]["precision"] == "fp32"
    assert secrets == []


@pytest.mark.parametrize("kind", ["sft", "rl"])
def test_the_loader_saves_it_too(kind: str, tmp_path: Path) -> None:
    path = ConfigLoader.save_resolved_config(given(kind), tmp_path)
    assert path == tmp_path / "config.yaml"
    here = resolved_values(planned(given(kind), Hardware.detect()))
    assert resolved_values(planned(path)) == here
    assert here[0]["model"]["precision"] == "fp32"


def test_functions_are_written_by_their_importable_name(tmp_path: Path) -> None:
    plan = planned(given("sft") | {"processing_fn": json.dumps})
    path = save_resolved(plan, tmp_path / "config.yaml")
    assert yaml.safe_load(path.read_text())["datasets"][0]["processing_fn"] == "json:dumps"
    assert planned(path).config.datasets[0].processing_fn == "json:dumps"


SECRETS: dict[str, dict[str, Any]] = {
    "a key": {"model_init_kwargs": {"token": "s3cr3t", "cache_dir": "c"}},
    "a key with a dot": {"model_init_kwargs": {"hub.token": "s3cr3t", "cache_dir": "c"}},
    "below a list": {"processing_fn_kwargs": {"x": [{"api_key": "s3cr3t"}, "c"]}},
    "below a number": {"processing_fn_kwargs": {"c": {1: {"password": "s3cr3t"}}}},
    "in a text": {"model_init_kwargs": {"url": "https://me:s3cr3t@host", "cache_dir": "c"}},
}


@pytest.mark.parametrize("case", SECRETS)
def test_secrets_are_left_out_and_named(case: str, tmp_path: Path) -> None:
    plan = planned(given("sft") | SECRETS[case])
    path = save_resolved(plan, tmp_path / "config.yaml")
    text = path.read_text()
    assert "s3cr3t" not in text
    assert "# Left out as secrets: " in text
    assert ": c\n" in text or "- c\n" in text or "c:" in text
    assert "s3cr3t" not in json.dumps(plan_as_dict(plan))
    assert "s3cr3t" not in resolved_values(plan)[1]
    planned(path)


def test_the_plan_as_plain_data() -> None:
    plan = planned(given("rl") | {"packing": False}, Hardware(name="abacus"))
    data = plan_as_dict(plan)
    assert json.loads(json.dumps(data)) == data
    assert (data["algorithm"], data["backend"], data["why"]) == ("toy-rl", "slow", plan.why)
    assert data["batch"] == ["each step trains on 6 rows"]
    values = {value["path"]: value for value in data["values"]}
    assert values["model.precision"] == {
        "path": "model.precision",
        "value": "fp32",
        "origin": "default, abacus has no bf16",
        "destination": "ToyConfig.dtype",
    }
    refused = {entry["path"]: entry["why"] for entry in data["unused"]}
    assert refused["train.packing"] == "not used: toys are not packed"
    assert not set(refused) & set(values)
