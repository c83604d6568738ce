"""From the reward model that the model section names to an entry of `rewards`.

`model.reward_model_name`, or `model.reward_model_source` in full, with `model.reward_device` and
`model.reward_model_quantization`, is another way to write
`rewards: [{type: reward_model, params: {model: ..., device: ..., quantization: ...}}]`. One that
the run trains itself (`trained_within`) is the folder `training_config.output_dir`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.config import RewardConfig
from aligntune.errors import Problem
from aligntune.run.paths import FILES, FOLDERS

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.config.sections import RewardModelSourceConfig

__all__ = ["REWARD_MODEL", "reward_model_entry", "reward_model_problems", "trained_within"]

REWARD_MODEL = "reward_model"


def reward_model_problems(config: RunConfig) -> list[Problem]:
    """What is wrong with the reward model that the model section of a run names."""
    model = config.model
    source, path = model.reward_model_source, "model.reward_model_source"
    if source is None:
        if model.reward_model_name is not None:
            return []
        return [
            Problem(f"model.{name}", "no reward model is set", hint="set `model.reward_model_name`")
            for name in ("reward_device", "reward_model_quantization")
            if name in model.model_fields_set and getattr(model, name) not in ("auto", {})
        ]
    if trained_within(source):
        problems = list(_training_problems(source, config))
        if model.reward_model_name is not None:
            message = "`model.reward_model_source` trains another one"
            problems.append(Problem("model.reward_model_name", message, hint="keep one of them"))
        return problems
    if source.training_config is not None:
        message = f"{source.source_type!r} is trained already, and would not use it"
        hint = "leave it out, or set `fine_tune_with_rewards: true`"
        return [Problem(f"{path}.training_config", message, hint=hint)]
    named = _named(source)
    if model.reward_model_name not in (None, named):
        message = f"it names {named!r}, and `model.reward_model_name` {model.reward_model_name!r}"
        return [Problem(path, message, hint="keep one of them")]
    return []


def trained_within(source: RewardModelSourceConfig) -> bool:
    """Whether the run itself trains the reward model, before the policy loads."""
    return source.source_type == "custom_trained" or source.fine_tune_with_rewards


def _training_problems(source: RewardModelSourceConfig, config: RunConfig) -> Iterator[Problem]:
    path = "model.reward_model_source"
    assert source.training_config is not None  # the section sees to it
    training = source.training_config
    if source.source_type == "custom_trained" and source.fine_tune_with_rewards:
        message = "'custom_trained' is trained on what reward functions score anyway"
        hint = "leave it out, or name the reward model to train further as pretrained_hf or _local"
        yield Problem(f"{path}.fine_tune_with_rewards", message, hint=hint)
    pretrained = source.model_name or source.model_path
    if pretrained not in (None, training.base_model_name):
        message = f"{training.base_model_name!r}, and the model to train further is {pretrained!r}"
        yield Problem(f"{path}.training_config.base_model_name", message, hint="name it twice")
    run, folder = (
        Path(name).resolve() for name in (config.logging.output_dir, training.output_dir)
    )
    taken = run in folder.parents and folder.relative_to(run).parts[0] in (*FILES, *FOLDERS)
    if taken or folder == run or folder in run.parents:
        message = f"{training.output_dir!r} is where the run itself writes"
        hint = "name another folder, such as `reward_model` in the run directory"
        yield Problem(f"{path}.training_config.output_dir", message, hint=hint)
    if config.distributed.num_processes > 1:
        message = f"{config.distributed.num_processes} processes would each train it"
        hint = "train it before, with `aligntune reward-model`, and name it as pretrained_local"
        yield Problem(path, message, hint=hint)


def _named(source: RewardModelSourceConfig) -> str | None:
    """The name or folder of the reward model, once it is trained."""
    if trained_within(source):
        assert source.training_config is not None
        return source.training_config.output_dir
    return source.model_name or source.model_path


def reward_model_entry(config: RunConfig) -> RewardConfig | None:
    """The entry that the model section adds to `rewards`; None if it asks for none, or it is there.

    A resolved configuration holds both, so an entry of the same parameters is not added again.
    """
    model, source = config.model, config.model.reward_model_source
    named = model.reward_model_name
    if source is not None:
        named = _named(source)
    if named is None:
        return None
    params: dict[str, Any] = {"model": named}
    if model.reward_device != "auto":
        params["device"] = model.reward_device
    if model.reward_model_quantization:
        params["quantization"] = dict(model.reward_model_quantization)
    if any(entry.type == REWARD_MODEL and entry.params == params for entry in config.rewards):
        return None
    return RewardConfig(type=REWARD_MODEL, params=params)
