"""What a manifest says about the things it registers: facts that need no heavy import.

The algorithm x backend matrix, the choice of `backend="auto"` and its fallback, `aligntune plugins`
and `aligntune plan` are computed from these facts alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

__all__ = [
    "AlgorithmFacts",
    "BackendFacts",
    "EvaluatorFacts",
    "Facts",
    "RewardFacts",
    "TaskFacts",
]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class BackendFacts:
    """A backend prepares the process and loads models.

    `priority`: `backend="auto"` tries backends from the highest to the lowest.
    `requires`: requirement strings (PEP 508) that must be installed, checked from metadata.
    `check`: `"module:function"`, a light function that returns why the backend cannot work in this
    process, or None.
    """

    summary: str
    priority: int = 0
    requires: tuple[str, ...] = ()
    check: str | None = None


@dataclass(frozen=True)
class AlgorithmFacts:
    """An algorithm on one backend.

    `kind`: `"sft"` algorithms read an `SFTConfig`, `"rl"` algorithms a `UnifiedConfig`.
    `data`: the name of the column contract (see `aligntune.data.contract`).
    `rewards`: whether reward functions are needed, allowed or refused. `default_reward`: the one
    that is used where none is set and it is registered.
    `parameters`: `"module:NAME"` of the parameter table (see `aligntune.plan.parameters`).
    `defaults`: field path -> value, where the algorithm's paper differs from the schema's default.
    `from_scores`: `"module:function"` that trains a reward model on texts with scores.
    `tasks`: `task_type` of the data -> the algorithm that trains on it in the place of this one.
    """

    summary: str
    backend: str
    kind: Literal["sft", "rl"]
    data: str
    parameters: str
    rewards: Literal["required", "optional", "none"] = "none"
    default_reward: str = ""
    defaults: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    paper: str = ""
    aliases: tuple[str, ...] = ()
    from_scores: str = ""
    tasks: Mapping[str, str] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True)
class RewardFacts:
    """A reward function.

    `range`: lowest and highest value. `requires`: what the data must bring, such as `"reference"`.
    `cost`: `"inline"` (microseconds), `"process"` (runs in worker processes) or `"model"`.
    `packages`: requirement strings that must be installed, with the extra that brings them in
    `install`. `group`: what it is listed with. `docs`: the page, or the address, that explains it.
    """

    summary: str
    range: tuple[float, float] = (0.0, 1.0)
    requires: tuple[str, ...] = ()
    cost: Literal["inline", "process", "model"] = "inline"
    packages: tuple[str, ...] = ()
    install: str = ""
    aliases: tuple[str, ...] = ()
    group: str = ""
    docs: str = ""


@dataclass(frozen=True)
class EvaluatorFacts:
    """An evaluator.

    `needs`: what rows must bring: `"text"` (running text), `"prompt"`, `"reference"`,
    `"reference or completion"`, or names of columns.
    `generates`: whether it lets the model generate completions. `packages`: requirement strings
    that must be installed, with the extra that brings them in `install`.
    """

    summary: str
    needs: tuple[str, ...] = ()
    generates: bool = False
    packages: tuple[str, ...] = ()
    install: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskFacts:
    """An evaluation task.

    `category`: a member of `aligntune.evaluation.TaskCategory`, by its value. `packages`:
    requirement strings that must be installed, with the extra that brings them in `install`.
    """

    summary: str
    category: str = "custom"
    packages: tuple[str, ...] = ()
    install: str = ""
    aliases: tuple[str, ...] = ()


Facts = BackendFacts | AlgorithmFacts | RewardFacts | EvaluatorFacts | TaskFacts
