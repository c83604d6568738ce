"""Batch arithmetic of GRPO and SFT: defaults that fit together, refused sizes, and the words."""

from __future__ import annotations

from typing import Any

import pytest

from aligntune.config import load_config
from aligntune.errors import ConfigError
from aligntune.plan import Plan, make_plan
from aligntune.plugins import Plugins, Switches
from aligntune_trl.fields.batch import prompt_limit

GRPO = {
    "algorithm": "grpo",
    "model": "m",
    "dataset": "d",
    "rewards": [{"type": "custom", "params": {"reward_function": "json:dumps"}}],
}
SFT = {"model": "m", "dataset": "d"}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins(Switches.make(only=["trl"]))


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def planned(plugins: Plugins, base: dict[str, Any], **given: Any) -> Plan:
    return make_plan(load_config({**base, **given}), plugins=plugins)


# What is set -> batch, group, completions made at once.
FITS: list[tuple[dict[str, int], tuple[int, int, int]]] = [
    ({}, (8, 8, 8)),
    ({"num_generations": 4}, (4, 4, 4)),
    ({"batch_size": 4}, (4, 4, 4)),
    ({"batch_size": 4, "gradient_accumulation_steps": 2}, (4, 4, 8)),
    ({"batch_size": 1, "gradient_accumulation_steps": 6}, (1, 6, 6)),
    ({"batch_size": 1, "gradient_accumulation_steps": 24}, (1, 8, 24)),
    ({"batch_size": 1, "gradient_accumulation_steps": 11}, (1, 11, 11)),
    ({"gradient_accumulation_steps": 4}, (1, 4, 4)),
    ({"batch_size": 4, "rollout_batch_size": 16}, (4, 4, 16)),
    ({"rollout_batch_size": 12}, (1, 6, 12)),
    ({"batch_size": 2, "num_generations": 6, "gradient_accumulation_steps": 3}, (2, 6, 6)),
    ({"batch_size": 16, "num_generations": 4}, (16, 4, 16)),
]


@pytest.mark.parametrize(("given", "expected"), FITS, ids=range(len(FITS)))
def test_defaults_make_whole_groups_and_leave_alone_what_was_set(
    plugins: Plugins, given: dict[str, int], expected: tuple[int, int, int]
) -> None:
    batch, group, at_once = expected
    plan = planned(plugins, GRPO, **given)
    train = plan.config.train
    assert (train.per_device_batch_size, train.num_generations) == (batch, group)
    assert plan.batch[0] == (
        f"{at_once} completions are generated at once: {count(at_once // group, 'prompt')}, "
        f"{group} completions each"
    )
    for name, value in given.items():
        assert getattr(train, name) == value


def test_a_default_that_was_raised_says_why(plugins: Plugins) -> None:
    origins = {v.path: v.origin for v in planned(plugins, GRPO, num_generations=4).values}
    assert origins["train.per_device_batch_size"] == "default, one group of 4 completions"
    assert origins["train.per_device_eval_batch_size"] == "default, one group of completions"
    assert origins["train.num_generations"] == "Python"
    origins = {v.path: v.origin for v in planned(plugins, GRPO, batch_size=4).values}
    assert origins["train.num_generations"] == "default, the batch size"


REFUSED: list[tuple[dict[str, int], str, str]] = [
    ({"batch_size": 4, "eval_batch_size": 6}, "evaluation batch of 6", "a multiple of 4"),
    ({"batch_size": 1, "gradient_accumulation_steps": 1}, "at least 2 completions", "raise"),
    ({"batch_size": 6, "num_generations": 4}, "groups of 4 do not divide the 6", "2, 3, 6;"),
    ({"batch_size": 4, "num_generations": 8}, "groups of 8 do not divide the 4", "2, 4;"),
    (
        {"batch_size": 4, "rollout_batch_size": 6},
        "6 completions cannot be split into batches of 4",
        "use a multiple of 4, such as 4 or 8",
    ),
    ({"max_seq_length": 100, "max_completion_length": 100}, "no room for a prompt", "raise it"),
    ({"load_best_model_at_end": 1}, "no evaluation data to choose", "set `eval_datasets`"),
]


