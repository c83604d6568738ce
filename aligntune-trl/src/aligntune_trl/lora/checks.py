"""What the settings of a LoRA adapter must be, whatever the algorithm; checked before it loads.

PiSSA is the one to know about: it takes the principal components out of the weights of the model,
so that the model with its adapter switched off is not the one that training started from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aligntune.errors import Problem, did_you_mean

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.config.sections.model import ModelConfig

__all__ = ["INITS", "ONE_RATE", "check_lora", "is_pissa", "off_is_start"]

INITS = ("gaussian", "pissa", "pissa_niter_16")
_INIT = re.compile(r"gaussian|pissa|pissa_niter_[1-9][0-9]*", re.ASCII)
# Optimizers that move every weight at one learning rate, whatever its group says.
ONE_RATE = ("lomo", "adalomo")


def is_pissa(init: object) -> bool:
    """Whether an `init_lora_weights` changes the weights beneath the adapter."""
    return isinstance(init, str) and init.startswith("pissa")


def off_is_start(model: ModelConfig) -> bool:
    """Whether a policy whose adapter is switched off is the model that training starts from."""
    return model.bias == "none" and not is_pissa(model.init_lora_weights)


def check_lora(config: RunConfig) -> Iterable[Problem]:
    """The parts of an adapter must go together, and with the optimizer."""
    model, train = config.model, config.train
    if not model.peft_enabled:
        return
    yield from _check_init(model)
    if model.loraplus_lr_ratio is not None and train.optimizer in ONE_RATE:
        message = f"the optimizer {train.optimizer!r} has one learning rate for all weights"
        yield Problem("model.loraplus_lr_ratio", message, hint="use another, such as adamw_torch")


def _check_init(model: ModelConfig) -> Iterable[Problem]:
    path, init = "model.init_lora_weights", model.init_lora_weights
    if init is True:
        return
    if init is False:
        message = "false starts from a random update, not from the model"
        yield Problem(path, message, hint=f"use true, {', '.join(INITS)}")
    elif not _INIT.fullmatch(init):
        hint = did_you_mean(init, INITS) or f"use true, {', '.join(INITS)}"
        yield Problem(path, f"there is no {init!r}", hint=hint)
    if is_pissa(init) and model.use_dora:
        message = "with PiSSA, what DoRA learns cannot be told from what the model was"
        yield Problem("model.use_dora", message, hint="keep one of the two")
    if is_pissa(init) and model.quantization:
        message = "the principal components of quantized weights cannot be taken out of them"
        yield Problem(path, message, hint="leave out `model.quantization`, or this")
