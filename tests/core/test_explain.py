"""`aligntune explain`: every field has a meaning, a type, a destination, and is found by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune.cli.reference import reference
from aligntune.config import RunConfig, UnifiedConfig, load_config
from aligntune.config.assemble import collect, field_paths
from aligntune.config.fields import REQUIRED, all_fields, find, names
from aligntune.plan.plan import leaves
from aligntune.plugins import Plugins

Run = Callable[..., Any]
FIELDS = {field.path: field for field in all_fields()}


def test_every_field_of_a_configuration_is_there_and_has_a_meaning() -> None:
    given: dict[str, Any] = {"model": {"name_or_path": "m"}, "datasets": [{"name": "d"}]}
    given |= {"rewards": [{"type": "r"}], "evaluation": {"evaluators": [{"type": "e"}]}}
    texts = {"base_model_name": "b", "training_texts": ["t"] * 10, "output_dir": "o"}
    source = {"source_type": "custom_trained"}
    source["training_config"] = {**texts, "reward_functions": ["r"]}  # type: ignore[assignment]
    given["model"]["reward_model_source"] = source
    config = UnifiedConfig(algo="grpo", **given)
    paths = [".".join(p for p in path.split(".") if not p.isdigit()) for path, *_ in leaves(config)]
    assert set(FIELDS) == set(paths) - {"eval_datasets"}
    assert [path for path, field in FIELDS.items() if not field.meaning] == []
    assert all(field.meaning.endswith(".") for field in FIELDS.values())


@pytest.mark.parametrize("kind", ["sft", "rl"])
def test_defaults_are_those_of_a_configuration(kind: Any) -> None:
    config = load_config({"algo": "grpo", "model": "m", "dataset": "d"}, kind=kind)
    if kind == "sft":
        config = load_config({"model": "m", "dataset": "d"}, kind=kind)
    for path, value, was_set, _ in leaves(config):
        field = FIELDS.get(path.replace("datasets.0", "datasets"))
        if field is not None and not was_set:
            assert getattr(field, kind) == value, path


def test_every_name_leads_to_its_field_and_sets_it() -> None:
    for field in FIELDS.values():
        for name in names(field):
            assert find(name)[0] == field, name
    for name, path in field_paths().items():
        said = FIELDS.get(path.replace(".0.", "."))
        if said is not None and not name.startswith("eval_dataset"):
            assert name in names(said) or name in RunConfig.model_fields
    assert [f.path for f in find("chat_template")] == ["chat_template"]
    assert [f.path for f in find("lora-r")] == ["model.lora_rank"]
    assert [f.path for f in find("datasets.0.split")] == ["datasets.split"]
    assert find("eval_datasets.1.split") == find("datasets.split")
    for given in ("train.max_length", "logging.eval_steps", "dataset.truncation_mode"):
        section, _, short = given.partition(".")
        name = given.replace("dataset.", "datasets.")
        assert find(name)[0].path in {s.path for s in collect({section: {short: 1}}, "x")}


def test_types_and_ranges_in_words() -> None:
    said = {path: (field.type, field.range) for path, field in FIELDS.items()}
    assert said["train.learning_rate"] == ("number", "at least 0")
    assert said["datasets.percent"] == ("number or null", "above 0, at most 100")
    assert said["meta_es.N"] == ("whole number", "at least 2, a multiple of 2")
    assert said["model.precision"] == ("bf16, fp16, fp32 or auto", "")
    assert said["distributed.backend"] == ("single, ddp, fsdp or deepspeed", "")
    assert said["datasets.processing_fn"] == ("function or text or null", "")
    assert said["logging.hub_token"] == ("secret text or null", "")
    assert FIELDS["model.name_or_path"].sft is FIELDS["algo"].rl is REQUIRED


def test_explain_a_field(run: Run, toy: Plugins) -> None:
    said = run("explain", "batch_size").said
    for part in (
        "train.per_device_batch_size Rows (RL: completions) per device in one forward pass.",
        "type whole number, at least 1",
        "default 1",
        "names train.per_device_batch_size, per_device_batch_size, batch_size, per_device_train_",
        "toy-sft slow ToyConfig.batch",
        "toy-rl slow ToyConfig.batch; default 6",
    ):
        assert part in said
    assert "default unset (SFT), 47 (RL)" in run("explain", "train.data_seed").said
    assert "toy-sft slow refused: toys are not packed" in run("explain", "packing").said
    assert "ToyLora.r, while `model.peft_enabled` is true" in run("explain", "lora-r").said
    assert "see also rewards.model_name" in " ".join(
        run("explain", "model.reward_model_source.model_name").said.split()
    )


def test_explain_a_field_as_json(run: Run, toy: Plugins) -> None:
    (said,) = json.loads(run("explain", "model.name_or_path", "--json").out)
    assert said["required"] is True
    assert said["default"] == {"sft": None, "rl": None}
    assert said["names"][:3] == ["model.name_or_path", "name_or_path", "model_name"]
    assert said["goes_to"][0] == {
        "algorithm": "toy-sft",
        "backend": "slow",
        "used": True,
        "destination": "the model",
        "default": None,
    }
    assert len(json.loads(run("explain", "--json").out)) == len(FIELDS)


def test_explain_sections(run: Run, toy: Plugins) -> None:
    said = run("explain").said
    assert f"train {len([p for p in FIELDS if p.startswith('train.')])} How the model is" in said
    assert "model.reward_model_source" in said
    assert "Folder of the reward model." not in said
    assert "Which of the three." in run("explain", "reward_model_source").said
    for same in ("dataset", "eval_datasets", "datasets"):
        assert "datasets.split train Split to read." in run("explain", same).said
    assert run("explain", "reward_functions").said == run("explain", "rewards").said
    said = run("explain", "rewards").said
    assert "rewards.weight 1.0 Factor in the weighted sum; applied exactly once." in said


def test_explain_a_file(run: Run, toy: Plugins, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("algorithm: toy-sft\nmodel: m\ndataset: d\nbatch_size: 2\n")
    said = run("explain", "c.yaml", "--seed", "7").said
    for part in (
        "model.precision = fp32 (default, ",
        "train.per_device_batch_size = 2 (c.yaml:4:1) Rows (RL: completions) per device in",
        "forward pass. goes to: ToyConfig.batch",
        "train.seed = 7 (flag --seed) Seed of weights",
        "train.learning_rate = 1e-05 (default) Peak learning rate. goes to: ToyConfig.lr",
        "train.packing toys are not packed",
    ):
        assert part in said
    answer = json.loads(run("explain", "c.yaml", "--json").out)
    (value,) = (v for v in answer["values"] if v["path"] == "train.learning_rate")
    assert value["meaning"] == "Peak learning rate."
    assert {"path", "why", "meaning"} == set(answer["unused"][0])


def test_what_is_not_there_is_answered(run: Run, toy: Plugins) -> None:
    assert "did you mean 'learning_rate'?" in run("explain", "lerning-rate").wrong
    assert "did you mean 'rewards'?" in run("explain", "reward").wrong
    assert "the tokenizer comes with the model" in run("explain", "tokenizer").wrong
    assert "lists the sections" in run("explain", "xyzzy").wrong
    assert "there is no such file" in run("explain", "none.yaml").wrong
    assert "flags belong to a configuration file" in run("explain", "seed", "--seed", "7").wrong


def test_a_token_is_not_explained_away(run: Run, toy: Plugins, tmp_path: Path) -> None:
    text = "algorithm: toy-sft\nmodel: m\ndataset: d\nbatch_size: 2\n"
    (tmp_path / "c.yaml").write_text(f"{text}push_to_hub: true\nhub_token: open-sesame\n")
    for answer in (run("explain", "c.yaml"), run("explain", "c.yaml", "--json")):
        assert answer.code == 0
        assert "hub_token" in answer.out
        assert "open-sesame" not in answer.out


def test_the_reference_has_a_row_for_every_field_and_all_its_names(toy: Plugins) -> None:
    page = reference(toy)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(FIELDS)
    for field in RunConfig.aliases():
        assert f"`{field}`" in page
    for name in field_paths():
        assert f"`{name}`" in page or name.startswith("eval_dataset"), name
    (row,) = (row for row in rows if row.startswith("| `lora_rank`"))
    assert row == (
        "| `lora_rank`, `lora_r` | whole number, at least 1 | `16` | the same | Rank of the LoRA "
        "matrices. | `r` of `ToyLora`, while `model.peft_enabled` is true |"
    )
    (row,) = (row for row in rows if row.startswith("| `packing`"))
    assert row.endswith("| refused: toys are not packed |")
