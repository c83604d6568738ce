"""What Meta-ES changes in the runs inside: a vector of parameters, and the settings it stands for.

The vector holds the raw weight of each reward that has one, then the 380 raw numbers of a mirror
map; which of them, `meta_es.evolve` says. Raw numbers are before softplus, so that a weight keeps
its sign however far it moves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aligntune.config.assemble import Setting
from aligntune.scoring.signature import name_of
from aligntune_trl.meta_es.evolution import Strategy, Vector

if TYPE_CHECKING:
    from aligntune.config import RewardConfig, RunConfig

__all__ = ["MAP", "Evolved", "strategy_of"]

MAP = "mirror_map.safetensors"
ORIGIN = "Meta-ES"


def strategy_of(config: RunConfig) -> Strategy:
    """The strategy that a configuration asks for."""
    es = config.meta_es
    return Strategy(
        config.train.seed,
        es.N,
        es.sigma,
        es.sigma_decay,
        es.alpha,
        es.mirror_coefficient,
        es.fitness_shaping,
    )


def softplus(raw: Vector) -> Vector:
    """log(1 + e^raw)."""
    return np.logaddexp(0.0, raw)


def inverse_softplus(value: float) -> float:
    """The raw number of a value above 0."""
    return value + math.log(-math.expm1(-value))


@dataclass(frozen=True)
class Evolved:
    """What the vector is made of.

    Attributes:
        rewards: the configured weights, by the place of the reward in `rewards`. Those that are 0
            stay 0 and are no part of the vector.
        names: what these rewards are called, in the same order.
        mirror: whether the numbers of a mirror map follow.
    """

    rewards: Mapping[int, float]
    names: tuple[str, ...]
    mirror: bool

    @classmethod
    def of(cls, config: RunConfig) -> Evolved:
        """What evolves in a run."""
        what = config.meta_es.evolve or []
        weights: dict[int, float] = {}
        if "reward_weights" in what:
            weights = {i: r.weight for i, r in enumerate(config.rewards) if r.weight}
        named = [_called(config.rewards[index]) for index in weights]
        names = tuple(f"{name} ({i})" if named.count(name) > 1 else name
                      for i, name in zip(weights, named, strict=True))  # fmt: skip
        return cls(weights, names, "mirror_map" in what)

    def first(self, config: RunConfig) -> Vector:
        """The vector to start from.

        The configured weights, and a mirror map of zeros or the one in `train.mirror_map`, plus
        noise of `meta_es.init_scale`.
        """
        middle = [inverse_softplus(abs(weight)) for weight in self.rewards.values()]
        if self.mirror:
            middle.extend(_map_to_start_from(config))
        noise = strategy_of(config).first(len(middle), config.meta_es.init_scale)
        return np.array(middle, float) + noise

    def weights(self, vector: Vector) -> dict[int, float]:
        """The weights of the rewards, by their place in `rewards`."""
        found = softplus(vector[: len(self.rewards)])
        return {
            place: math.copysign(float(size), before)
            for (place, before), size in zip(self.rewards.items(), found, strict=True)
        }

    def described(self, vector: Vector) -> dict[str, float]:
        """The weights by the names of the rewards, for logs and reports."""
        return dict(zip(self.names, self.weights(vector).values(), strict=True))

    def settings(self, vector: Vector, folder: Path) -> list[Setting]:
        """What a run with this vector is given; a mirror map is written to `folder`."""
        found: list[Setting] = [
            Setting(f"rewards.{place}.weight", weight, ORIGIN)
            for place, weight in self.weights(vector).items()
        ]
        if self.mirror:
            folder.mkdir(parents=True, exist_ok=True)
            self.mirror_map(vector).save(folder / MAP)
            found.append(Setting("train.mirror_map", str(folder / MAP), ORIGIN))
        return found

    def mirror_map(self, vector: Vector) -> Any:
        """The mirror map that the end of the vector is."""
        import torch

        from aligntune_trl.neural_mirror_grpo.mirror_map import MirrorMap

        return MirrorMap.from_vector(torch.from_numpy(vector[len(self.rewards) :].copy()))


def _called(reward: RewardConfig) -> str:
    """What a reward is called: a custom one by its function."""
    function = reward.params.get("reward_function")
    if function is None:
        return reward.type
    return function.rpartition(":")[2] if isinstance(function, str) else name_of(function)


def _map_to_start_from(config: RunConfig) -> list[float]:
    from aligntune_trl.neural_mirror_grpo.mirror_map import SIZE, MirrorMap

    path: str | None = getattr(config.train, "mirror_map", None)
    return [0.0] * SIZE if path is None else MirrorMap.load(path).vector().tolist()
