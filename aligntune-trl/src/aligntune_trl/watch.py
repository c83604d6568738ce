"""What a run in which nothing can be learned looks like in its own metrics.

A `Watch` is one such condition: a name, a function of the metrics that a trainer logs, and what
usually mends it. Conditions read metrics by name, so they hold for every algorithm that logs them.
`watching` follows them while a run goes on. Imports neither torch nor TRL.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligntune.plan import Plan

__all__ = ["COUNTED", "EQUAL", "GRADIENT", "STEPS", "Watch", "mends", "number", "watches"]

Logs = Mapping[str, Any]
STEPS = 10
"""Optimizer steps for which most conditions must hold, or the whole run where that is shorter."""
ENTROPY = 0.01
"""Nats per token; a policy that is so sure says the same again and again."""
KL = 10.0
"""Nats per token; a fair coin over 22,000 tokens is as far from a certain token."""
COUNTED = "completions/counted_ratio"
"""The share of completions with tokens that count in the loss, where cut ones do not."""

EQUAL = "frac_equal_rewards"
"""The share of groups with one reward, where TRL's `frac_reward_zero_std` is of something else."""


@dataclass(frozen=True)
class Watch:
    """A condition under which nothing, or nothing good, can be learned.

    Attributes:
        name: what the warning is called.
        holds: whether the metrics of one log show it; None where they do not say.
        seen: what was seen, given the same metrics.
        mends: field -> what to do with it, likeliest first; those that a run does not let anybody
            set are left out.
        steps: optimizer steps for which it must hold; 0: one log is enough.
    """

    name: str
    holds: Callable[[Logs], bool | None]
    seen: Callable[[Logs], str]
    mends: Mapping[str, str]
    steps: int = STEPS


def number(logs: Logs, name: str) -> float | None:
    """A metric as a number; None where it was not logged, or has no value (TRL's NaN)."""
    found = logs.get(name)
    if found is None or isinstance(found, str):
        return None
    value = float(found)
    return None if math.isnan(value) else value


def mends(watch: Watch, plan: Plan) -> dict[str, str]:
    """What usually mends it, of what this run takes."""
    from aligntune.plan.parameters import Fixed, Refused

    return {
        path: advice
        for path, advice in watch.mends.items()
        if not isinstance(plan.table.use(path), Fixed | Refused)
    }


def watches(plan: Plan) -> tuple[Watch, ...]:
    """The conditions of a run; those of completions only where it makes some."""
    if plan.algorithm.facts.data != "prompt":
        return (_NO_LABELS,)
    masked = plan.config.train.mask_truncated_completions
    return (
        _EQUAL_REWARDS,
        _REWARDS_NOT_FINITE,
        _ALL_MASKED if masked else _truncated(),
        _UNFILLED,
        _sure(),
        _KL,
    )


def _equal_rewards(logs: Logs) -> bool | None:
    kept = number(logs, "dynamic_sampling/kept")  # of everything that DAPO sampled
    groups = number(logs, "frac_reward_zero_std" if logs.get(EQUAL) is None else EQUAL)
    deviation = number(logs, "rewards/total/std")  # PPO has no groups
    if kept is not None:
        return kept == 0
    if groups is None and deviation is None:
        return None
    return deviation == 0 or (groups is not None and groups >= 1)


def _rewards_not_finite(logs: Logs) -> bool | None:
    seen = [number(logs, name) for name in ("reward", "reward_std")]
    found = [value for value in seen if value is not None]
    return any(math.isinf(value) for value in found) if found else None


def _all_truncated(logs: Logs) -> bool | None:
    share = number(logs, "completions/clipped_ratio")
    return None if share is None else share >= 1


def _truncated() -> Watch:
    """All completions are cut, and yet rewards are not above those that the run began with.

    Where they rise, completions of that length are what is wanted.
    """
    first: list[float] = []

    def holds(logs: Logs) -> bool | None:
        reward = number(logs, "reward")
        if reward is not None and not first:
            first.append(reward)
        cut = _all_truncated(logs)
        if not cut or reward is None:
            return cut
        return reward <= first[0]

    return Watch("all-truncated", holds, _says_truncated, _LONGER)


def _says_truncated(logs: Logs) -> str:
    length = number(logs, "completions/max_length")
    return (
        f"every completion was cut{'' if length is None else f' at {length:.0f} tokens'}: none "
        "came to its end"
    )


def _all_masked(logs: Logs) -> bool | None:
    share = number(logs, COUNTED)
    if share is None or number(logs, "dynamic_sampling/filled") == 0:  # DAPO left out all groups
        return None
    return share == 0


