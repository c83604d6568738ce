"""The plan: names resolved, defaults bent, and no parameter that the run would not use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aligntune.config import SFTConfig, UnifiedConfig, load_config
from aligntune.config.assemble import Setting
from aligntune.core.backend_factory import (
    BackendConfig,
    BackendFactory,
    create_rl_trainer,
    create_sft_trainer,
)
from aligntune.errors import (
    AlignTuneError,
    ConfigError,
    NotRegisteredError,
    UnavailableError,
)
from aligntune.hardware import Hardware
from aligntune.plan import Plan, Value, load_plan, make_plan, resolved_values
from aligntune.plugins import Plugins

SFT: dict[str, Any] = {"algorithm": "toy-sft", "model": "m", "dataset": "d", "batch_size": 2}
RL: dict[str, Any] = {
    "algorithm": "toy-rl",
    "model": "m",
    "dataset": "d",
    "rewards": ["praise"],
    "peft_enabled": False,
}
pytestmark = pytest.mark.usefixtures("toy")


def planned(base: dict[str, Any], **more: Any) -> Plan:
    return make_plan(load_config({**base, **more}), hardware=None)


def at(plan: Plan, path: str) -> Value:
    (found,) = [value for value in plan.values if value.path == path]
    return found


def test_auto_takes_the_best_backend_that_works_and_says_so() -> None:
    plan = planned(SFT)
    assert (plan.algorithm.name, plan.backend.name) == ("toy-sft", "fast")
    assert plan.algorithm.facts.backend == "fast"
    assert plan.why == "fast is the best that works here"
    assert plan.batch == ["each step trains on 2 rows"]


def test_auto_falls_back_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_UNUSABLE", "the moon is full")
    plan = planned(SFT)
    assert plan.backend.name == "slow"
    assert plan.why == (
        "slow is the best that works here; fast was passed over: the moon is full; "
        "absent was passed over: no-such-package is not installed"
    )


def test_auto_passes_over_a_backend_that_does_not_run_the_algorithm() -> None:
    plan = planned(RL)
    assert plan.backend.name == "slow"
    assert "fast does not run toy-rl" in plan.why


def test_a_backend_that_was_asked_for_is_taken_or_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert planned(SFT, backend="slow").why == "it was asked for"
    with pytest.raises(UnavailableError, match="'absent' cannot work here: no-such-package is not"):
        planned(SFT, backend="absent")
    monkeypatch.setenv("TOY_UNUSABLE", "the moon is full")
    with pytest.raises(UnavailableError, match="'fast' cannot work here: the moon is full"):
        planned(SFT, backend="fast")
    with pytest.raises(NotRegisteredError, match=r"does not run 'toy-rl'; it runs on: slow"):
        planned(RL, backend="fast")
    with pytest.raises(NotRegisteredError, match="unknown backend 'slwo'; did you mean 'slow'"):
        planned(SFT, backend="slwo")
    with pytest.raises(NotRegisteredError, match="pip install aligntune-unsloth"):
        planned(SFT, backend="unsloth")


def test_use_unsloth_asks_for_it_and_contradicts_another_backend() -> None:
    with pytest.raises(NotRegisteredError, match="pip install aligntune-unsloth"):
        planned(SFT, use_unsloth=True)
    with pytest.raises(ConfigError, match=r"says 'slow' and .model\.use_unsloth. says 'unsloth'"):
        planned(SFT, use_unsloth=True, backend="slow")


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"algorithm": "toy-slt"}, NotRegisteredError, "did you mean 'toy-sft'"),
        ({"algorithm": "grpo"}, NotRegisteredError, "aligntune-trl"),
        ({"algorithm": "toy-rl", "rewards": ["prais"]}, NotRegisteredError, "mean 'praise'"),
        ({"rewards": ["praise"]}, ConfigError, "toy-sft does not learn from rewards"),
        ({"algorithm": "toy-rl"}, ConfigError, "none is set"),
        ({"evaluation": {"evaluators": ["moood"]}}, NotRegisteredError, "did you mean 'mood'"),
    ],
    ids=range(6),
)
def test_names_that_do_not_resolve(
    more: dict[str, Any], error: type[AlignTuneError], says: str
) -> None:
    with pytest.raises(error, match=says):
        planned(SFT, **more)


def test_a_value_that_would_not_be_used_is_refused_with_place_and_reason() -> None:
    settings = [Setting("train.packing", True, "flag --packing")]
    with pytest.raises(ConfigError) as caught:
        make_plan(load_config({**SFT, "num_generations": 4, "lora_rank": 8}, overrides=settings))
    said = {problem.path: str(problem) for problem in caught.value.problems}
    assert said == {
        "train.packing": "flag --packing: train.packing: True would not be used: "
        "toys are not packed",
        "train.num_generations": "train.num_generations: 4 would not be used: "
        "this algorithm does not use it on this backend",
        "model.lora_rank": "model.lora_rank: 8 would not be used: "
        "it is used only when `model.peft_enabled` is true",
    }


def test_a_condition_that_holds_lets_the_value_through() -> None:
    value = at(planned(SFT, lora_rank=8, peft_enabled=True), "model.lora_rank")
    assert (value.value, value.destination, value.used) == (8, "ToyLora.r", True)
    assert not at(planned(SFT), "model.lora_rank").used


def test_an_unused_value_that_is_the_default_is_no_mistake() -> None:
    assert not at(planned(SFT, packing=False), "train.packing").used
    # The default is that of the kind of run: keep_start in SFT, keep_end in RL.
    planned(RL, truncation_mode="keep_end")
    with pytest.raises(ConfigError, match=r"train\.truncation_mode: keep_start would not be used"):
        planned(RL, truncation_mode="keep_start")


def test_checks_between_fields_report_beside_everything_else() -> None:
    with pytest.raises(ConfigError) as caught:
        planned(SFT, batch_size=3, packing=True)
    assert [problem.path for problem in caught.value.problems] == [
        "train.packing",
        "train.per_device_batch_size",
    ]
    assert caught.value.problems[1].hint == "use 4"


def test_defaults_bend_to_the_hardware_and_to_the_paper_and_say_so() -> None:
    hardware = Hardware(name="abacus")
    bent = make_plan(load_config(RL), hardware=hardware)
    precision = at(bent, "model.precision")
    assert (precision.value, precision.origin) == ("fp32", "default, abacus has no bf16")
    batch = at(bent, "train.per_device_batch_size")
    assert (batch.value, batch.origin) == (6, "default of Toy (2026)")
    assert bent.flat()["train.loss_type"] == "toy"
    assert at(planned(RL), "model.precision").origin == "default"


def test_the_default_reward_is_used_where_none_is_set_and_the_plan_says_so() -> None:
    given = {**RL, "algorithm": "toy-praised", "batch_size": 2}
    del given["rewards"]
    config = load_config(given)
    plan = make_plan(config)
    said = at(plan, "rewards.0.type")
    assert (said.value, said.origin) == ("praise", "default, no reward is set")
    assert config.rewards == []
    resolved, _ = resolved_values(plan)
    assert resolved["rewards"][0]["type"] == "praise"
    assert resolved_values(make_plan(load_config(resolved)))[0] == resolved
    assert plan.scorer(["prompt"])(["p"], ["c"]) == [1.0]
    own = planned(given, rewards=[{"type": "praise", "weight": 2.0}])
    assert at(own, "rewards.0.type").origin != "default, no reward is set"
    with pytest.raises(ConfigError, match="toy-blamed learns from rewards, and none is set") as e:
        planned(given, algorithm="toy-blamed")
    assert "available: praise, custom" in str(e.value)


def test_a_custom_reward_that_names_no_function_is_told_by_the_plan() -> None:
    with pytest.raises(ConfigError) as caught:
        planned(RL, rewards=[{"type": "praise"}, {"type": "custom"}])
    (problem,) = caught.value.problems
    assert problem.path == "rewards.1.params.reward_function"
    assert "none is named" in problem.message


def test_values_that_were_set_never_bend_and_the_given_configuration_stays() -> None:
    config = load_config({**RL, "precision": "bf16", "batch_size": 2})
    before = config.model_dump()
    plan = make_plan(config, hardware=Hardware(name="abacus"))
    assert at(plan, "model.precision").value == "bf16"
    assert at(plan, "train.per_device_batch_size").value == 2
    make_plan(load_config(RL), hardware=Hardware())
    assert config.model_dump() == before


def test_a_configuration_of_the_other_kind_is_refused() -> None:
    sections = {"model": {"name_or_path": "m"}, "datasets": [{"name": "d"}]}
    with pytest.raises(ConfigError, match="'toy-sft' reads an SFTConfig, not a UnifiedConfig"):
        make_plan(UnifiedConfig(algo="toy-sft", **sections))
    with pytest.raises(ConfigError, match="'toy-rl' reads a UnifiedConfig, not an SFTConfig"):
        make_plan(SFTConfig(algo="toy-rl", **sections))


def test_a_configuration_can_switch_plugins_off() -> None:
    with pytest.raises(NotRegisteredError, match=r"'toy' of toy 1.0 is disabled"):
        make_plan(load_config({**SFT, "plugins": {"without": ["toy"]}}))


def test_a_plugin_sees_the_plan_and_may_stop_the_run(
    make_dist: Any, discover: Any, toy: Plugins
) -> None:
    make_dist(
        "guard",
        """
        from aligntune.errors import AlignTuneError
        @hookimpl
        def aligntune_config_resolved(plan):
            raise AlignTuneError(f"not on {plan.backend.name}")
        """,
    )
    plugins = discover("toy", "guard")
    with pytest.raises(AlignTuneError, match="not on fast"):
        make_plan(load_config(SFT), plugins=plugins)


def test_the_factory_loads_backend_and_trainer_of_the_plan() -> None:
    trainer = create_sft_trainer(SFT, learning_rate=0.5)
    assert type(trainer).__name__ == "Trainer"
    assert trainer.backend.prepared is trainer.plan
    value = at(trainer.plan, "train.learning_rate")
    assert (value.value, value.origin) == (0.5, "keyword argument learning_rate")
    assert create_rl_trainer(**RL).plan.algorithm.name == "toy-rl"
    with pytest.raises(ConfigError, match="is for create_rl_trainer"):
        create_sft_trainer(load_config(RL))
    wanted = BackendConfig(training_type="sft", backend="slow", algorithm="toy-sft")
    made = BackendFactory.create_trainer({**SFT, "backend": "fast"}, wanted)
    assert made.plan.backend.name == "slow"


def test_each_kind_of_source_may_be_planned(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("algorithm: toy-sft\nmodel: m\ndataset: d\nbatch_size: 2\n")
    wanted = BackendConfig("sft")
    from_file = BackendFactory.plan(path, wanted)
    assert at(from_file, "model.name_or_path").origin == f"{path}:2:1"
    assert from_file.flat() == BackendFactory.plan(SFT, wanted).flat()


def test_what_is_wrong_with_values_names_and_uses_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "algorithm: toy-rl\nmodel: m\ndataset: d\nepochs: -1\nlearnin_rate: 1\n"
        "packing: true\nrewards: [prais]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    said = str(caught.value)
    assert len(caught.value.problems) == 4
    for place, words in (
        ("4:1", "train.epochs"),
        ("5:1", "did you mean 'learning_rate'"),
        ("6:1", "train.packing: True would not be used"),
        ("7:11", "did you mean 'praise'"),
    ):
        assert f"{path}:{place}: " in said
        assert words in said


def test_what_is_missing_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("algorithm: toy-rl\nrewards: [prais]\npacking: true\n")
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    said = str(caught.value)
    assert len(caught.value.problems) == 4
    for words in ("model: it is required", "datasets: ", "did you mean 'praise'", "train.packing"):
        assert words in said


def test_what_may_follow_from_a_mistake_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("algorithm: toy-rl\nmodel: m\ndataset: d\nrewards: 7\n")
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    assert [problem.path for problem in caught.value.problems] == ["rewards"]
