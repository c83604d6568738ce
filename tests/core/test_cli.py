"""The command line: what it answers, and that a mistake is one message and exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins as process_plugins
from aligntune.cli.flags import read_flags
from aligntune.errors import ConfigError
from aligntune.plugins import Plugins

GOOD = "algorithm: toy-sft\nmodel: m\ndataset: d\nbatch_size: 2\n"


Run = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD)
    return path


def test_help_names_every_command(run: Run, no_plugins: Plugins) -> None:
    answer = run("--help")
    assert answer.code == 0
    commands = "train validate plan plugins algorithms rewards info quickstart report"
    assert all(f" {command} " in answer.said for command in commands.split())
    assert run("train", "--help").code == 0


def test_plugins_and_rewards_as_json_and_as_tables(run: Run, toy: Plugins, make_dist: Any) -> None:
    make_dist("broken", "raise RuntimeError('no [/licence]')")
    process_plugins.configure(only=["toy", "broken"])
    records = {record["name"]: record for record in json.loads(run("plugins", "--json").out)}
    assert records["broken"]["status"] == "failed"
    assert records["toy"] == {
        "name": "toy",
        "distribution": "toy",
        "version": "1.0",
        "status": "loaded",
        "reason": "",
        "provides": {
            "backend": ["absent", "fast", "slow"],
            "algorithm": ["toy-blamed", "toy-praised", "toy-rl", "toy-sft"],
            "reward": ["praise"],
            "evaluator": ["mood"],
        },
    }
    shown = run("plugins").said
    assert "no [/licence]" in shown
    assert "toy-rl, toy-sft" in shown
    (reward,) = json.loads(run("rewards", "list", "--json").out)
    assert (reward["name"], reward["distribution"], reward["range"]) == ("praise", "toy", [0, 1])
    assert "a constant" in run("rewards", "list").said


def test_algorithms_are_listed_with_the_backends_that_run_them(run: Run, toy: Plugins) -> None:
    lines = {line["name"]: line for line in json.loads(run("algorithms", "--json").out)}
    assert lines["toy-sft"]["backends"] == ["fast", "absent", "slow"]
    assert lines["toy-rl"]["backends"] == ["slow"]
    assert lines["toy-rl"]["rewards"] == "required"
    assert "toy-praised" in run("algorithms").said
    row = next(
        line for line in run("algorithms", "--markdown").out.splitlines() if "`toy-rl`" in line
    )
    assert row.startswith("| `toy-rl` |  | no | no | yes |")


def test_with_nothing_installed_the_tables_say_what_to_install(
    run: Run, no_plugins: Plugins
) -> None:
    assert "pip install aligntune-trl" in run("algorithms").said
    assert "pip install aligntune-rewards" in run("rewards", "list").said


def test_validate_of_a_good_file(run: Run, toy: Plugins, config: Path) -> None:
    answer = run("validate", str(config))
    assert (answer.code, answer.err) == (0, "")
    assert answer.said == "valid: toy-sft on fast (fast is the best that works here)"
    answer = run("validate", str(config), "--json")
    assert json.loads(answer.out) == {"valid": True, "algorithm": "toy-sft", "backend": "fast"}


BAD: dict[str, tuple[str, str]] = {
    "unknown key": ("learnin_rate: 1", "c.yaml:5:1: learnin_rate: unknown key"),
    "wrong type": ("seed: x", "c.yaml:5:1: train.seed: input should be a valid integer"),
    "unused value": ("packing: true", "c.yaml:5:1: train.packing: True would not be used"),
    "a value that is a mapping": ("caching: {a: 1}", "c.yaml:5:1: caching: {'a': 1} would not be"),
    "unknown reward": ("rewards: [prais]", "c.yaml:5:11: rewards.0.type: unknown reward 'prais'"),
    "unknown evaluator": (
        "evaluation: {evaluators: [moood]}",
        "c.yaml:5:14: evaluation.evaluators.0.type: unknown evaluator 'moood'; did you mean 'mood'",
    ),
    "unknown backend": ("backend: fsat", "c.yaml:5:1: backend: unknown backend 'fsat'"),
    "absent backend": ("backend: trl", "aligntune-trl"),
    "two kinds": ("type: rl", "use `create_sft_trainer`, or `type: sft`"),
    "unusable backend": ("backend: absent", "no-such-package is not installed"),
    "broken YAML": ("train: [1", "this is not YAML"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("command", ["validate", "plan", "train"])
def test_a_bad_file_is_one_message(
    command: str, case: str, run: Run, toy: Plugins, config: Path
) -> None:
    text, says = BAD[case]
    config.write_text(f"{GOOD}{text}\n")
    assert says in run(command, "c.yaml").wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.yaml"], "missing.yaml: there is no such file"),
        (["missing.yaml"], "configuration files there: c.yaml"),
        (["c.toml"], "is called .yaml, .yml or .json"),
        ([], "give a configuration file, or flags"),
        (["c.yaml", "d.yaml"], "'d.yaml' is no flag"),
        (["c.yaml", "--seed", "1", "--seed", "2"], "--seed is given twice"),
        (["c.yaml", "--datasets.9.name", "x"], "flag --datasets.9.name: datasets.9.name"),
        (["c.yaml", "--datasets.x.name", "x"], "is not the number of an item"),
        (["c.yaml", "--train.nonsense", "x"], "flag --train.nonsense: train.nonsense: unknown key"),
        (["c.yaml", "--rewards", "[{"], "--rewards: '[{' is not JSON"),
        (["c.yaml", "--learning-rate", "fast"], "flag --learning-rate: train.learning_rate"),
        (["--", "c.yaml", "--", "x"], "is no flag"),
    ],
    ids=range(12),
)
def test_wrong_arguments(
    arguments: list[str], says: str, run: Run, toy: Plugins, config: Path
) -> None:
    assert says in run("validate", *arguments).wrong


def test_flags_alone_and_in_front_of_the_file(run: Run, toy: Plugins, config: Path) -> None:
    flags = ["--learning-rate", "2e-4", "--model", "m", "--dataset", "d", "--algorithm=toy-sft"]
    assert run("validate", *flags, "--batch-size", "4").code == 0
    plan = json.loads(run("plan", "c.yaml", "--train.seed", "7", "--json").out)
    values = {value["path"]: value for value in plan["values"]}
    assert (values["train.seed"]["value"], values["train.seed"]["origin"]) == (
        7,
        "flag --train.seed",
    )


def test_plan_as_a_table_shows_values_whatever_they_hold(
    run: Run, toy: Plugins, config: Path
) -> None:
    config.write_text(f"{GOOD}chat_template: '[INST] hello [/INST]'\n")
    answer = run("plan", "c.yaml")
    assert answer.code == 0, answer.err
    for part in ("toy-sft: imitation", "each step trains on 2 rows", "ToyConfig.lr"):
        assert part in answer.said
    assert "[/INST]" in answer.said
    assert "model.peft_enabled false default whether an adapter" in answer.said


def test_unknown_commands(run: Run, no_plugins: Plugins) -> None:
    assert "there is no command 'trian'; did you mean 'train'?" in run("trian").wrong
    assert "pip install aligntune-eval" in run("eval", "--json").wrong
    assert "commands: " in run("zzz").wrong


COMMAND = """
@hookimpl
def aligntune_cli_commands(app):
    @app.command("greet")
    def greet(name: str) -> None:
        print("hello", name)
