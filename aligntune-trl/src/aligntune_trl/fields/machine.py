"""What a run needs of the machine it is planned for: a GPU, a package. Imports none of them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

from packaging.version import Version

from aligntune.enums import PrecisionType
from aligntune.errors import Problem
from aligntune_trl.fields.names import LOGGERS, OPTIMIZERS

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.config.sections.model import ModelConfig
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


# Releases of bitsandbytes whose kernels for CPUs were seen to train, in 4 bits of both kinds and 8.
_ON_CPU = Version("0.49.2")
_EXACT_LENGTHS = Version("1.16")  # of TRL: it keeps what DoRA trains of a quantized model exact


def check_machine(config: RunConfig, hardware: Hardware) -> Iterator[Problem]:
    """What is set must work here."""
    model, train = config.model, config.train
    if model.quantization:
        yield from _check_quantization(model, hardware)
    # accelerate trains in float32 without a word where fp16 is asked for on a CPU.
    half = model.precision is PrecisionType.FP16 and hardware.device == "cpu"
    wanted: list[tuple[str, str, bool, bool, str]] = [
        # field, value, whether it is asked for, whether it needs a GPU, module it needs
        ("model.precision", "fp16", half, True, ""),
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


def _check_quantization(model: ModelConfig, hardware: Hardware) -> Iterator[Problem]:
    """What quantizes must be there, with kernels for this device; DoRA needs more of it."""
    path = "model.quantization"
    if importlib.util.find_spec("bitsandbytes") is None:
        message = "it needs bitsandbytes, which is not installed"
        yield Problem(path, message, hint='pip install "aligntune-trl[quantization]"')
        return
    found = Version(importlib.metadata.version("bitsandbytes"))
    if hardware.device not in ("cpu", "cuda"):
        yield Problem(path, f"bitsandbytes does not train on this device: {hardware}")
    elif hardware.device == "cpu" and found < _ON_CPU:
        message = f"bitsandbytes {found} lacks kernels for a CPU"
        yield Problem(path, message, hint=f'pip install "bitsandbytes>={_ON_CPU}", or use a GPU')
    if not model.use_dora:
        return
    if hardware.device == "cpu" and model.quantization.get("load_in_8bit"):
        message = "on a CPU, peft cannot read the 8-bit weights whose lengths DoRA trains"
        yield Problem("model.use_dora", message, hint="use `{load_in_4bit: true}`, or leave it out")
    trl = Version(importlib.metadata.version("trl"))
    if trl < _EXACT_LENGTHS:
        message = f"TRL {trl} rounds what DoRA trains of a quantized model to bfloat16"
        yield Problem("model.use_dora", message, hint=f"TRL {_EXACT_LENGTHS} and newer do not")
