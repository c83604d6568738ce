"""What must hold between fields, whatever the algorithm; checked before anything loads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aligntune.data.checks import check_data
from aligntune.errors import Problem, did_you_mean
from aligntune_trl.fields.contradictions import CONTRADICTIONS
from aligntune_trl.fields.names import WITHOUT_WARMUP, check_names

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.plan.parameters import Check

__all__ = ["GRPO_LOSSES", "SFT_LOSSES", "check_clipping", "checks"]

SFT_LOSSES = ("nll", "dft", "chunked_nll")
GRPO_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo")

# Arguments that have a field of their own: argument -> field.
_LOADING = {
    "dtype": "model.precision",
    "torch_dtype": "model.precision",
    "trust_remote_code": "model.trust_remote_code",
    "attn_implementation": "model.attn_implementation",
    "revision": "model.revision",
    "device_map": "model.device_map",
    "max_memory": "model.max_memory",
}
_GENERATION = {
    "temperature": "train.temperature",
    "top_p": "train.top_p",
    "top_k": "train.top_k",
    "max_new_tokens": "train.max_completion_length",
    "max_length": "train.max_completion_length",
    "num_return_sequences": "train.num_generations",
}


def checks(losses: tuple[str, ...] | None = None) -> tuple[Check, ...]:
    """The checks of an algorithm whose loss is one of these; None: it checks that itself."""
    common = (
        check_names,
        check_data,
        _check_evaluation,
        _check_own_fields,
        _check_warmup,
        *CONTRADICTIONS,
    )
    if losses is None:
        return common

    def check_loss(config: RunConfig) -> Iterable[Problem]:
        loss = config.train.loss_type
        if isinstance(loss, list):
            message = f"{len(loss)} losses, and this algorithm has one"
            yield Problem("train.loss_type", message, hint=f"use one of {', '.join(losses)}")
        elif loss is not None and loss not in losses:
            hint = did_you_mean(loss, losses) or f"use one of {', '.join(losses)}"
            yield Problem("train.loss_type", f"{loss!r} is no loss of this algorithm", hint=hint)

    return (check_loss, *common)


def check_clipping(config: RunConfig) -> Iterable[Problem]:
    """Losses of GRPO that clip the ratio from above alone, or not at all."""
    train = config.train
    unused = {
        "cispo": ("cliprange",),
        "sapo": ("cliprange", "cliprange_high"),
        "vespo": ("cliprange", "cliprange_high"),
    }
    for name in unused.get(str(train.loss_type), ()):
        if getattr(train, name) != type(train).model_fields[name].default:
            message = f"the loss {train.loss_type} does not clip the ratio there"
            yield Problem(f"train.{name}", message, hint="leave it out")


def _check_evaluation(config: RunConfig) -> Iterable[Problem]:
    if config.has_evaluation_data:
        return
    if config.train.eval_strategy != "no":
        message = f"{config.train.eval_strategy!r}, and there is no evaluation data"
        yield Problem("train.eval_strategy", message, hint="set `eval_datasets: [{name: ...}]`")
    if config.evaluation.evaluators:
        message = "there is no data to evaluate on"
        yield Problem("evaluation.evaluators", message, hint="set `eval_datasets: [{name: ...}]`")


def _check_own_fields(config: RunConfig) -> Iterable[Problem]:
    for path, given, own in (
        ("model.model_init_kwargs", config.model.model_init_kwargs, _LOADING),
        ("train.generation_kwargs", config.train.generation_kwargs or {}, _GENERATION),
    ):
        for name in own.keys() & given.keys():
            yield Problem(f"{path}.{name}", f"it is set by `{own[name]}`", hint="set that instead")


def _check_warmup(config: RunConfig) -> Iterable[Problem]:
    train = config.train
    if train.warmup_steps and train.warmup_ratio and "warmup_ratio" in train.model_fields_set:
        message = "`warmup_steps` and `warmup_ratio` both say how long the warmup is"
        yield Problem("train.warmup_ratio", message, hint="keep one of them")
    for name in ("warmup_steps", "warmup_ratio"):
        asked = name in train.model_fields_set and getattr(train, name)
        if asked and train.lr_scheduler in WITHOUT_WARMUP:
            message = f"{train.lr_scheduler!r} has no warmup"
            hint = "leave it out, or use `train.lr_scheduler: constant_with_warmup`"
            yield Problem(f"train.{name}", message, hint=hint)
