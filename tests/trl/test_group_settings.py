"""GSPO, Dr. GRPO and RLOO: their papers' settings, the words of a plan, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from aligntune.config import load_config
from aligntune.errors import ConfigError
from aligntune.plan import Plan, make_plan
from aligntune.plugins import Plugins, Switches

REWARDS = [{"type": "custom", "params": {"reward_function": "json:dumps"}}]
FAMILY = ("grpo", "gspo", "dr_grpo", "rloo")


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins(Switches.make(only=["trl", "rewards"]))


def planned(plugins: Plugins, algorithm: str, **given: Any) -> Plan:
    given = {"model": "m", "dataset": "d", "rewards": REWARDS, **given}
    return make_plan(load_config({"algorithm": algorithm, **given}), plugins=plugins)


SETTINGS: dict[str, dict[str, Any]] = {
    "grpo": {
        "loss_type": "grpo",
        "kl_coef": 0.1,
        "scale_rewards": "group",
        "cliprange": 0.2,
        "cliprange_high": 0.2,
    },
    "gspo": {
        "loss_type": "grpo",
        "kl_coef": 0.0,
        "scale_rewards": "group",
        "cliprange": 3e-4,
        "cliprange_high": 4e-4,
    },
    "dr_grpo": {
        "loss_type": "dr_grpo",
        "kl_coef": 0.0,
        "scale_rewards": "none",
        "cliprange": 0.2,
        "cliprange_high": 0.2,
    },
    "rloo": {"kl_coef": 0.1, "scale_rewards": "none", "cliprange": 0.2, "cliprange_high": None},
}


@pytest.mark.parametrize("algorithm", FAMILY)
def test_an_algorithm_has_its_papers_settings(plugins: Plugins, algorithm: str) -> None:
    train = planned(plugins, algorithm).config.train
    assert {name: getattr(train, name) for name in SETTINGS[algorithm]} == SETTINGS[algorithm]


@pytest.mark.parametrize(
    ("algorithm", "given"),
    [
        ("gspo", {"cliprange": 0.1, "cliprange_high": 0.2, "kl_coef": 0.05}),
        ("gspo", {"scale_rewards": "none", "rollout_batch_size": 16}),
        ("dr_grpo", {"kl_coef": 0.05, "cliprange_high": 0.28}),
        ("rloo", {"scale_rewards": "batch", "cliprange_high": 0.3}),
    ],
    ids=range(4),
)
def test_what_somebody_sets_stays(plugins: Plugins, algorithm: str, given: dict[str, Any]) -> None:
    train = planned(plugins, algorithm, **given).config.train
    assert {name: getattr(train, name) for name in given} == given


def test_an_algorithm_goes_by_its_names(plugins: Plugins) -> None:
    for name in ("dr_grpo", "drgrpo", "DRGRPO", "dr-grpo"):
        assert planned(plugins, name).algorithm.name == "dr_grpo"


# What is set for GSPO -> batch, group, completions made at once, updates that they serve.
ROLLOUTS: list[tuple[dict[str, int], tuple[int, int, int, float]]] = [
    ({}, (8, 8, 32, 4)),
    ({"batch_size": 4}, (4, 4, 16, 4)),
    ({"batch_size": 1}, (1, 4, 4, 4)),
    ({"batch_size": 2, "num_generations": 5}, (2, 5, 10, 5)),
    ({"batch_size": 4, "gradient_accumulation_steps": 2}, (4, 4, 32, 4)),
    ({"batch_size": 8, "rollout_batch_size": 16}, (8, 8, 16, 2)),
    ({"batch_size": 8, "num_ppo_epochs": 3}, (8, 8, 8, 3)),
    ({"batch_size": 8, "rollout_batch_size": 8}, (8, 8, 8, 1)),
]


@pytest.mark.parametrize(("given", "expected"), ROLLOUTS, ids=range(len(ROLLOUTS)))
def test_completions_of_gspo_serve_several_updates(
    plugins: Plugins, given: dict[str, int], expected: tuple[int, int, int, float]
) -> None:
    batch, group, rollout, updates = expected
    plan = planned(plugins, "gspo", **given)
    train = plan.config.train
    assert (train.per_device_batch_size, train.num_generations) == (batch, group)
    assert plan.batch[0].startswith(f"{rollout} completions are generated at once")
    assert f"they serve {updates} step" in plan.batch[1]
    on_policy = "they serve one update, in which GSPO is GRPO: nothing is clipped"
    assert (on_policy in plan.batch) is (updates == 1)
    assert train.save_interval % updates == 0


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("gspo", {"loss_type": "dapo"}, "dapo would not be used", "algorithm: grpo"),
    ("dr_grpo", {"loss_type": "grpo"}, "grpo would not be used", "algorithm: grpo"),
    ("dr_grpo", {"scale_rewards": "group"}, "group would not be used", "algorithm: grpo"),
    ("dr_grpo", {"scale_rewards": "batch"}, "batch would not be used", "algorithm: grpo"),
    ("rloo", {"scale_rewards": "group"}, "at the scale that it has", "algorithm: grpo"),
    ("rloo", {"loss_type": "grpo"}, "RLOO has one loss", ""),
    ("rloo", {"ent_coef": 0.1}, "no entropy bonus", ""),
    ("gspo", {"batch_size": 4, "save_interval": 6}, "completions serve 4 steps", "multiple of 4"),
    *(
        (
            name,
            {"batch_size": 6, "rollout_batch_size": 6, "num_generations": 4},
            "do not divide",
            "",
        )
        for name in FAMILY
    ),
    *(
        (name, {"kl_coef": 0.0, "sync_ref_model": True, "peft_enabled": False}, "is 0, so", "")
        for name in FAMILY
    ),
]


@pytest.mark.parametrize(("algorithm", "given", "says", "mends"), REFUSED, ids=range(len(REFUSED)))
def test_what_contradicts_an_algorithm_is_refused(
    plugins: Plugins, algorithm: str, given: dict[str, Any], says: str, mends: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(plugins, algorithm, **given)
    assert says in str(caught.value)
    assert mends in str(caught.value)


@pytest.mark.parametrize("algorithm", FAMILY[1:])
def test_without_a_reward_an_algorithm_is_refused_with_those_there_are(
    plugins: Plugins, algorithm: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(plugins, algorithm, rewards=[])
    (problem,) = caught.value.problems
    assert problem.message == f"{algorithm} learns from rewards, and none is set"
    assert "available: " in problem.hint
    assert "length, " in problem.hint
    with_reference = problem.hint.partition("where rows have a reference: ")[2].split(", ")
    assert {"accuracy", "exact_match", "math_accuracy"} < {*with_reference}
    assert "`custom` is a function of yours" in problem.hint
    assert "`model.reward_model_name` names a reward model" in problem.hint
