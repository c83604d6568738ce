"""What a run needs of the machine it is planned for: a GPU, a package. Imports none of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aligntune.enums import PrecisionType
from aligntune.errors import Problem
from aligntune_trl.names import LOGGERS, OPTIMIZERS

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["check_machine"]

# What `pip install` calls a module that has another name.
_PACKAGES = {
    "azureml": "azureml-core",
    "comet_ml": "comet-ml",
    "flash_attn": "flash-attn",
    "lomo_optim": "lomo-optim",
    "optimi": "torch-optimi",
}


def check_machine(config: RunConfig, hardware: Hardware) -> Iterator[Problem]:
    """What is set must work here."""
    model, train = config.model, config.train
    # accelerate trains in float32 without a word where fp16 is asked for on a CPU.
    half = model.precision is PrecisionType.FP16 and hardware.device == "cpu"
    wanted: list[tuple[str, str, bool, bool, str]] = [
        # field, value, whether it is asked for, whether it needs a GPU, module it needs
        ("model.precision", "fp16", half, True, ""),
        ("model.quantization", "bitsandbytes", bool(model.quantization), True, "bitsandbytes"),
        (
            "model.attn_implementation",
            "flash_attention_2",
            model.attn_implementation == "flash_attention_2",
            True,
            "flash_attn",
        ),
        ("train.activation_offloading", "it", train.activation_offloading, True, ""),
        ("train.fast_inference", "vLLM", train.fast_inference, True, "vllm"),
        ("train.use_liger_kernel", "it", train.use_liger_kernel, True, "kernels"),
        ("train.optimizer", train.optimizer, True, False, OPTIMIZERS.get(train.optimizer, "")),
        *(
            ("logging.loggers", name, True, False, LOGGERS.get(name, ""))
            for name in config.logging.loggers
        ),
    ]
    for path, what, asked, gpu, module in wanted:
        if not asked:
            continue
        if gpu and hardware.device != "cuda":
            yield Problem(path, f"{what} needs a GPU, and this machine has none: {hardware}")
        elif module and importlib.util.find_spec(module) is None:
            package = _PACKAGES.get(module, module)
            message = f"{what} needs {package}, which is not installed"
            yield Problem(path, message, hint=f"pip install {package}")
