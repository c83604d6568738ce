"""A small plugin: two algorithms on three backends, with a parameter table of its own.

Its distribution is installed by the fixture `toy` of conftest.py, which copies this file.
"""

from __future__ import annotations

import os
from typing import Any

from aligntune.config import RunConfig
from aligntune.errors import Problem
from aligntune.hookspecs import hookimpl
from aligntune.plan.parameters import CORE_USES, Ours, ParameterTable, Refused, To, Use, When

_LORA = When("model.peft_enabled", (True,))


def unusable() -> str | None:
    """Why the fast backend cannot work here, or None."""
    return os.environ.get("TOY_UNUSABLE")


def _precision(config: RunConfig, hardware: Any) -> tuple[Any, str] | None:
    return None if hardware is None else ("fp32", f"{hardware} has no bf16")


def _even(config: RunConfig) -> list[Problem]:
    size = config.train.per_device_batch_size
    hint = f"use {size + 1}"
    return [Problem("train.per_device_batch_size", f"{size} is odd", hint=hint)] if size % 2 else []


def _known_loss(config: RunConfig) -> list[Problem]:
    loss = config.train.loss_type
    known = (None, "nll", "grpo", "toy")
    return [] if loss in known else [Problem("train.loss_type", f"{loss!r} is no loss of toys")]


_USES: dict[str, Use] = {
    **CORE_USES,
    "model.name_or_path": Ours("the model"),
    "model.precision": To("dtype", "ToyConfig"),
    "model.peft_enabled": Ours("whether an adapter is trained"),
    "model.lora_rank": To("r", "ToyLora", when=_LORA),
    "model.model_init_kwargs": Ours("further arguments of the loader"),
    "train.per_device_batch_size": To("batch", "ToyConfig"),
    "train.learning_rate": To("lr", "ToyConfig"),
    "train.seed": To("seed", "ToyConfig"),
    "train.loss_type": To("loss", "ToyConfig", drop_none=True),
    "train.packing": Refused("toys are not packed"),
    "rewards.*": Ours("the weighted sum"),
}
TABLE = ParameterTable(
    _USES,
    (("model.precision", _precision),),
    (_even, _known_loss),
    lambda config: [f"each step trains on {config.train.per_device_batch_size} rows"],
)


class Trainer:
    """Stands for a trainer: keeps what it is made from."""

    def __init__(self, plan: Any, backend: Any) -> None:
        self.plan = plan
        self.backend = backend


class Backend:
    """Stands for a backend: notes that it prepared the process."""

    prepared: Any = None

    def prepare(self, plan: Any) -> None:
        self.prepared = plan


@hookimpl
def aligntune_register_backends(register: Any) -> None:
    register("slow", "toy:Backend", summary="works everywhere", priority=1)
    register("fast", "toy:Backend", summary="is picky", priority=9, check="toy:unusable")
    register("absent", "toy:Backend", summary="lacks", priority=5, requires=("no-such-package>=2",))


@hookimpl
def aligntune_register_algorithms(register: Any) -> None:
    common = {"data": "language-modelling", "parameters": "toy:TABLE"}
    for backend in ("slow", "fast", "absent"):
        register(
            "toy-sft", "toy:Trainer", summary="imitation", backend=backend, kind="sft", **common
        )
    for name, reward in (("toy-praised", "praise"), ("toy-blamed", "blame")):
        register(
            name,
            "toy:Trainer",
            summary="play",
            backend="slow",
            kind="rl",
            rewards="required",
            default_reward=reward,
            **common,
        )
    register(
        "toy-rl",
        "toy:Trainer",
        summary="play",
        backend="slow",
        kind="rl",
        rewards="required",
        paper="Toy (2026)",
        defaults={"train.per_device_batch_size": 6, "train.loss_type": "toy"},
        **common,
    )


@hookimpl
def aligntune_register_rewards(register: Any) -> None:
    register("praise", "toy:praise", summary="a constant")


@hookimpl
def aligntune_register_evaluators(register: Any) -> None:
    register("mood", "toy:Mood", summary="a constant")


def praise(completions: list[Any], **columns: Any) -> list[float]:
    return [1.0] * len(completions)