"""
BROKEN_COMMAND = "@hookimpl\ndef aligntune_cli_commands(app): raise RuntimeError('no licence')\n"


def test_a_plugin_adds_a_command(run: Run, no_plugins: Plugins, make_dist: Any) -> None:
    make_dist("greeter", COMMAND)
    process_plugins.configure(only=["greeter"])
    assert run("greet", "you").out == "hello you\n"
    assert " greet " in run("--help").said


def test_a_plugin_whose_commands_fail_breaks_no_others(
    run: Run, no_plugins: Plugins, make_dist: Any
) -> None:
    make_dist("greeter", COMMAND)
    make_dist("broken", BROKEN_COMMAND)
    process_plugins.configure(only=["greeter", "broken"])
    answer = run("greet", "you")
    assert answer.out == "hello you\n"
    assert "'broken' of broken 1.0" in answer.err
    assert "no licence" in answer.err
    assert run("--help").code == 0


def test_info_names_backends_and_why_they_do_not_work(run: Run, toy: Plugins) -> None:
    found = json.loads(run("info", "--json").out)
    assert list(found["backends"]) == ["fast", "absent", "slow"]
    assert found["backends"]["fast"] == {"algorithms": ["toy-sft"], "unusable": None}
    assert found["backends"]["absent"]["unusable"] == "no-such-package is not installed"
    assert "no-such-package" in run("info").said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--batch-size", "4"], {"batch_size": "4"}),
        (["--train.seed=7"], {"train.seed": "7"}),
        (["--packing", "--seed", "1"], {"packing": True, "seed": "1"}),
        (["--no-packing"], {"packing": False}),
        (["--rewards", '["length"]'], {"rewards": ["length"]}),
        (["--max-steps", "null"], {"max_steps": None}),
        (["--run-name", "7"], {"run_name": "7"}),
        (["--chat-template", "{% x %}"], {"chat_template": "{% x %}"}),
        (["--chat-template", "{{ x }}"], {"chat_template": "{{ x }}"}),
        (["--rewards.0.params.low", "7"], {"rewards.0.params.low": 7}),
        (["--weight-decay", "-1"], {"weight_decay": "-1"}),
        (["--run-name="], {"run_name": ""}),
    ],
    ids=range(12),
)
def test_what_flags_mean(arguments: list[str], expected: dict[str, Any]) -> None:
    assert read_flags(arguments, {"model": None}) == expected


@pytest.mark.parametrize("arguments", [["4"], ["-x"], ["--seed", "1", "--seed=2"], ["--x", "{"]])
def test_what_is_no_flag(arguments: list[str]) -> None:
    with pytest.raises(ConfigError):
        read_flags(arguments, {})


def test_a_flag_that_the_command_knows_may_not_come_again() -> None:
    with pytest.raises(ConfigError, match="twice"):
        read_flags(["--model", "x"], {"model": "y"})
