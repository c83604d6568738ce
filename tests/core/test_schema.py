"""The JSON Schema of configuration files, judged by a real validator and by the loader."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from aligntune.config import load_config
from aligntune.config.assemble import field_paths
from aligntune.config.fields import all_fields
from aligntune.config.foreign import _sentences
from aligntune.config.schema import json_schema
from aligntune.errors import ConfigError
from aligntune.plugins import Plugins

Run = Callable[..., Any]
GOOD = "model: m\ndataset: d\nalgorithm: grpo\n"
DOCS = Path(__file__).parents[2] / "docs"
SHOWN_AS_WRONG = ("wrong.yaml", "two.yaml", "there.yaml")
BLOCK = re.compile(r"```(yaml|json)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


VALID = [
    "model_name: m\nlearning_rate: 2e-4",
    "max_steps: 1e3\nbatch_size: '8'",
    "packing: yes\nstreaming: 'true'",
    "precision: BF16\ntask_type: text-generation\nlog_level: info",
    "model: {name_or_path: m, lora_r: 4}",
    "datasets: [a, {name: b, config: c}]\neval_datasets: e",
    "dataset: {name: d, padding_free: true}\neval_dataset: e",
    "rewards: [accuracy, {reward_type: length, clip: [-1, 1.5]}]",
    "reward_functions: [a, {type: b}]\nreward_function_weights: [1, 2e-1]",
    "rewards: a, b\ntarget_modules: q, k\nloggers: none",
    "evaluation: {evaluators: [perplexity, {type: reward, params: {a: [1]}}]}",
    "train: {max_length: 5, dpo_eval_enabled: true, meta_iterations: 3}",
    "train:\nlogging: {save_steps: 4, sample_logging: {enabled: on}}",
    "base: [a.yaml, b.yaml]\nseed: ${SEED:-1}\nprecision: ${P:-bf16}",
    "distributed: {backend: ddp, seed: 3}\nbackend: their-own",
    "type: rl\nchat_template: auto\ntasks: [x]\ncaching: {}",
    "max_memory: {0: 20GB, cpu: 30GB}\ndevice_map: {a: 1}\nloss_type: [sigmoid, sft]",
    "rewards: [{type: a, normalize: batch}]",
    "plugins: {only: [trl], strict: true}\nmeta_es: {'N': 4, 'T': 5}",
]
WRONG = [
    ("learnin_rate: 1", "learnin_rate"),
    ("train: {warmpu_steps: 1}", "train.warmpu_steps"),
    ("model: {name_or_path: m, output_dir: o}", "model.output_dir"),
    ("learning_rate: fast", "train.learning_rate"),
    ("learning_rate: -1", "train.learning_rate"),
    ("batch_size: 1.5", "train.per_device_batch_size"),
    ("batch_size: true", "train.per_device_batch_size"),
    ("packing: maybe", "train.packing"),
    ("run_name: 5", "logging.run_name"),
    ("train: 5", "train"),
    ("rewards: {type: length}", "rewards"),
    ("rewards: [{weight: 1}]", "rewards.0.type"),
    ("rewards: [{type: a, clip: [1]}]", "rewards.0.clip"),
    ("evaluation: {evaluators: [{params: {}}]}", "evaluation.evaluators.0.type"),
    ("precision: bf17", "model.precision"),
    ("save_strategy: sometimes", "train.save_strategy"),
    ("distributed: {backend: trl}", "distributed.backend"),
    ("meta_es: {'N': 3}", "meta_es.N"),
    ("percent: 101", "datasets.0.percent"),
    ("evaluation_strategy: steps", "evaluation_strategy"),
    ("per_gpu_train_batch_size: 5", "per_gpu_train_batch_size"),
    ("base: {a: b}", "base"),
]


@pytest.mark.parametrize("text", VALID)
def test_what_the_loader_takes_is_valid(
    text: str, validator: Draft202012Validator, no_plugins: Plugins, tmp_path: Path
) -> None:
    data = yaml.safe_load(text)
    validator.validate(data)
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("seed: 1")
    whole = {"base": "a.yaml", **data}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(whole))
    load_config(tmp_path / "c.yaml")


@pytest.mark.parametrize(("text", "path"), WRONG)
def test_what_the_loader_refuses_is_invalid(
    text: str, path: str, validator: Draft202012Validator, no_plugins: Plugins, tmp_path: Path
) -> None:
    assert list(validator.iter_errors(yaml.safe_load(text)))
    start = "" if text.startswith("model:") else "model: m\n"
    (tmp_path / "c.yaml").write_text(f"{start}dataset: d\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "c.yaml")
    assert path in {problem.path for problem in caught.value.problems}


def test_every_configuration_of_the_documentation_is_valid(validator: Draft202012Validator) -> None:
    seen = 0
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text()
        for found in BLOCK.finditer(text):
            name = text[: found.start()].rstrip().rpartition("\n")[2].strip("`")
            if name.endswith(".jsonl"):  # rows of data
                continue
            data = yaml.safe_load(found[2])
            if isinstance(data, dict) and {"metrics", "dataset_path"} & data.keys():
                continue  # a task of an evaluation, ours or lm-eval's
            if isinstance(data, dict) and name not in SHOWN_AS_WRONG:
                errors = [error.message for error in validator.iter_errors(data)]
                assert errors == [], f"{page.name}: {found[2]}"
                seen += 1
    assert seen >= 5


def test_every_name_is_there_and_no_name_that_is_gone() -> None:
    schema = json_schema()
    offered = set(schema["properties"])
    assert set(field_paths()) <= offered
    assert not offered & (set(_sentences()) - set(field_paths()) - {"base"})
    for field in all_fields():
        section = schema["properties"] if not field.section else _definition(schema, field.owner)
        assert {field.name, *(n for n in field.others if "." not in n)} <= set(section), field.path
        assert section[field.name]["description"].startswith(field.meaning), field.path


def _definition(schema: dict[str, Any], cls: type[Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema["$defs"][cls.__name__]["properties"]
    return properties


def test_defaults_are_those_of_the_kind() -> None:
    def default(kind: Any) -> Any:
        return json_schema(kind)["$defs"]["TrainingConfig"]["properties"]["data_seed"]

    assert default("sft")["default"] is None
    assert default("rl")["default"] == 47
    assert "default" not in default(None)
    assert default(None)["description"].endswith("Default: None (SFT), 47 (RL).")


def test_the_command_writes_it(run: Run, toy: Plugins, tmp_path: Path) -> None:
    assert run("schema", "-o", "schema.json").code == 0
    written = json.loads((tmp_path / "schema.json").read_text())
    assert written == json.loads(run("schema").out)
    assert "toy-rl" in written["properties"]["algorithm"]["examples"]
    assert (
        "toy-rl"
        not in json.loads(run("schema", "--kind", "sft").out)["properties"]["algo"]["examples"]
    )
    assert "there is no folder" in run("schema", "-o", "none/schema.json").wrong
    assert run("schema", "--kind", "other").code == 2
