"""Wrong settings are refused before the model loads: the one here has no weights to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aligntune import create_rl_trainer, create_sft_trainer
from aligntune.errors import AlignTuneError, ConfigError
from aligntune.testing import addition_rows, make_model, preference_rows, write_jsonl

FAMILY = ("grpo", "gspo", "dapo", "dr_grpo", "neural_mirror_grpo", "rloo")
REWARDS = ["length"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows of every kind, and a model whose weights are gone."""
    folder = tmp_path_factory.mktemp("place")
    make_model(folder / "model")
    (folder / "model" / "model.safetensors").unlink()
    sums, pairs = addition_rows(16), preference_rows(16)
    write_jsonl(folder / "prompts.jsonl", [{"prompt": row["prompt"]} for row in sums])
    write_jsonl(folder / "sums.jsonl", sums)
    write_jsonl(folder / "pairs.jsonl", pairs)
    for missing in ("chosen", "rejected"):
        rows = [{name: row[name] for name in row if name != missing} for row in pairs]
        write_jsonl(folder / f"no_{missing}.jsonl", rows)
    texts = [{"text": row["prompt"], "label": number % 3} for number, row in enumerate(sums)]
    write_jsonl(folder / "texts.jsonl", texts)
    tags = [{"tokens": ["1", "+", "2"], "ner_tags": [0, 1, 5]} for _ in sums]
    write_jsonl(folder / "tags.jsonl", tags)
    return folder


def refused(place: Path, tmp_path: Path, rows: str, **given: Any) -> str:
    """Why a run is refused."""
    create = create_rl_trainer if "algorithm" in given else create_sft_trainer
    common: dict[str, Any] = {
        "model_name": str(place / "model"),
        "dataset_name": str(place / rows),
        "output_dir": str(tmp_path / "run"),
        "backend": "trl",
        "loggers": "none",
        "max_steps": 1,
    }
    with pytest.raises(AlignTuneError) as caught:
        create(**{**common, **given}).train()
    return str(caught.value)


def test_the_model_of_these_tests_cannot_be_loaded(place: Path, tmp_path: Path) -> None:
    assert "cannot be loaded" in refused(place, tmp_path, "sums.jsonl")


@pytest.mark.parametrize("algorithm", FAMILY)
def test_a_group_that_does_not_divide_the_batch(
    place: Path, tmp_path: Path, algorithm: str
) -> None:
    given = {"algorithm": algorithm, "num_generations": 3, "rewards": REWARDS}
    given |= {"batch_size": 8, "rollout_batch_size": 8}
    said = refused(place, tmp_path, "sums.jsonl", **given)
    assert "train.num_generations: groups of 3 do not divide the 8 completions" in said
    assert "use one of 2, 4, 8" in said


@pytest.mark.parametrize("algorithm", [*FAMILY, "ppo", "online_dpo"])
def test_a_run_without_any_reward(place: Path, tmp_path: Path, algorithm: str) -> None:
    said = refused(place, tmp_path, "prompts.jsonl", algorithm=algorithm)
    assert "reward" in said
    assert "length" in said  # one that could be used on these rows
    assert "model.safetensors" not in said


def test_an_odd_population(place: Path, tmp_path: Path) -> None:
    given = {"algorithm": "meta_es", "N": 5, "rewards": REWARDS}
    said = refused(place, tmp_path, "sums.jsonl", **given)
    assert "N: " in said
    assert "even" in said or "multiple of 2" in said


@pytest.mark.parametrize("missing", ["chosen", "rejected"])
@pytest.mark.parametrize("algorithm", ["dpo", "orpo", "simpo", "reward_modeling"])
def test_pairs_without_one_of_the_two(
    place: Path, tmp_path: Path, algorithm: str, missing: str
) -> None:
    said = refused(place, tmp_path, f"no_{missing}.jsonl", algorithm=algorithm)
    assert f"`{missing}`" in said or f"'{missing}'" in said
    assert "no_" in said  # the file


def test_kto_as_a_loss_of_dpo(place: Path, tmp_path: Path) -> None:
    said = refused(place, tmp_path, "pairs.jsonl", algorithm="dpo", loss_type="kto")
    assert "train.loss_type" in said
    assert "algorithm" in said
    assert "kto" in said


@pytest.mark.parametrize(
    ("rows", "task"),
    [("texts.jsonl", "text_classification"), ("tags.jsonl", "token_classification")],
)
def test_classification_without_the_number_of_labels(
    place: Path, tmp_path: Path, rows: str, task: str
) -> None:
    said = refused(place, tmp_path, rows, task_type=task)
    assert "num_labels" in said
    assert {"texts.jsonl": "3", "tags.jsonl": "6"}[rows] in said


@pytest.mark.parametrize(
    ("rows", "task"),
    [("texts.jsonl", "text_classification"), ("tags.jsonl", "token_classification")],
)
def test_labels_outside_the_range(place: Path, tmp_path: Path, rows: str, task: str) -> None:
    said = refused(place, tmp_path, rows, task_type=task, num_labels=2)
    assert rows in said or "row" in said
    assert {"texts.jsonl": "2", "tags.jsonl": "5"}[rows] in said


@pytest.mark.parametrize("algorithm", ["dpo", *FAMILY, "ppo", "online_dpo"])
def test_a_longest_prompt_that_would_empty_the_data(
    place: Path, tmp_path: Path, algorithm: str
) -> None:
    rows = "pairs.jsonl" if algorithm == "dpo" else "sums.jsonl"
    rewards = {} if algorithm == "dpo" else {"rewards": REWARDS}
    given = {"algorithm": algorithm, "max_prompt_length": 2, **rewards}
    said = refused(place, tmp_path, rows, **given)
    assert "max_prompt_length" in said
    assert "16" in said  # how many rows there were


def test_the_mistakes_are_those_of_the_user(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        create_rl_trainer(
            model_name=str(place / "model"),
            dataset_name=str(place / "prompts.jsonl"),
            algorithm="ppo",
            backend="trl",
            output_dir=str(tmp_path / "run"),
        ).train()


def test_one_mistake_is_told_once(place: Path, tmp_path: Path) -> None:
    of_ppo = {"algorithm": "ppo", "rewards": REWARDS, "loss_type": "clip"}
    said = refused(place, tmp_path, "prompts.jsonl", **of_ppo)
    assert said.count("train.loss_type") == 1
    assert "clip would not be used: PPO has one loss" in said

    of_es = {"algorithm": "meta_es", "rewards": REWARDS}
    of_es["eval_dataset"] = str(place / "sums.jsonl")
    inner = {"meta_es": {"inner_algorithm": "gpro", "evolve": ["mirror_map"]}}
    said = refused(place, tmp_path, "sums.jsonl", **of_es, **inner)
    assert said.endswith("no run inside can be 'gpro'\n    did you mean 'gspo'?")
    assert "mirror map" not in said
