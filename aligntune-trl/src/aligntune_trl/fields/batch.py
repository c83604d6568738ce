"""Batch arithmetic: which numbers fit together, in checks and in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = [
    "check_checkpoints",
    "check_eval_groups",
    "check_groups",
    "check_lengths",
    "check_processes",
    "check_resumable",
    "check_rollout",
    "default_batch",
    "default_eval_batch",
    "default_group",
    "default_save_interval",
    "generation_cycle",
    "grpo_lines",
    "length_line",
    "prompt_limit",
    "prompts_per_generation",
    "sft_lines",
    "step_size",
    "updates_per_generation",
]

GROUP = 8  # completions per prompt when neither they nor the batch were set (TRL's default)


def step_size(config: RunConfig) -> int:
    """Rows, or completions, of an optimizer step over all devices."""
    train, processes = config.train, config.distributed.num_processes
    return train.per_device_batch_size * train.gradient_accumulation_steps * processes


def _rollout(config: RunConfig) -> int:
    """Completions generated at once over all devices."""
    return config.train.rollout_batch_size or step_size(config)


def updates_per_generation(config: RunConfig) -> float:
    """Optimizer steps that a generation of completions serves; up to 1, all are on-policy."""
    return _rollout(config) * (config.train.num_ppo_epochs or 1) / step_size(config)


def default_batch(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """With neither batch nor accumulation set, the batch holds one whole group."""
    train = config.train
    if {"gradient_accumulation_steps", "rollout_batch_size"} & train.model_fields_set:
        return None
    group = train.num_generations or GROUP
    return group, f"one group of {group} completions"


def default_group(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """The batch size, as documented, where it is a group; else the largest group that fits."""
    rollout, batch = _rollout(config), config.train.per_device_batch_size
    if batch >= 2 and rollout % batch == 0:
        return batch, "the batch size"
    fitting = [size for size in range(2, GROUP + 1) if rollout % size == 0]
    if fitting:
        return fitting[-1], f"the largest group up to {GROUP} that divides {rollout} completions"
    return (rollout, "all completions made at once") if rollout >= 2 else None


def default_eval_batch(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """Evaluation generates whole groups too."""
    group = config.train.num_generations
    return (group, "one group of completions") if group else None


def check_rollout(config: RunConfig) -> Iterable[Problem]:
    """What is generated at once is trained on in whole batches."""
    train = config.train
    step = train.per_device_batch_size * config.distributed.num_processes
    rollout = _rollout(config)
    if rollout % step:
        lower = max(step, rollout // step * step)
        yield Problem(
            "train.rollout_batch_size",
            f"{rollout} completions cannot be split into batches of {step}",
            hint=f"use a multiple of {step}, such as {lower} or {lower + step}",
        )


def check_groups(config: RunConfig) -> Iterable[Problem]:
    """A group must be whole: at least two completions, dividing what is generated at once."""
    problems = list(check_rollout(config))
    if problems:
        yield from problems
        return
    rollout, group = _rollout(config), config.train.num_generations
    if group is None:
        yield Problem(
            "train.num_generations",
            f"a group needs at least 2 completions, and only {rollout} is generated at once",
            hint="raise `train.per_device_batch_size` or `train.gradient_accumulation_steps`",
        )
    elif rollout % group:
        fits = [str(size) for size in range(2, rollout + 1) if rollout % size == 0]
        yield Problem(
            "train.num_generations",
            f"groups of {group} do not divide the {rollout} completions generated at once",
            hint=f"use one of {', '.join(fits)}; or make the batch a multiple of {group}",
        )


def check_eval_groups(config: RunConfig) -> Iterable[Problem]:
    """Evaluation generates whole groups too."""
    train = config.train
    group, batch = train.num_generations, train.per_device_eval_batch_size
    if group and batch % group:  # `evaluate` may be called where no schedule asks for it
        yield Problem(
            "train.per_device_eval_batch_size",
            f"groups of {group} do not divide an evaluation batch of {batch}",
            hint=f"use a multiple of {group}",
        )


def prompt_limit(config: RunConfig) -> int | None:
    """The longest prompt, in tokens, that leaves room for a completion; None for any length."""
    train, whole = config.train, config.model.max_seq_length
    room = None if whole is None else whole - train.max_completion_length
    limits = [limit for limit in (train.max_prompt_length, room) if limit is not None]
    return min(limits) if limits else None


def check_lengths(config: RunConfig) -> Iterable[Problem]:
    """Prompt and completion together must fit into the longest sequence."""
    limit = prompt_limit(config)
    if limit is not None and limit < 1:
        yield Problem(
            "model.max_seq_length",
            f"{config.model.max_seq_length} tokens leave no room for a prompt beside a completion "
            f"of {config.train.max_completion_length}",
            hint="raise it, or lower `train.max_completion_length`",
        )


def prompts_per_generation(config: RunConfig) -> int:
    """Different prompts that are completed at once."""
    return _rollout(config) // (config.train.num_generations or 1)


def generation_cycle(config: RunConfig) -> int:
    """Optimizer steps after which a generation of completions is used up as a step ends."""
    train = config.train
    batch = train.per_device_batch_size * config.distributed.num_processes
    passes = max(1, _rollout(config) // batch) * (train.num_ppo_epochs or 1)
    return passes // math.gcd(passes, train.gradient_accumulation_steps)


def default_save_interval(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """Checkpoints fall between two generations, where a run resumes exactly."""
    cycle, interval = generation_cycle(config), config.train.save_interval
    if interval % cycle == 0:
        return None
    return (interval // cycle + 1) * cycle, f"a multiple of the {cycle} steps per generation"


def check_resumable(config: RunConfig) -> Iterable[Problem]:
    """A checkpoint inside a generation cycle has lost the completions that are still to be used."""
    cycle, interval = generation_cycle(config), config.train.save_interval
    if config.train.save_strategy == "steps" and interval % cycle:
        near = interval // cycle * cycle or cycle
        yield Problem(
            "train.save_interval",
            f"completions serve {cycle} steps, and a run that resumes from step {interval}, amid "
            "them, would not go on exactly",
            hint=f"use a multiple of {cycle}, such as {near}",
        )


def check_checkpoints(config: RunConfig) -> Iterable[Problem]:
    """The best checkpoint can be chosen only where each was evaluated."""
    train = config.train
    if not train.load_best_model_at_end:
        return
    if not config.has_evaluation_data:
        message = "there is no evaluation data to choose the best checkpoint by"
        yield Problem("train.load_best_model_at_end", message, hint="set `eval_datasets`")
    elif train.eval_strategy != train.save_strategy:
        yield Problem(
            "train.load_best_model_at_end",
            f"it saves by {train.save_strategy!r} and evaluates by {train.eval_strategy!r}",
            hint="give `train.save_strategy` and `train.eval_strategy` one value",
        )
    elif train.eval_strategy == "steps" and train.save_interval % train.eval_interval:
        yield Problem(
            "train.save_interval",
            f"{train.save_interval} is no multiple of train.eval_interval ({train.eval_interval}), "
            "and the best checkpoint is to be loaded at the end",
            hint="make it a multiple, or set `train.load_best_model_at_end: false`",
        )


def check_processes(config: RunConfig) -> Iterable[Problem]:
    """This backend trains in one process."""
    distributed = config.distributed
    if distributed.backend != "single" or distributed.num_processes != 1:
        message = f"{distributed.backend.value} with {distributed.num_processes} processes"
        yield Problem(
            "distributed",
            f"{message}: this backend trains in one process",
            hint="use `single` and 1",
        )


def sft_lines(config: RunConfig) -> list[str]:
    """The batch arithmetic of an SFT run, in words."""
    train = config.train
    rows = train.per_device_batch_size * train.gradient_accumulation_steps
    return [
        (
            f"each step trains on {_count(rows, 'row')}: "
            f"{train.per_device_batch_size} per forward pass, "
            f"{_count(train.gradient_accumulation_steps, 'pass', 'passes')} accumulated"
        ),
        length_line(config),
    ]


def grpo_lines(config: RunConfig) -> list[str]:
    """The batch arithmetic of a GRPO run, in words."""
    train = config.train
    step = train.per_device_batch_size * train.gradient_accumulation_steps
    rollout, group = _rollout(config), train.num_generations or 1
    rounds, uses = step / rollout, train.num_ppo_epochs or 1
    if rounds > 1:
        trains = f"each step trains on {step} completions, of {rounds:g} generations"
    else:
        serves = _count(rollout // step * uses, "step")
        trains = f"each step trains on {step} of them; they serve {serves} before new ones are made"
    groups = f"{_count(rollout // group, 'prompt')}, {group} completions each"
    return [f"{rollout} completions are generated at once: {groups}", trains, length_line(config)]


def _count(number: float, one: str, many: str | None = None) -> str:
    return f"{number:g} {one if number == 1 else many or one + 's'}"


def length_line(config: RunConfig) -> str:
    """How long the run is, in words."""
    train = config.train
    end = f"training ends after {_count(train.epochs or 1, 'pass', 'passes')} over the data"
    if train.max_steps is not None:
        end = f"training ends after {_count(train.max_steps, 'step')}"
    if train.stop_after_steps is not None:
        end += f", and stops after {_count(train.stop_after_steps, 'step')}"
    return end
