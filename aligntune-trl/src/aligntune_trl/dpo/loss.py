"""The losses of DPO: which there are, how several are weighed, and what must hold between them.

TRL sums its losses with weights, and that is all that conservative DPO and RPO need. With x the
scaled difference of log-ratios, L(x) = -log sigmoid(x) and e the label smoothing,

    conservative DPO:  (1 - e) L(x) + e L(-x)                    TRL's `sigmoid` ignores e
    robust DPO:       ((1 - e) L(x) - e L(-x)) / (1 - 2e)        TRL's `robust`

so that conservative DPO is (2 - 2e) `sigmoid` - (1 - 2e) `robust`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aligntune.errors import Problem, did_you_mean

if TYPE_CHECKING:
    from aligntune.config import RunConfig, TrainingConfig

__all__ = ["LOSSES", "check_losses", "loss_names", "weighed"]

LOSSES = (
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
    "sigmoid_norm",
)
_SMOOTHED = ("sigmoid", "robust", "exo_pair", "aot", "aot_unpaired")
_DIVERGENCES = ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence")
# Elsewhere the partition function of another divergence than reverse KL does not cancel.
_ANY_DIVERGENCE = (
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "exo_pair",
    "robust",
    "discopop",
    "sft",
)


def loss_names(train: TrainingConfig) -> list[str]:
    """The losses that are asked for, in order; `sigmoid` is DPO as its paper has it."""
    if isinstance(train.loss_type, str):
        return [train.loss_type]
    if train.loss_type is None and isinstance(train.loss_weights, dict):
        return list(train.loss_weights)
    return list(train.loss_type or ["sigmoid"])


def weighed(train: TrainingConfig) -> dict[str, float]:
    """TRL's losses and their weights."""
    names, given = loss_names(train), train.loss_weights
    if isinstance(given, dict):
        weights = {name: given[name] for name in names}
    else:
        weights = dict(zip(names, given or [1.0] * len(names), strict=True))
    if train.rpo_alpha is not None:
        weights["sft"] = train.rpo_alpha
    smoothing = train.label_smoothing
    if smoothing and "sigmoid" in weights:
        share = weights["sigmoid"]
        weights["sigmoid"] = share * (2 - 2 * smoothing)
        weights["robust"] = weights.get("robust", 0.0) - share * (1 - 2 * smoothing)
    return weights


def check_losses(config: RunConfig) -> Iterable[Problem]:
    """Losses that there are, weights for each, and settings that one of them reads."""
    train = config.train
    names = loss_names(train)
    unknown = [name for name in names if name not in LOSSES]
    if unknown or len(set(names)) < len(names):
        yield from _unknown(unknown)
        if not unknown:
            yield Problem("train.loss_type", f"{', '.join(names)}: one of them is there twice")
        return
    yield from _weights(train, names)
    if train.label_smoothing and not set(names) & set(_SMOOTHED):
        message = f"{', '.join(names)} would not use it; it belongs to {', '.join(_SMOOTHED)}"
        yield Problem("train.label_smoothing", message)
    if "exo_pair" in names and not train.label_smoothing:
        message = "exo_pair is not defined without label smoothing"
        yield Problem("train.label_smoothing", message, hint="its paper recommends 1e-3")
    tau = type(train).model_fields["discopop_tau"].default
    if train.discopop_tau != tau and "discopop" not in names:
        yield Problem("train.discopop_tau", "it is used only by the loss discopop")
    if train.use_weighting and (sorting := sorted({"aot", "aot_unpaired"} & set(names))):
        message = f"{sorting[0]} sorts the batch, so no weight belongs to one pair"
        yield Problem("train.use_weighting", message)
    if train.beta == 0 and names != ["sft"]:
        yield Problem("train.beta", "with 0 the loss does not depend on the policy")
    yield from _divergence(train, names)


def _unknown(names: list[str]) -> Iterable[Problem]:
    for name in names:
        if name in ("kto", "kto_pair"):
            what = "single completions that are good or bad, not from pairs"
            message = f"{name!r} learns from {what}"
            hint = f"set `algorithm: kto`, or for pairs one of {', '.join(LOSSES)}"
        else:
            message = f"{name!r} is no loss of DPO"
            hint = did_you_mean(name, LOSSES) or f"use one of {', '.join(LOSSES)}"
        yield Problem("train.loss_type", message, hint=hint)


def _weights(train: TrainingConfig, names: list[str]) -> Iterable[Problem]:
    given = train.loss_weights
    said = ", ".join(names)
    if isinstance(given, dict) and set(given) != set(names):
        message = f"weights for {', '.join(given)}, and the losses are {said}"
        yield Problem("train.loss_weights", message, hint="give every loss its weight")
    elif isinstance(given, list) and len(given) != len(names):
        message = f"{len(given)} weights for {len(names)} losses ({said})"
        yield Problem("train.loss_weights", message, hint="give every loss its weight")
    if train.rpo_alpha is not None and ("sft" in names or given is not None):
        other = "the loss sft" if "sft" in names else "`train.loss_weights`"
        message = f"it adds the loss sft with that weight, and {other} is given too"
        yield Problem("train.rpo_alpha", message, hint="keep one of them")


def _divergence(train: TrainingConfig, names: list[str]) -> Iterable[Problem]:
    kind = train.f_divergence_type
    if kind not in _DIVERGENCES:
        hint = did_you_mean(kind, _DIVERGENCES) or f"use one of {', '.join(_DIVERGENCES)}"
        yield Problem("train.f_divergence_type", f"{kind!r} is no divergence", hint=hint)
    elif kind != "reverse_kl" and (bad := [n for n in names if n not in _ANY_DIVERGENCE]):
        message = f"{kind} is defined for differences of scores, and {bad[0]} is no such loss"
        hint = f"use one of {', '.join(_ANY_DIVERGENCE)}, or reverse_kl"
        yield Problem("train.f_divergence_type", message, hint=hint)
