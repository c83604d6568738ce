"""Every mistake is answered by one error that names it, and as early as it can be found."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aligntune.testing import write_jsonl

SFT = {"max_steps": 1, "logging": {"output_dir": "run", "loggers": ["none"]}}
GRPO = {
    **SFT,
    "algorithm": "grpo",
    "rewards": ["accuracy"],
    "batch_size": 4,
    "max_completion_length": 4,
    "logging_steps": 1,
}
REWARDS = '''
calls = 0


def nan(text):
    return float("nan")


def infinite(text):
    return float("inf")


def too_few(completions):
    return [0.5] * (len(completions) - 1)


def raises(text):
    return 1 / len(text[:0])


def word(text):
    return "good"


def later(completions):
    """Well for one step, then not."""
    global calls
    calls += 1
    return [float("nan") if calls == 2 else float(index) for index, _ in enumerate(completions)]
'''

Fails = Callable[..., str]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def hollow(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without weights: whatever is reported for it was found before a model was loaded."""
    folder = tmp_path_factory.mktemp("hollow") / "model"
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


@pytest.fixture
def fails(aligntune: Any, here: Path) -> Fails:
    """Run a command that must fail as a user's mistake does; returns the error, on one line."""

    def run(*arguments: str | Path) -> str:
        done = aligntune(*arguments)
        assert done.code == 2, done.out + done.err
        assert "Traceback" not in done.out + done.err
        assert done.err.count("error: ") == 1, done.err
        log, _, message = done.err.rpartition("error: ")
        assert "ERROR" not in log, done.err
        return " ".join(message.split())

    return run


@pytest.fixture
def right(hollow: Path, chat: Path) -> dict[str, str]:
    """What is not the mistake, unless a test says so."""
    return {"model_name": str(hollow), "dataset_name": str(chat)}


@pytest.fixture
def write(here: Path, right: dict[str, str]) -> Write:
    """Write config.yaml: a run that is right, but for its hollow model, and changes to it."""

    def make(base: dict[str, Any], **changes: Any) -> Path:
        values = {**right, **base, **changes}
        path = here / "config.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path

    return make


