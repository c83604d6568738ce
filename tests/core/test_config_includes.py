"""Files that build on others, and environment variables in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aligntune import ConfigLoader
from aligntune.config import load_config
from aligntune.config.assemble import collect
from aligntune.config.environment import escape
from aligntune.errors import AlignTuneError, ConfigError
from aligntune.plan import make_plan, plan_as_dict, save_resolved
from aligntune.plugins import Plugins
from aligntune.redact import REDACTED

Write = Callable[[str, str], Path]
GOOD = "model: m\ndataset: d\n"
TOY = {"model": "m", "dataset": "d", "algorithm": "toy-sft", "batch_size": 2}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


def errors_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_a_nearer_file_wins_value_by_value_and_each_value_keeps_its_place(write: Write) -> None:
    base = write("base_grpo.yaml", "algorithm: grpo\ntrain:\n  seed: 1\n  max_steps: 5\n")
    small = write("small.json", '{"base": "base_grpo.yaml",\n "model": "m", "max_steps": 7}')
    path = write("sub/run.yaml", "base: ../small.json\ndataset: d\nlearning_rate: 1e-3\n")
    config = load_config(path)
    train = config.train
    assert (config.algo, train.seed, train.max_steps, train.learning_rate) == ("grpo", 1, 7, 1e-3)
    origins = config.origins
    assert origins["train.seed"].endswith("/sub/../base_grpo.yaml:3:3")
    assert origins["train.max_steps"].endswith("/sub/../small.json:2:16")
    assert origins["train.learning_rate"] == f"{path}:3:1"
    assert Path(origins["train.seed"].partition(":")[0]).resolve() == base.resolve()
    assert small.is_file()
    flags = collect({"seed": 9}, "flag --seed")
    assert load_config(path, overrides=flags).train.seed == 9


def test_of_several_bases_the_later_wins_and_one_that_two_share_is_read_once(write: Write) -> None:
    write("common.yaml", f"{GOOD}seed: 1\nmax_steps: 1\n")
    write("one.yaml", "base: common.yaml\nseed: 2\n")
    write("two.yaml", "base: common.yaml\nmax_steps: 3\n")
    train = load_config(write("run.yaml", "base: [one.yaml, two.yaml]\n")).train
    assert (train.seed, train.max_steps) == (2, 3)


def test_a_list_replaces_the_list_of_the_base(write: Write) -> None:
    write("base.yaml", "model: m\ndatasets: [a, b]\n")
    config = load_config(write("run.yaml", "base: base.yaml\ndatasets: [c]\n"))
    assert [d.name for d in config.datasets] == ["c"]
    config = load_config(write("run.yaml", "base: base.yaml\nmax_samples: 5\n"))
    assert [(d.name, d.max_samples) for d in config.datasets] == [("a", 5), ("b", None)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("base: run.yaml", "run.yaml:1:1: base: run.yaml builds on itself"),
        ("base: other.yaml", "other.yaml:1:1: base: run.yaml builds on itself"),
        ("seed: 1\nbase: none.yaml", "run.yaml:2:1: base: none.yaml: there is no such file"),
        ("base: {a: b}", "run.yaml:1:1: base: expected the name of a file, or a list of them"),
        ("base: words.txt", "a configuration file is called .yaml, .yml or .json"),
        ("base: broken.yaml", "broken.yaml:1:5: this is not YAML"),
    ],
)
def test_what_is_said_of_a_wrong_base(text: str, says: str, write: Write) -> None:
    write("other.yaml", "base: run.yaml")
    write("broken.yaml", "a: b: c")
    assert says in errors_of(write("run.yaml", f"{text}\n"))[0]


def test_problems_of_a_base_are_told_with_those_of_the_file(write: Write) -> None:
    write("base.yaml", f"{GOOD}seed: 1\nseed: 2\nnonsense: 1\n")
    said = errors_of(write("run.yaml", "base: base.yaml\nmax_steps: soon\n"))
    assert [line.partition(": ")[0] for line in said] == [
        "base.yaml:4:1",
        "base.yaml:5:1",
        "run.yaml:2:1",
    ]


def test_only_a_file_has_a_base() -> None:
    with pytest.raises(ConfigError, match="top level of a file"):
        load_config({"model": "m", "dataset": "d", "base": "b.yaml"})


VALUES: list[tuple[str, str, Any]] = [
    ("learning_rate: ${A}", "2e-4", 2e-4),
    ("learning_rate: ${A:-1e-3}", "", 1e-3),
    ("learning_rate: ${UNSET:-1e-3}", "", 1e-3),
    ("max_steps: ${A}", "10", 10),
    ("packing: ${A}", "true", True),
    ("max_steps: ${A}", "", None),
    ("run_name: '${A}'", "words", "words"),
    ("run_name: x-${A}-${B:-z}", "7", "x-7-z"),
    ("run_name: $${A} $A ${A}$", "7", "${A} $A 7$"),
    ("run_name: $$${A}", "7", "$${A}"),
    ("generation_kwargs: {a: ['${A}']}", "[1]", {"a": ["[1]"]}),
    ("run_name: ${A}", "2024-01-02", "2024-01-02"),
]


@pytest.mark.parametrize(("text", "variable", "value"), VALUES)
def test_environment_variables(
    text: str, variable: str, value: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A", variable)
    config = load_config(write("run.yaml", f"{GOOD}{text}\n"))
    name = text.partition(":")[0]
    found = getattr(config.logging if name == "run_name" else config.train, name)
    assert (found, type(found)) == (value, type(value))


def test_a_value_from_the_environment_says_so(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPS", "5")
    path = write("run.json", '{"model": "m", "dataset": "d",\n"max_steps": "${STEPS}"}')
    assert load_config(path).origins["train.max_steps"] == (
        f"environment variable STEPS in {path}:2:1"
    )
    other = write("run.yaml", f"{GOOD}max_steps: ${{NO_STEPS:-5}}\n")
    assert load_config(other).origins["train.max_steps"] == (
        f"the default of environment variable NO_STEPS in {other}:3:1"
    )
    monkeypatch.setenv("STEPS", "many")
    (said,) = errors_of(path)
    assert said.startswith("environment variable STEPS in run.json:2:1: train.max_steps: input")
    assert said.endswith("not 'many'")


def test_what_is_said_of_variables_that_are_not_there(write: Write) -> None:
    said = errors_of(
        write("run.yaml", f"{GOOD}seed: ${{NONE}}\nrun_name: a${{x y}}b${{c\nmax_steps: soon\n")
    )
    assert said[0].startswith("run.yaml:3:1: seed: the environment variable NONE is not set\n")
    assert "run.yaml:4:1: run_name: '${x y}' is no reference" in said[1]
    assert "'${c" in said[2]
    assert said[3].startswith("run.yaml:5:1: train.max_steps")
    assert len(said) == 4


def test_what_python_gives_is_no_template() -> None:
    config = load_config({"model": "m", "dataset": "d", "run_name": "${HOME}"})
    assert config.logging.run_name == "${HOME}"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SERVICE_API_KEY", "opensesame")
    return "${SERVICE_API_KEY}"


def test_a_secret_from_the_environment_is_written_nowhere(
    write: Write, secret: str, toy: Plugins, tmp_path: Path
) -> None:
    text = f"{GOOD}algorithm: toy-sft\nbatch_size: 2\n"
    text += f"model_init_kwargs: {{deep: {{x: 'a {secret}'}}}}\n"
    plan = make_plan(load_config(write("run.yaml", text)))
    assert plan.config.model.model_init_kwargs == {"deep": {"x": "a opensesame"}}
    resolved = save_resolved(plan, tmp_path / "resolved.yaml").read_text()
    assert "# Left out as secrets: model.model_init_kwargs\n" in resolved
    shown = plan_as_dict(plan)
    assert "opensesame" not in resolved + json.dumps(shown)
    (value,) = (v for v in shown["values"] if v["path"] == "model.model_init_kwargs")
    assert value["value"] == REDACTED


@pytest.mark.parametrize(
    "text",
    [
        "seed: {}",
        "train: '{}'",
        "run_name: {}\nlogging: {{run_name: other}}",
        "run_name: name\nlogging: {{run_name: '{}'}}",
        "model_name: {}",
        "num_generations: ['{}']",
        "lora_r: 4\nlora_rank: {}",
        "type: sft\nalgorithm: {}",
    ],
)
def test_a_secret_from_the_environment_stands_in_no_message(
    text: str, write: Write, secret: str
) -> None:
    (said, *_) = errors_of(write("run.yaml", f"{GOOD}{text.format(secret)}\n"))
    assert "opensesame" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("algorithm: toy-sft\noptimizer: {}", "train.optimizer: a value that is not shown would"),
        ("algorithm: {}", "algo: unknown algorithm '[redacted]'"),
        ("backend: {}", "backend: unknown backend '[redacted]'"),
        ("algorithm: toy-rl\nrewards: ['{}']", "rewards.0.type: unknown reward '[redacted]'"),
        (
            "algorithm: toy-sft\nevaluation: {{evaluators: ['{}']}}",
            "unknown evaluator '[redacted]'",
        ),
        ("algorithm: toy-sft\nloss_type: {}", "train.loss_type: '[redacted]' is no loss of toys"),
    ],
    ids=range(6),
)
def test_a_secret_that_a_run_cannot_use_stands_in_no_message(
    text: str, says: str, write: Write, secret: str, toy: Plugins
) -> None:
    path = write("run.yaml", f"{GOOD}{text.format(secret)}\n")
    with pytest.raises(AlignTuneError) as caught:
        make_plan(load_config(path))
    assert says in str(caught.value)
    assert "opensesame" not in str(caught.value)


@pytest.mark.parametrize("value", ["tok-very-secret", 5, ["tok-very-secret"], True])
def test_a_token_stands_in_no_message_and_no_plan(value: Any, toy: Plugins, tmp_path: Path) -> None:
    given = {**TOY, "hub_token": value}
    with pytest.raises(ConfigError) as caught:
        load_config({**given, "seed": -1})
    assert "tok-very" not in str(caught.value)
    if isinstance(value, str):
        plan = make_plan(load_config({**given, "push_to_hub": True}))
        resolved = save_resolved(plan, tmp_path / "resolved.yaml").read_text()
        assert "tok-very" not in resolved + json.dumps(plan_as_dict(plan)) + repr(plan.config)


def test_a_resolved_file_means_what_it_says(toy: Plugins, tmp_path: Path) -> None:
    texts = ["${HOME}", "$${HOME}", "$$", "${", "{{ x }} $5", "a\x85b\u2028c"]
    plan = make_plan(load_config({**TOY, "model_init_kwargs": {"texts": texts}}))
    again = ConfigLoader.load_from_yaml(save_resolved(plan, tmp_path / "r.yaml"))
    assert again.model.model_init_kwargs == {"texts": texts}
    assert escape("a ${B}") == "a $${B}"
    assert "base" not in yaml.safe_load((tmp_path / "r.yaml").read_text())
