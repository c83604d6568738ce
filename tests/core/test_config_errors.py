"""Every mistake in a configuration is one clear error that says where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aligntune.config import load_config
from aligntune.config.assemble import Setting, collect
from aligntune.errors import ConfigError

pytestmark = pytest.mark.usefixtures("no_plugins")

GOOD = {"model": "m", "dataset": "d"}


def error_of(source: Any, **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source, **more)
    return str(caught.value)


# What is written below `model: m` and `dataset: d`, and what is said of it; FILE is the file.
IN_YAML = [
    ("learnin_rate: 1", "FILE:3:1: learnin_rate: unknown key\n    did you mean 'learning_rate'?"),
    ("train:\n  warmpu_steps: 1", "FILE:4:3: train.warmpu_steps: unknown key\n"),
    ("train:\n  warmpu_steps: 1", "did you mean 'warmup_steps'?"),
    ("eval_datasets:\n- name: e\n- nam: f", "FILE:5:3: eval_datasets.1.nam: unknown key"),
    ("eval_datasets:\n- name: e\n- nam: f", "FILE:5:3: eval_datasets.1.name: it is required"),
    ("train:\n  output_dir: o", "'output_dir' belongs to another section: `logging.output_dir`"),
    ("evaluation_strategy: no", "here it is `train.eval_strategy`"),
    ("nonsense: {deep: 1}", "FILE:3:1: nonsense: unknown key"),
    ("7: seven", "FILE:3:1: 7: unknown key"),
    ("self: 1", "FILE:3:1: self: unknown key"),
    ("train: {self: 1}", "train.self: unknown key"),
    ("learning_rate: fast", "FILE:3:1: train.learning_rate: input should be a valid number"),
    ("learning_rate: -1", "greater than or equal to 0, not -1"),
    ("batch_size: 1.5", "train.per_device_batch_size: input should be a valid integer"),
    ("train: 5", "FILE:3:1: train: expected keys with values, not 5"),
    ("rewards: [5]", "FILE:3:11: rewards.0: expected keys with values, not 5"),
    ("column_mapping: 5", "datasets.0.column_mapping: expected keys with values, not 5"),
    ("train: {qqq: 1}", "unknown key\n    `aligntune explain train` lists what is known here"),
    ("rewards: [{qqq: 1}]", "known here: cache_dir, clip, "),
    ("eval_datasets: [{name: d, qqq: 1}]", "`aligntune explain eval_datasets` lists what"),
    ("lr: 1", "here it is `train.learning_rate`"),
    ("config: c", "a configuration file is named without a flag"),
    ("wandb_api_key: c", "from their environment variables"),
    ("train: 5\nseed: 1", "FILE:4:1: train: expected keys with values, not 5"),
    ("rewards: {type: length}", "FILE:3:1: rewards: input should be a valid list"),
    ("precision: bf17", "'bf16', 'fp16', 'fp32' or 'auto', not 'bf17'"),
    ("evaluation: {evaluators: [{name: x}]}", "evaluation.evaluators.0.type: it is required"),
    ("evaluation: {evaluators: [{1: x}]}", "evaluation.evaluators.0.1: unknown key"),
    ("reward_functions: length", "FILE:3:1: reward_functions: expected a list of reward names"),
    ("reward_functions: [a, b]\nreward_function_weights: [1]", "1 weights for 2 reward functions"),
    ("reward_functions: [a]\nreward_function_weights: 2", "expected a list of numbers"),
    ("reward_function_weights: [1]", "there are no `reward_functions` that they are for"),
    ("learning_rate: 1\nlearning_rate: 2", "FILE:4:1: learning_rate: the key stands here a second"),
    ("train:\n  seed: 1\n  seed: 1", "the first is in line 4"),
    ("batch_size: 2\nper_device_train_batch_size: 4", "'batch_size' and 'per_device_train_batch_"),
    ("lr_scheduler: linear\ntrain: {lr_scheduler_type: cosine}", "('linear' and 'cosine')"),
    ("model_name: other", "'model' and 'model_name' are names of one parameter"),
    ("train.seed: 1\ntrain: {seed: 2}", "'train.seed' is set twice, to different values (1 and 2)"),
    ("type: dpo\nalgorithm: grpo", "'type' and 'algorithm' are names of one parameter"),
    ("train:\n\tseed: 1", "FILE:4:1: this is not YAML: found character that cannot start"),
    ("train: [1", "this is not YAML"),
    ("run_name: 2024-13-45", "a value cannot be read: month must be in 1..12"),
    ("run_name: !!int x", "a value cannot be read"),
    ("run_name: !!python/name:os.system", "this is not YAML"),
    ("generation_kwargs: &a {x: [*a]}", "an alias stands inside what it stands for"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), IN_YAML, ids=range(len(IN_YAML)))
def test_what_is_said_of_a_mistake_in_a_file(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"model: m\ndataset: d\n{text}\n")
    assert says.replace("FILE", str(path)) in error_of(path)


WHOLE = [
    ("c.yaml", "", "the file is empty"),
    ("c.yaml", "# nothing\n", "the file is empty"),
    ("c.json", " \n", "the file is empty"),
    ("c.json", "null", "the file is empty"),
    ("c.yaml", "- a\n- b\n", "FILE:1:1: expected keys with values, found a list"),
    ("c.yaml", "just words", "found a str"),
    ("c.json", '{"model": "m",\n "dataset" "d"}', "FILE:2:12: this is not JSON: Expecting ':'"),
    ("c.json", '{"model": "m", "model": "m"}', "FILE:1:16: model: the key stands here a second"),
    ("c.json", '{"model":\t"m",\n\t"nonsense": 1}', "FILE:2:2: nonsense: unknown key"),
    ("c.json", "[" * 100_000, "it is nested too deeply"),
    ("c.json", '{"seed": ' + "1" * 5000 + "}", "a value cannot be read"),
    ("c.yaml", "model: \udcff", "cannot be read"),
    ("c.toml", "model = 'm'", "a configuration file is called .yaml, .yml or .json"),
    ("c.yaml", "train:\n  seed: 1\n", "model: it is required and was not set"),
    ("c.yaml", "model: m\n", "or --dataset"),
    ("c.yaml", "model: m\ndatasets: []\n", "FILE:2:1: datasets: at least one data set is required"),
    ("c.yaml", "model: m\ndataset: d\ntype: rl\n", "set `algorithm`, such as `algorithm: grpo`"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "says"), WHOLE, ids=range(len(WHOLE)))
def test_what_is_said_of_a_whole_file(name: str, text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, errors="surrogateescape")
    assert says.replace("FILE", str(path)) in error_of(path)


def test_a_file_that_is_not_there_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "real.yml").touch()
    said = error_of(tmp_path / "rael.yml")
    assert "there is no such file" in said
    assert "configuration files there: real.yml" in said
    (tmp_path / "folder.yaml").mkdir()
    assert "cannot be read" in error_of(tmp_path / "folder.yaml")
    assert "cannot be read" in error_of("nul\0.yaml")
    assert "not a int" in error_of(5)


def test_several_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({**GOOD, "seed": "x", "nonsense": 1, "rewards": [{"weight": "heavy"}]})
    assert str(caught.value).startswith("4 problems in the configuration\n- ")
    assert {problem.path for problem in caught.value.problems} == {
        "train.seed",
        "nonsense",
        "rewards.0.type",
        "rewards.0.weight",
    }


def test_problems_are_told_in_the_order_of_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZE", "many")
    path = tmp_path / "c.yaml"
    path.write_text("sead: 1\nbatch_size: ${SIZE}\nepochs: soon\nmodel: m\ndataset: d\n")
    lines = [line for line in error_of(path).splitlines() if line.startswith("- ")]
    assert [line.partition(f"{path}:")[2][:3] for line in lines] == ["1:1", "2:1", "3:1"]


def test_a_name_that_begins_as_a_field_does_is_meant() -> None:
    given = {"model": {"name": "m"}, "dataset": "d"}
    assert "model.name: unknown key\n    did you mean 'name_or_path'?" in error_of(given)


@pytest.mark.parametrize(
    "path", ["datasets.x.name", "datasets.7.name", "datasets.²", "datasets.-1"]
)
def test_an_item_that_is_not_there_cannot_be_set(path: str) -> None:
    said = error_of({**GOOD}, overrides=[Setting(path, "x", "flag --it", path)])
    assert "flag --it" in said
    assert "is not the number of an item; there are 1" in said


def test_keyword_arguments_and_flags_are_named_as_the_place() -> None:
    overrides = collect({"batch_size": "many"}, lambda name: f"keyword argument {name}")
    assert "keyword argument batch_size: train.per_device" in error_of(GOOD, overrides=overrides)


def test_equal_values_under_two_names_are_no_contradiction() -> None:
    assert load_config({**GOOD, "batch_size": 2, "train": {"batch_size": 2}}).train.batch_size == 2


def test_an_empty_section_lacks_what_it_needs() -> None:
    said = error_of({"model": {"name_or_path": "m", "reward_model_source": {}}, "dataset": "d"})
    assert said == "model.reward_model_source.source_type: it is required and was not set"
    load_config({**GOOD, "logging": {"sample_logging": {}}})