def _sure() -> Watch:
    """The policy is sure of every token. Where none counts, the entropy is that of no tokens.

    How many count is logged when completions are made, and they may serve several logs.
    """
    counts = True

    def holds(logs: Logs) -> bool | None:
        nonlocal counts
        shares = [number(logs, COUNTED), number(logs, "dynamic_sampling/filled")]
        said = [share for share in shares if share is not None]
        if said:
            counts = min(said) > 0
        entropy = number(logs, "entropy")
        return entropy < ENTROPY if counts and entropy is not None else None

    return Watch("entropy-collapsed", holds, _says_entropy, _SURE)


def _says_entropy(logs: Logs) -> str:
    return (
        f"the entropy is {number(logs, 'entropy') or 0:.2g} nats per token: completions of a "
        "prompt hardly differ any more"
    )


def _kl(logs: Logs) -> bool | None:
    divergence = number(logs, "kl")
    return None if divergence is None else divergence > KL


def _unfilled(logs: Logs) -> bool | None:
    share = number(logs, "dynamic_sampling/filled")
    return None if share is None else share < 1


def _no_labels(logs: Logs) -> bool | None:
    share = number(logs, "empty_batches")
    return None if share is None else share > 0


_LONGER = {
    "train.max_completion_length": "raise it, so that completions can end",
    "model.name_or_path": "start from a model that ends its answers, such as an instruct model",
}
_DIFFER = "reward what only some completions do; or use easier prompts, or harder ones"
_EQUAL_REWARDS = Watch(
    "equal-rewards",
    _equal_rewards,
    lambda logs: (
        "all completions that are compared got the same reward"
        + ("" if (mean := number(logs, "reward")) is None else f", {mean:.4g} on average")
    ),
    {
        "rewards.type": _DIFFER,
        "train.num_generations": "raise it, so that one of a group can differ",
        "train.temperature": "raise it, so that completions differ",
        "train.max_completion_length": "raise it where answers are cut before they are given",
    },
)
_REWARDS_NOT_FINITE = Watch(
    "rewards-not-finite",
    _rewards_not_finite,
    lambda logs: (
        "the mean or the standard deviation of the rewards is too large for 32 bits, so all "
        "advantages are 0"
    ),
    {
        "rewards.clip": "set it, to bound the reward",
        "rewards.normalize": "set it to true, to divide by the running deviation",
    },
    steps=0,
)
_ALL_MASKED = Watch(
    "all-masked",
    _all_masked,
    lambda logs: (
        "every completion to train on was cut before its end, and those are left out of the loss: "
        "no token was trained on"
    ),
    {
        "train.max_completion_length": "raise it, so that completions can end",
        "train.mask_truncated_completions": "set it to false, to train on completions that are cut",
    },
)
_UNFILLED = Watch(
    "unfilled-batches",
    _unfilled,
    lambda logs: (
        f"{number(logs, 'dynamic_sampling/filled') or 0:.0%} of the places in batches were filled "
        "with groups whose completions are not equally right, after "
        f"{number(logs, 'dynamic_sampling/prompts') or 0:.3g} prompts for a batch; the others "
        "train nothing"
    ),
    {
        "train.max_resampling": "raise it, at the price of more completions",
        "rewards.type": _DIFFER,
        "train.num_generations": "raise it, so that one of a group can differ",
    },
    steps=0,
)
_SURE = {
    "train.learning_rate": "lower it",
    "train.ent_coef": "set it, such as 0.01, to reward entropy",
    "train.kl_coef": "raise it, to stay near the reference",
    "train.mirror_coef": "raise it, to stay near the reference",
    "train.cliprange_high": "raise it, so that unlikely tokens can become likely",
    "train.temperature": "raise it",
}
_KL = Watch(
    "kl-exploding",
    _kl,
    lambda logs: (
        f"the KL divergence to the reference is {number(logs, 'kl') or 0:.3g} nats per token: the "
        "policy has left the language that it began with"
    ),
    {
        "train.learning_rate": "lower it",
        "train.kl_coef": "raise it",
        "train.mirror_coef": "raise it",
        "train.beta": "raise it",
        "train.adap_kl_ctrl": "set it to true, to steer the divergence to `train.target_kl`",
        "train.max_grad_norm": "lower it",
    },
    steps=0,
)
_NO_LABELS = Watch(
    "no-label-tokens",
    _no_labels,
    lambda logs: (
        f"{number(logs, 'empty_batches') or 0:.0%} of the batches had no token to train on"
    ),
    {
        "model.max_seq_length": "raise it: prompts fill it, and completions are cut off",
        "train.assistant_only_loss": "set it to false, or mark the turns in the chat template",
        "train.completion_only_loss": "set it to false, to train on prompts too",
    },
    steps=0,
)
GRADIENT = Watch(
    "gradient-not-finite",
    lambda logs: None,  # seen at every step, not in what is logged
    lambda logs: "the gradient has NaN or an infinity in it, and the weights will too",
    {
        "train.learning_rate": "lower it",
        "train.max_grad_norm": "set it to 1, to bound each step",
        "model.precision": "use bf16 or fp32",
        "rewards.clip": "set it, to bound the reward",
    },
    steps=0,
)