@pytest.fixture
def rewards(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of reward functions that go wrong."""
    (here / "wrong_rewards.py").write_text(REWARDS)
    monkeypatch.syspath_prepend(here)
    monkeypatch.delitem(sys.modules, "wrong_rewards", raising=False)
    return "wrong_rewards"


@pytest.fixture
def runs_into(fails: Fails, write: Write, model: Path, rewards: str) -> Callable[..., str]:
    """Run GRPO, on a model with weights, with one of those functions; returns the error."""

    def run(function: str, **changes: Any) -> str:
        reward = custom(f"{rewards}:{function}")
        return fails("train", write(GRPO, rewards=reward, model_name=str(model), **changes))

    return run


def custom(function: str) -> list[dict[str, Any]]:
    return [{"type": "custom", "params": {"reward_function": function}}]


def test_the_run_that_the_mistakes_are_made_in_is_right(
    aligntune: Any, fails: Fails, write: Write, here: Path
) -> None:
    for base in (SFT, GRPO):
        assert aligntune("validate", write(base)).code == 0
        # The weights are asked for after everything that the other tests find wrong.
        assert "model.safetensors" in fails("train", write(base))


# Configurations as users write them, in which MODEL and DATA stand for the paths of what is right.
START = "model_name: MODEL\ndataset_name: DATA\n"
SECTION = "datasets: [{name: DATA}]\nmodel:\n  name_or_path: MODEL\n"
CONFIGURATION: dict[str, tuple[str, tuple[str, ...]]] = {
    "unknown key": (
        f"{START}learning_rte: 1e-4\n",
        ("config.yaml:3:1", "learning_rte", "unknown key", "did you mean 'learning_rate'?"),
    ),
    "unknown key in a section": (
        f"{SECTION}  lora_rnk: 4\n",
        ("config.yaml:4:3", "model.lora_rnk", "unknown key", "did you mean 'lora_rank'?"),
    ),
    "key of another section": (
        f"{SECTION}  learning_rate: 1\n",
        ("config.yaml:4:3", "model.learning_rate", "train.learning_rate"),
    ),
    "wrong type": (
        f"{START}max_steps: soon\n",
        ("config.yaml:3:1", "train.max_steps", "valid integer", "'soon'"),
    ),
    "out of range": (
        f"{START}batch_size: 0\n",
        ("config.yaml:3:1", "train.per_device_batch_size", "greater than or equal to 1", "not 0"),
    ),
    "two mistakes": (
        f"{START}max_steps: soon\nsead: 1\n",
        ("2 problems", "config.yaml:3:1", "max_steps", "config.yaml:4:1", "did you mean 'seed'?"),
    ),
    "no model": (
        "dataset_name: DATA\n",
        ("model", "required", "--model"),
    ),
    "broken YAML": (
        "model_name: MODEL\n  dataset_name: DATA\n",
        ("config.yaml:2:", "not YAML", "mapping values are not allowed"),
    ),
    "empty file": ("", ("config.yaml", "the file is empty")),
    "a key that the run would not use": (
        f"{START}num_generations: 4\n",
        ("config.yaml:3:1", "train.num_generations", "would not be used", "GRPO"),
    ),
    "unknown algorithm": (
        f"{START}algorithm: grop\n",
        ("unknown algorithm 'grop'", "did you mean 'grpo'?", "dr_grpo, grpo, gspo"),
    ),
    "unknown backend": (
        f"{START}backend: trll\n",
        ("unknown backend 'trll'", "did you mean 'trl'?", "available: trl"),
    ),
    "backend that is not installed": (
        f"{START}backend: unsloth\n",
        ("unknown backend 'unsloth'", "pip install aligntune-unsloth", "available: trl"),
    ),
    "unknown reward": (
        f"{START}algorithm: grpo\nrewards: [acuracy]\n",
        ("unknown reward 'acuracy'", "did you mean 'accuracy'?", "math_accuracy"),
    ),
    "no reward": (
        f"{START}algorithm: grpo\nplugins:\n  without: [rewards]\n",
        ("rewards", "grpo learns from rewards, and none is set", "custom"),
    ),
    "unknown evaluator": (
        f"{START}evaluation:\n  evaluators: [perplexty]\n",
        ("unknown evaluator 'perplexty'", "did you mean 'perplexity'?", "exact_match"),
    ),
}


@pytest.mark.parametrize("command", ["validate", "train"])
@pytest.mark.parametrize("mistake", CONFIGURATION)
def test_a_mistake_in_the_configuration_stops_before_there_is_a_run(
    mistake: str, command: str, fails: Fails, here: Path, right: dict[str, str]
) -> None:
    text, expected = CONFIGURATION[mistake]
    text = text.replace("MODEL", right["model_name"]).replace("DATA", right["dataset_name"])
    (here / "config.yaml").write_text(text)
    message = fails(command, "config.yaml")
    assert [part for part in expected if part not in message] == [], message
    assert [path.name for path in here.iterdir()] == ["config.yaml"]


def test_a_mistake_in_a_flag_names_the_flag(fails: Fails, write: Write, here: Path) -> None:
    path = write(SFT)
    message = fails("train", path, "--learning-rte", "1e-4")
    assert "flag --learning-rte" in message
    assert "did you mean 'learning_rate'?" in message
    message = fails("train", path, "--max-steps", "soon")
    assert "flag --max-steps" in message
    assert "'soon'" in message
    assert "--rewards" in fails("train", path, "--rewards", "[accuracy")
    assert not (here / "run").exists()


def test_a_configuration_file_that_is_not_there_is_named(fails: Fails, write: Write) -> None:
    write(SFT)
    message = fails("train", "confog.yaml")
    assert "confog.yaml: there is no such file" in message
    assert "config.yaml" in message.replace("confog.yaml", "")


def test_a_model_folder_that_is_not_there_is_named(fails: Fails, write: Write, here: Path) -> None:
    missing = here / "no" / "model"
    message = fails("train", write(SFT, model_name=str(missing)))
    assert f"there is no folder {str(missing)!r}" in message
    assert "config.yaml:1:1" in message
    (here / "empty").mkdir()
    message = fails("train", write(SFT, model_name="./empty"))
    assert "'./empty' holds no model: config.json is missing" in message


ROWS = [{"prompt": f"{n}+1=", "completion": str(n + 1), "answer": str(n + 1)} for n in range(8)]


def test_a_data_file_that_is_not_there_is_named(fails: Fails, write: Write, here: Path) -> None:
    write_jsonl(here / "rows.jsonl", ROWS)
    message = fails("train", write(SFT, dataset_name="row.jsonl"))
    assert message == "row.jsonl: there is no such file; did you mean 'rows.jsonl'?"


@pytest.mark.parametrize("base", [SFT, GRPO], ids=["sft", "grpo"])
@pytest.mark.parametrize("content", ["", "\n\n"], ids=["no byte", "blank lines"])
def test_an_empty_data_set_is_named(
    base: dict[str, Any], content: str, fails: Fails, write: Write, here: Path
) -> None:
    (here / "rows.jsonl").write_text(content)
    message = fails("train", write(base, dataset_name="rows.jsonl"))
    assert message == f"rows.jsonl: the {'data set' if content else 'file'} is empty"


def test_a_broken_line_of_data_is_named(fails: Fails, write: Write, here: Path) -> None:
    lines = [json.dumps(row) for row in ROWS]
    (here / "rows.jsonl").write_text("\n".join([*lines[:3], '{"prompt": "1+1=",', *lines[3:]]))
    message = fails("train", write(SFT, dataset_name="rows.jsonl"))
    assert "rows.jsonl:4:" in message
    assert "not JSON" in message


MISSING: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "completion": (SFT, ("prompt", "label"), ("`prompt` and `completion`", "prompt, label")),
    "prompt": (GRPO, ("promt", "answer"), ("`prompt`", "promt, answer", "did you mean 'prompt'?")),
    "answer": (GRPO, ("prompt", "label"), ("'accuracy'", "reference", "label", "prompt")),
    "mapped": (
        {**SFT, "column_mapping": {"question": "prompt"}},
        ("prompt", "completion"),
        ("column_mapping", "'question'", "prompt, completion"),
    ),
}


@pytest.mark.parametrize("column", MISSING)
def test_a_missing_column_is_named_with_the_columns_there_are(
    column: str, fails: Fails, write: Write, here: Path
) -> None:
    base, columns, expected = MISSING[column]
    write_jsonl(here / "rows.jsonl", [dict.fromkeys(columns, "1") for _ in range(8)])
    message = fails("train", write(base, dataset_name="rows.jsonl"))
    assert "rows.jsonl" in message or column == "answer"
    assert [part for part in expected if part not in message] == [], message


def test_a_mistake_found_in_the_data_leaves_nothing_in_the_way(
    aligntune: Any, fails: Fails, write: Write, here: Path, model: Path
) -> None:
    write_jsonl(here / "rows.jsonl", [{"prompt": "1+1=", "label": "2"}] * 8)
    path = write(SFT, dataset_name="rows.jsonl", model_name=str(model))
    fails("train", path)
    write_jsonl(here / "rows.jsonl", ROWS)
    done = aligntune("train", path)
    assert done.code == 0, done.err
    assert json.loads((here / "run" / "run.json").read_text())["status"] == "finished"


def test_an_evaluator_without_its_data_is_refused_before_the_model_loads(
    fails: Fails, write: Write, here: Path
) -> None:
    wanted = {"evaluators": ["multiple_choice"]}
    assert "eval_datasets" in fails("train", write(SFT, evaluation=wanted))
    write_jsonl(here / "rows.jsonl", [{"prompt": "1+1=", "completion": "2"}] * 2)
    path = write(SFT, evaluation=wanted, eval_datasets=["rows.jsonl"])
    message = fails("train", path)
    assert "'multiple_choice'" in message
    assert "the columns there are: prompt, completion" in message


def test_a_reward_that_cannot_be_imported_is_refused_before_the_model_loads(
    fails: Fails, write: Write, rewards: str
) -> None:
    message = fails("train", write(GRPO, rewards=custom("no_such_module:reward")))
    assert "'no_such_module:reward'" in message
    message = fails("train", write(GRPO, rewards=custom(f"{rewards}:nam")))
    assert f"'{rewards}:nam'" in message
    message = fails("train", write(GRPO, rewards=custom("reward")))
    assert "package.module:name" in message


WRONG_REWARDS = {
    "nan": ("returned nan", "finite number", "completion"),
    "infinite": ("returned inf", "finite number", "completion"),
    "too_few": ("returned 3 values for 4 completions",),
    "raises": ("raised ZeroDivisionError: division by zero", "completion"),
    "word": ("returned 'good'", "must return a number"),
}


@pytest.mark.parametrize("function", WRONG_REWARDS)
def test_a_wrong_reward_ends_the_run_which_says_so(
    function: str, runs_into: Callable[..., str], here: Path
) -> None:
    message = runs_into(function)
    assert f"reward {function!r}" in message
    assert [part for part in WRONG_REWARDS[function] if part not in message] == [], message
    run = here / "run"
    said = json.loads((run / "run.json").read_text())
    assert said["status"] == "failed"
    assert " ".join(said["error"].split()) == message
    assert f"reward &#39;{function}&#39;" in (run / "report.html").read_text()
    assert not (run / "model").exists()


def test_a_reward_that_goes_wrong_later_keeps_what_there_was(
    runs_into: Callable[..., str], here: Path, read_jsonl: Any
) -> None:
    assert "reward 'later' returned nan" in runs_into("later", max_steps=3)
    run = here / "run"
    assert [line["step"] for line in read_jsonl(run / "metrics.jsonl")] == [1]
    assert {line["rewards"]["later"] for line in read_jsonl(run / "samples.jsonl")} == {0, 1, 2, 3}
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert "returned nan" in (run / "report.html").read_text()