@pytest.mark.parametrize(("given", "says", "mends"), REFUSED, ids=range(len(REFUSED)))
def test_sizes_that_do_not_fit_are_refused_with_what_would(
    plugins: Plugins, given: dict[str, Any], says: str, mends: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(plugins, GRPO, **given)
    (problem,) = caught.value.problems
    assert says in problem.message
    assert mends in problem.hint


def test_the_words_of_a_grpo_step(plugins: Plugins) -> None:
    given = {"batch_size": 4, "rollout_batch_size": 16, "num_ppo_epochs": 2, "max_steps": 9}
    assert planned(plugins, GRPO, **given).batch == [
        "16 completions are generated at once: 4 prompts, 4 completions each",
        "each step trains on 4 of them; they serve 8 steps before new ones are made",
        "training ends after 9 steps",
    ]
    assert planned(plugins, GRPO).batch[1:] == [
        "each step trains on 8 of them; they serve 1 step before new ones are made",
        "training ends after 1 pass over the data",
    ]


def test_the_words_of_a_step_that_uses_up_several_generations(plugins: Plugins) -> None:
    given = {"batch_size": 2, "rollout_batch_size": 4, "gradient_accumulation_steps": 4}
    words = planned(plugins, GRPO, **given).batch
    assert words[1] == "each step trains on 8 completions, of 2 generations"


# What is set -> the default save interval, and one that is refused.
CYCLES: list[tuple[dict[str, int], int, int]] = [
    ({"batch_size": 4, "num_ppo_epochs": 3}, 501, 500),
    ({"batch_size": 4, "rollout_batch_size": 12}, 501, 4),
    ({"batch_size": 4, "rollout_batch_size": 12, "gradient_accumulation_steps": 2}, 501, 2),
]


@pytest.mark.parametrize(("given", "default", "wrong"), CYCLES, ids=range(len(CYCLES)))
def test_checkpoints_fall_between_generations(
    plugins: Plugins, given: dict[str, int], default: int, wrong: int
) -> None:
    assert planned(plugins, GRPO, **given).config.train.save_interval == default
    with pytest.raises(ConfigError, match="would not go on exactly"):
        planned(plugins, GRPO, **given, save_interval=wrong)
    assert planned(plugins, GRPO, **given, save_interval=3).config.train.save_interval == 3


def test_the_words_of_an_sft_step(plugins: Plugins) -> None:
    plan = planned(plugins, SFT, batch_size=3, gradient_accumulation_steps=5, epochs=1.5)
    assert plan.batch == [
        "each step trains on 15 rows: 3 per forward pass, 5 passes accumulated",
        "training ends after 1.5 passes over the data",
    ]


@pytest.mark.parametrize(
    ("whole", "prompt", "completion", "limit"),
    [(None, None, 9, None), (None, 7, 9, 7), (20, None, 9, 11), (20, 7, 9, 7), (20, 15, 9, 11)],
)
def test_the_longest_prompt_leaves_room_for_a_completion(
    whole: int | None, prompt: int | None, completion: int, limit: int | None
) -> None:
    lengths = {
        "max_seq_length": whole,
        "max_prompt_length": prompt,
        "max_completion_length": completion,
    }
    assert prompt_limit(load_config({**GRPO, **lengths}, kind="rl")) == limit


BEST: list[tuple[dict[str, Any], bool | str]] = [
    ({}, False),
    ({"eval_dataset": "e"}, True),
    ({"eval_dataset": "e", "save_strategy": "epoch"}, False),
    ({"eval_dataset": "e", "save_interval": 150}, False),
    ({"load_best_model_at_end": True}, "there is no evaluation data"),
    (
        {"eval_dataset": "e", "load_best_model_at_end": True, "save_interval": 150},
        "150 is no multiple of train.eval_interval (100)",
    ),
    (
        {"eval_dataset": "e", "load_best_model_at_end": True, "eval_strategy": "epoch"},
        "it saves by 'steps' and evaluates by 'epoch'",
    ),
]


@pytest.mark.parametrize(("given", "expected"), BEST, ids=range(len(BEST)))
def test_the_best_checkpoint_is_a_default_where_it_can_be_and_an_error_where_it_was_asked_for(
    plugins: Plugins, given: dict[str, Any], expected: bool | str
) -> None:
    if isinstance(expected, bool):
        assert planned(plugins, SFT, **given).config.train.load_best_model_at_end is expected
        return
    with pytest.raises(ConfigError) as caught:
        planned(plugins, SFT, **given)
    assert expected in str(caught.value)


def test_one_process_is_all_this_backend_trains_in(plugins: Plugins) -> None:
    with pytest.raises(ConfigError, match="ddp with 2 processes: this backend trains in one"):
        planned(plugins, SFT, distributed={"backend": "ddp", "num_processes": 2})
