"""Meta-ES: the evolution strategy around the runs."""

from __future__ import annotations

from typing import Literal

from aligntune.config.section import Section, setting

__all__ = ["MetaESConfig"]


class MetaESConfig(Section):
    """Meta-ES: evolution strategies over what the runs inside are rewarded or regularised by."""

    evolve: list[Literal["reward_weights", "mirror_map"]] | None = setting(None, min_length=1)
    """What evolves: `reward_weights`, `mirror_map` or both; unset, `reward_weights` where there are
    several rewards, else `mirror_map`."""
    inner_algorithm: str | None = setting(None, min_length=1)
    """Algorithm of the runs inside; unset, `grpo`, or `neural_mirror_grpo` for a mirror map."""
    fitness: str | None = setting(None, min_length=1)
    """Reward that a candidate's completions of the evaluation data are measured by, unweighted: one
    of `rewards`, or another registered one; unset, the first of `rewards`."""
    fitness_shaping: Literal["differences", "ranks"] = setting("differences")
    """Follow differences of fitness, or of its ranks among the candidates."""
    meta_iterations: int = setting(15, ge=1)
    """Iterations of the evolution strategy."""
    patience: int = setting(5, ge=1)
    """Stop after so many iterations without improvement."""
    min_delta: float = setting(0.001, ge=0)
    """How much better counts as improvement."""
    init_scale: float = setting(0.01, ge=0)
    """Standard deviation of the first parameters."""
    N: int = setting(10, ge=2, multiple_of=2)
    """Candidates per iteration; even, because they come in antithetic pairs."""
    T: int = setting(100, ge=1)
    """Training steps per candidate."""
    sigma: float = setting(0.01, gt=0)
    """Standard deviation of the noise."""
    sigma_decay: float = setting(0.99, gt=0, le=1)
    """Factor on sigma per iteration."""
    alpha: float = setting(0.01, gt=0)
    """Learning rate of the evolution strategy."""
    mirror_coefficient: float = setting(0.0001, ge=0)
    """How strongly parameters are pulled to zero in each iteration."""
    debug_mode: bool = setting(False)
    """Log every candidate."""
    eval_timeout: int = setting(5, ge=1)
    """Seconds to score one completion in the evaluation; one that takes longer earns the least."""
    eval_max_tokens: int = setting(512, ge=1)
    """Longest completion in the evaluation, in tokens."""
    eval_k: int = setting(1, ge=1)
    """Completions per problem, of which the best counts: pass@k."""
    eval_temperature: float = setting(0.8, ge=0)
    """Sampling temperature in the evaluation."""
    num_workers: int = setting(1, ge=1)
    """Candidates that train at once."""
    no_wandb: bool = setting(False)
    """No Weights & Biases."""
    wandb_project: str = setting("neural-mirror-es", min_length=1)
    """Project there."""
    resume: str | None = setting(None, min_length=1)
    """Directory of an earlier Meta-ES run, whose finished candidates are taken over."""
