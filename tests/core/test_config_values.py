"""Defaults of SFT and RL runs, other names of fields, and values that were set."""

from __future__ import annotations

from typing import Any

import pytest

from aligntune.config import (
    ModelConfig,
    RewardConfig,
    SFTConfig,
    TrainingConfig,
    UnifiedConfig,
    load_config,
)
from aligntune.config.section import extra_of
from aligntune.config.sections import DatasetConfig, DistributedConfig
from aligntune.enums import BackendType, PrecisionType, RewardType, TaskType
from aligntune.errors import ConfigError

NEEDED: dict[str, Any] = {"model": {"name_or_path": "m"}, "datasets": [{"name": "d"}]}

# Field, default of SFT, default of RL.
DEFAULTS = [
    ("model.precision", PrecisionType.BF16, PrecisionType.AUTO),
    ("model.gradient_checkpointing", True, False),
    ("model.peft_enabled", False, True),
    ("model.lora_dropout", 0.1, 0.05),
    ("model.target_modules", None, ["q_proj", "k_proj", "v_proj", "o_proj"]),
    ("train.epochs", 3, None),
    ("train.warmup_ratio", 0.1, 0.0),
    ("train.eval_strategy", "steps", "no"),
    ("train.load_best_model_at_end", True, False),
    ("train.data_seed", None, 47),
    ("train.loss_type", "nll", None),
    ("train.learning_rate", 1e-5, 1e-5),
]


def value_at(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = config[int(part)] if part.isdigit() else getattr(config, part)
    return config


@pytest.mark.parametrize(("path", "sft", "rl"), DEFAULTS)
def test_defaults_of_each_kind(path: str, sft: Any, rl: Any) -> None:
    assert value_at(SFTConfig(**NEEDED), path) == sft
    assert value_at(UnifiedConfig(algo="grpo", **NEEDED), path) == rl


@pytest.mark.parametrize(("path", "sft", "rl"), DEFAULTS)
def test_a_value_that_was_set_stays_also_where_it_is_the_other_kinds_default(
    path: str, sft: Any, rl: Any
) -> None:
    section, _, name = path.partition(".")
    given = NEEDED | {section: {**NEEDED.get(section, {}), name: sft}}
    assert value_at(UnifiedConfig(algo="grpo", **given), path) == sft
    given[section][name] = rl
    assert value_at(SFTConfig(**given), path) == rl


def test_defaults_of_list_items_and_no_sharing_between_configurations() -> None:
    one, two = (UnifiedConfig(algo="grpo", eval_datasets=[{"name": "e"}], **NEEDED) for _ in "12")
    assert [one.datasets[0].task_type, one.eval_datasets[0].task_type] == [
        TaskType.CONVERSATION
    ] * 2
    one.model.target_modules.append("x")
    one.logging.loggers.append("x")
    assert two.model.target_modules == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert two.logging.loggers == ["tensorboard"]


@pytest.mark.parametrize("section", [ModelConfig, TrainingConfig, DatasetConfig, RewardConfig])
def test_every_other_name_sets_and_reads_its_field(section: type[Any]) -> None:
    required = {"name_or_path": "m"} if section is ModelConfig else {}
    required |= {"name": "d"} if section is DatasetConfig else {}
    required |= {"type": "r"} if section is RewardConfig else {}
    aliases = section.aliases()
    assert aliases
    for alias, field in aliases.items():
        default = getattr(section(**required), field)
        given = section(**({k: v for k, v in required.items() if k != field} | {alias: default}))
        assert field in given.model_fields_set
        assert getattr(given, alias) == getattr(given, field) == default


def test_other_names_are_no_fields_and_belong_to_one_field() -> None:
    for section in (ModelConfig, TrainingConfig, DatasetConfig, RewardConfig):
        listed = [a for f in section.model_fields.values() for a in extra_of(f).get("aliases", ())]
        assert len(listed) == len(set(listed))
        assert not set(listed) & set(section.model_fields)
    with pytest.raises(AttributeError):
        TrainingConfig().no_such_field  # noqa: B018


def test_a_number_as_text_is_a_number() -> None:
    # YAML 1.1 reads 2e-4, without a point, as text.
    assert TrainingConfig(learning_rate="2e-4", max_steps="7").learning_rate == 2e-4


@pytest.mark.parametrize("value", ["bf16", "BF16", " Bf16 "])
def test_an_enumeration_takes_its_values_in_any_case(value: str) -> None:
    assert ModelConfig(name_or_path="m", precision=value).precision is PrecisionType.BF16
    assert PrecisionType(value) is PrecisionType.BF16


def test_algorithm_backend_and_reward_take_their_enumerations() -> None:
    config = UnifiedConfig(
        algorithm="GRPO",
        backend=BackendType.TRL,
        rewards=[{"type": RewardType.LENGTH}, {"type": "their:own"}],
        **NEEDED,
    )
    assert (config.algo, config.algorithm, config.backend) == ("grpo", "grpo", "trl")
    assert [r.type for r in config.rewards] == ["length", "their:own"]
    assert UnifiedConfig(algo="grpo", backend="TRL", **NEEDED).backend == "trl"
    assert UnifiedConfig(algo="Their:Own", **NEEDED).algo == "Their:Own"


def test_the_two_meanings_of_a_backend_are_kept_apart() -> None:
    assert DistributedConfig(backend="ddp").backend is BackendType.DDP
    with pytest.raises(ConfigError, match="is a training backend; set `backend: trl`"):
        DistributedConfig(backend="trl")
    with pytest.raises(
        ConfigError, match=r"distributed strategy; set `distributed\.backend: fsdp`"
    ):
        SFTConfig(backend="fsdp", **NEEDED)


def test_names_that_belong_to_another_section_move_there() -> None:
    given = NEEDED | {
        "train": {"max_length": 99},
        "logging": {"save_steps": 7},
        "distributed": {"seed": 3},
    }
    config = SFTConfig(**given)
    assert config.model.max_seq_length == 99
    assert config.train.save_interval == 7
    assert config.train.seed == 3
    sections = {
        "model": ModelConfig(name_or_path="m"),
        "datasets": [DatasetConfig(name="d")],
        "train": TrainingConfig(max_length=99),
    }
    assert SFTConfig(**sections).model.max_seq_length == 99


def test_a_field_can_be_set_afterwards_by_any_of_its_names() -> None:
    config = load_config({"model": "m", "dataset": "d", "algorithm": "sft"})
    config.train.batch_size = 5
    config.train.learning_rate = "2e-4"
    config.train.max_length = 64
    config.datasets[0].subset = "main"
    config.logging.sample_logging.enabled = True
    config.eval_datasets.append(DatasetConfig(name="e"))
    again = load_config(config)
    assert again.train.per_device_batch_size == 5
    assert again.train.learning_rate == 2e-4
    assert again.model.max_seq_length == 64
    assert again.datasets[0].subset == "main"
    assert again.logging.sample_logging.enabled is True
    assert [data.name for data in again.eval_datasets] == ["e"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("learning_rate", "abc", "valid number"),
        ("batch_size", 0, "greater than or equal to 1"),
        ("learnin_rate", 1, "did you mean 'learning_rate'"),
    ],
)
def test_a_field_that_is_set_afterwards_is_checked(name: str, value: Any, says: str) -> None:
    train = TrainingConfig(learning_rate=1e-3)
    with pytest.raises(ConfigError, match=says):
        setattr(train, name, value)
    assert train.explicit() == {"learning_rate": 1e-3}
