"""One configuration, whatever the road: files, dict, keyword arguments, flags, section objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aligntune import ConfigLoader, SFTConfigLoader
from aligntune.cli.configured import config_of
from aligntune.cli.flags import read_flags
from aligntune.config import (
    DatasetConfig,
    LoggingConfig,
    ModelConfig,
    RewardConfig,
    RunConfig,
    SFTConfig,
    TrainingConfig,
    UnifiedConfig,
    load_config,
)
from aligntune.config.assemble import collect
from aligntune.errors import ConfigError

pytestmark = pytest.mark.usefixtures("no_plugins")

NESTED: dict[str, Any] = {
    "algorithm": "grpo",
    "model": {"name_or_path": "m", "max_seq_length": 64},
    "datasets": [{"name": "rows.jsonl", "column_mapping": {"q": "prompt"}}],
    "train": {"learning_rate": 2e-4, "per_device_batch_size": 4, "max_steps": 3},
    "rewards": [{"type": "accuracy", "weight": 2.0}],
    "logging": {"output_dir": "out"},
}
FLAT: dict[str, Any] = {
    "algorithm": "grpo",
    "model_name": "m",
    "max_seq_length": 64,
    "dataset_name": "rows.jsonl",
    "column_mapping": {"q": "prompt"},
    "learning_rate": 2e-4,
    "batch_size": 4,
    "max_steps": 3,
    "reward_functions": ["accuracy"],
    "reward_function_weights": [2.0],
    "output_dir": "out",
}
FLAGS = [
    "--algorithm", "grpo", "--model", "m", "--model.max_seq_length", "64",
    "--dataset=rows.jsonl", "--datasets.0.column_mapping", '{"q": "prompt"}',
    "--learning-rate", "2e-4", "--train.batch_size", "4", "--max-steps=3",
    "--rewards", '[{"type": "accuracy", "weight": 2}]', "--logging.output_dir", "out",
]  # fmt: skip


def polite(text: str) -> float:
    """A reward."""
    return float("please" in text)


@pytest.mark.parametrize("name", ["rewards", "reward_functions"])
def test_a_function_in_a_list_of_rewards_is_a_custom_reward(name: str) -> None:
    entries = [polite, "length", {"type": "coherence"}, RewardConfig(type="accuracy", weight=2.0)]
    found = load_config({"algorithm": "ppo", "model": "m", "dataset": "d", name: entries}).rewards
    assert [entry.type for entry in found] == ["custom", "length", "coherence", "accuracy"]
    assert found[0].params == {"reward_function": polite}
    assert [entry.weight for entry in found] == [1.0, 1.0, 1.0, 2.0]


def test_functions_have_weights_as_names_have_and_none_unless_given() -> None:
    given = {"algorithm": "ppo", "model": "m", "dataset": "d", "reward_functions": [polite, "a"]}
    found = load_config(given | {"reward_function_weights": [0.5, 2]}).rewards
    assert [entry.weight for entry in found] == [0.5, 2.0]
    assert found[0].params == {"reward_function": polite}
    # A weight that nobody set contradicts no `train.reward_weights`.
    assert all("weight" not in entry.model_fields_set for entry in load_config(given).rewards)


def config_from(road: str, folder: Path) -> RunConfig:
    path = folder / f"config.{road.partition(' ')[0]}"
    if road.startswith("yaml"):
        path.write_text(yaml.safe_dump(NESTED if road == "yaml" else FLAT))
        return ConfigLoader.load_from_yaml(path)
    if road.startswith("json"):
        indent: Any = "\t" if road == "json tabs" else None
        path.write_text(json.dumps(NESTED, indent=indent))
        return ConfigLoader.load_from_json(path)
    if road == "keyword arguments":
        return load_config(overrides=collect(FLAT, "keyword argument"), kind="rl")
    if road == "flags":
        return config_of(None, read_flags(FLAGS, {}))
    if road == "sections":
        return UnifiedConfig(
            algo="grpo",
            model=ModelConfig(name_or_path="m", max_seq_length=64),
            datasets=[DatasetConfig(name="rows.jsonl", column_mapping={"q": "prompt"})],
            train=TrainingConfig(learning_rate=2e-4, batch_size=4, max_steps=3),
            rewards=[RewardConfig(type="accuracy", weight=2)],
            logging=LoggingConfig(output_dir="out"),
        )
    return load_config(NESTED if road == "dict" else FLAT)


ROADS = (
    "yaml", "yaml flat", "json", "json tabs", "flat dict", "keyword arguments", "flags", "sections",
)  # fmt: skip


@pytest.mark.parametrize("road", ROADS)
def test_every_road_leads_to_the_same_configuration(road: str, tmp_path: Path) -> None:
    expected, found = load_config(NESTED), config_from(road, tmp_path)
    assert isinstance(found, UnifiedConfig)
    assert found.model_dump() == expected.model_dump()
    assert set(found.origins) - {"datasets", "rewards"} == set(expected.origins) - {
        "datasets",
        "rewards",
    }


def test_each_value_knows_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("model: m\ntrain:\n  learning_rate: 2e-4\ndatasets:\n  - name: d\n")
    flags = read_flags(["--train.seed", "7", "--batch-size", "2"], {})
    origins = config_of(path, flags).origins
    assert origins["model.name_or_path"] == f"{path}:1:1"
    assert origins["train.learning_rate"] == f"{path}:3:3"
    assert origins["datasets.0.name"] == f"{path}:5:5"
    assert origins["train.seed"] == "flag --train.seed"
    assert origins["train.per_device_batch_size"] == "flag --batch-size"
    assert "train.epochs" not in origins


def test_positions_in_json_survive_characters_that_yaml_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"model": "m", "dataset": {"name": "d",\n "system_prompt": "\\ud83d\\ude00"}}')
    config = load_config(path)
    assert config.datasets[0].system_prompt == "\N{GRINNING FACE}"
    assert config.origins["datasets.0.system_prompt"] == f"{path}:2:2"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    for name, text in (
        ("c.yaml", "model: m\ndataset: d\n"),
        ("c.json", '{"model": "m", "dataset": "d"}'),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert load_config(tmp_path / name).model.name_or_path == "m"


def test_overrides_win_over_a_file_and_over_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(NESTED))
    for source in (path, NESTED, load_config(NESTED)):
        config = load_config(source, overrides=collect({"learning_rate": 1.0}, "flag --x"))
        assert (config.train.learning_rate, config.train.max_steps) == (1.0, 3)
        assert config.origins["train.learning_rate"] == "flag --x"


def test_a_list_item_is_overridden_by_its_path(tmp_path: Path) -> None:
    source = {"model": "m", "datasets": [{"name": "a", "split": "test"}, "b"]}
    flags = {"datasets.1.split": "dev", "datasets.2.name": "c", "datasets.0.max_samples": "5"}
    (tmp_path / "c.json").write_text(json.dumps(source))
    config = config_of(tmp_path / "c.json", flags)
    assert [(d.name, d.split, d.max_samples) for d in config.datasets] == [
        ("a", "test", 5),
        ("b", "dev", None),
        ("c", "train", None),
    ]


def test_a_list_in_an_override_replaces_the_whole_list() -> None:
    config = load_config(
        {"model": "m", "datasets": ["a", "b"]}, overrides=collect({"datasets": ["c"]}, "x")
    )
    assert [d.name for d in config.datasets] == ["c"]


@pytest.mark.parametrize("first", ["max_samples", "datasets"])
def test_a_flat_name_beside_a_list_holds_in_any_order(first: str) -> None:
    given = {"model": "m", "max_samples": 5, "datasets": ["a"]}
    ordered = {first: given[first], **given}
    assert load_config(ordered).datasets[0].max_samples == 5


def test_an_override_wins_over_the_algorithm_that_a_file_calls_its_type() -> None:
    source = {"type": "dpo", "model": "m", "dataset": "d"}
    assert load_config(source).algo == "dpo"
    config = load_config(source, overrides=collect({"algorithm": "grpo"}, "flag"))
    assert config.algo == "grpo"


def test_the_kind_follows_the_algorithm_and_the_type() -> None:
    given = {"model": "m", "dataset": "d"}
    assert isinstance(load_config(given), SFTConfig)
    assert isinstance(load_config({**given, "algorithm": "GRPO"}), UnifiedConfig)
    assert isinstance(load_config({**given, "type": "rl", "algo": "grpo"}), UnifiedConfig)
    assert isinstance(SFTConfigLoader.load_from_dict(given), SFTConfig)
    with pytest.raises(ConfigError, match="it says sft, and the algorithm is 'grpo'"):
        load_config({**given, "type": "sft", "algorithm": "grpo"})


def test_short_forms() -> None:
    config = load_config(
        {
            "model": "m",
            "dataset": {"name": "d", "split": "test"},
            "eval_dataset": "e",
            "evaluation": {"evaluators": ["perplexity"]},
            "loggers": "none",
        }
    )
    assert (config.datasets[0].name, config.datasets[0].split) == ("d", "test")
    assert config.eval_datasets[0].name == "e"
    assert config.evaluation.evaluators[0].type == "perplexity"
    assert config.logging.loggers == []


def test_an_empty_section_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("model: m\ndataset: d\nlogging:\ntrain:\nrewards:\n")
    assert (
        load_config(path).model_dump() == load_config({"model": "m", "dataset": "d"}).model_dump()
    )


@pytest.mark.parametrize(
    ("flags", "path", "value"),
    [
        (["--train.batch_size", "2"], "train.per_device_batch_size", 2),
        (["--dataset.config", "en"], "datasets.0.subset", "en"),
        (["--datasets.0.config", "en"], "datasets.0.subset", "en"),
        (["--datasets.0.truncation_mode", "keep_end"], "train.truncation_mode", "keep_end"),
        (["--rewards.0.reward_type", "length"], "rewards.0.type", "length"),
        (["--rewards.0.params.x", "5"], "rewards.0.params.x", 5),
        (["--train.dataset_kwargs.x", "1"], "train.dataset_kwargs.x", 1),
        (["--evaluation.evaluators.0.type", "b"], "evaluation.evaluators.0.type", "b"),
        (
            ["--logging.sample_logging", '{"enabled": true}'],
            "logging.sample_logging.enabled",
            True,
        ),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
@pytest.mark.parametrize("written_as", ["flag", "key"])
def test_a_full_path_wins_over_the_file_by_any_name(
    flags: list[str], path: str, value: Any, written_as: str, tmp_path: Path
) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(
        "model: m\ndatasets: [{name: d, subset: de}]\nalgorithm: grpo\n"
        "train: {per_device_batch_size: 1, dataset_kwargs: {x: 0, y: 0}}\n"
        "rewards: [{type: accuracy, params: {x: 4}}]\nevaluation: {evaluators: [{type: a}]}\n"
    )
    given = read_flags(flags, {})
    if written_as == "flag":
        config = config_of(base, given)
    else:
        top = tmp_path / "c.json"
        top.write_text(json.dumps({"base": "base.yaml", **given}))
        config = load_config(top)
    found: Any = config
    for part in path.split("."):
        if isinstance(found, list):
            found = found[int(part)]
        else:
            found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    "flags",
    [
        ["--seed", "1", "--train.seed", "2"],
        ["--train.batch_size", "1", "--train.per_device_batch_size", "2"],
        ["--dataset", "d", "--datasets.0.name", "e"],
    ],
)
def test_two_flags_that_contradict_each_other_are_told(flags: list[str]) -> None:
    given = read_flags(["--model", "m", *flags], {})
    with pytest.raises(ConfigError, match=f"{flags[2]}: .*are names of one parameter"):
        config_of(None, given)


def test_a_configuration_that_was_given_is_not_changed() -> None:
    given = {"model": "m", "dataset": "d", "train": {"dataset_kwargs": {"a": 1}}}
    overrides = collect({"train.dataset_kwargs.b": 2}, "flag")
    assert load_config(given, overrides=overrides).train.dataset_kwargs == {"a": 1, "b": 2}
    assert given["train"] == {"dataset_kwargs": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dataset: [d, {}]", "c.yaml:2:14: datasets.1.name: it is required"),
        ("dataset: {}", "datasets.0.name: it is required"),
        ("dataset: d\neval_datasets: [{}]", "c.yaml:3:17: eval_datasets.0.name: it is required"),
        ("dataset: d\nrewards: [{}, length]", "c.yaml:3:11: rewards.0.type: it is required"),
        ("dataset: d\nrewards: [{weight: 2}]", "c.yaml:3:12: rewards.0.type: it is required"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_missed_where_it_belongs(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"model: m\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert says in str(caught.value)
