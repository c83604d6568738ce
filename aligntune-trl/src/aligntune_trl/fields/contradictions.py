"""Settings that contradict each other, or lack what they need; checked before anything loads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aligntune.enums import PrecisionType
from aligntune.errors import Problem
from aligntune_trl.lora.checks import check_lora, is_pissa

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = [
    "CONTRADICTIONS",
    "check_adapter_reference",
    "check_data_arguments",
    "check_reference",
]


def _check_precision(config: RunConfig) -> Iterable[Problem]:
    train, precision = config.train, config.model.precision
    for name in ("bf16", "fp16"):
        given = getattr(train, name)
        if name in train.model_fields_set and given != (precision is PrecisionType(name)):
            message = f"{given}, and `model.precision` is {precision.value}"
            yield Problem(f"train.{name}", message, hint="keep one of them")


def _check_attention(config: RunConfig) -> Iterable[Problem]:
    flash, name = config.train.use_flash_attention_2, config.model.attn_implementation
    if flash is not None and flash != (name == "flash_attention_2"):
        message = f"{flash}, and `model.attn_implementation` is {name}"
        yield Problem("train.use_flash_attention_2", message, hint="keep one of them")


def _check_quantization(config: RunConfig) -> Iterable[Problem]:
    given, path = config.model.quantization, "model.quantization"
    if not given:
        return
    bits = [name for name in ("load_in_4bit", "load_in_8bit") if given.get(name)]
    if len(bits) != 1:
        message = "it says neither 4 nor 8 bits" if not bits else "it says both 4 and 8 bits"
        yield Problem(path, message, hint="set `{load_in_4bit: true}` or `{load_in_8bit: true}`")
    if not config.model.peft_enabled:
        message = "quantized weights cannot be trained, and no adapter is"
        yield Problem(path, message, hint="set `model.peft_enabled: true`, or leave it out")


def _check_early_stopping(config: RunConfig) -> Iterable[Problem]:
    train, path = config.train, "train.early_stopping_patience"
    if train.early_stopping_patience is None:
        if train.early_stopping_threshold:
            message = "there is no early stopping for it"
            yield Problem("train.early_stopping_threshold", message, hint=f"set `{path}`")
        return
    if train.eval_strategy == "no":
        message = "it goes by evaluations, and there are none"
        yield Problem(path, message, hint="set `eval_datasets` and `train.eval_strategy`")
    elif train.metric_for_best_model is None:
        message = "there is no metric to go by"
        yield Problem(path, message, hint="set `train.metric_for_best_model`, such as eval_loss")


def _check_samples(config: RunConfig) -> Iterable[Problem]:
    wanted, path = config.logging.sample_logging, "logging.sample_logging"
    if not wanted.enabled:
        return
    if wanted.interval_steps is not None and wanted.percent_of_max_steps is not None:
        message = "`interval_steps` and `percent_of_max_steps` both say how often"
        yield Problem(path, message, hint="keep one of them")
    if wanted.prompts == []:
        yield Problem(f"{path}.prompts", "there is none", hint="name some, or leave it out")


def check_data_arguments(config: RunConfig) -> Iterable[Problem]:
    """What TRL's preparation of SFT data can do with the rows that it is handed."""
    train, path = config.train, "train.dataset_kwargs"
    for name in train.dataset_kwargs:
        if name != "skip_prepare_dataset":
            hint = "the one that there is: skip_prepare_dataset"
            yield Problem(f"{path}.{name}", "TRL has no such argument", hint=hint)
    if train.dataset_kwargs.get("skip_prepare_dataset"):
        message = "rows are text, which TRL must tokenize"
        yield Problem(f"{path}.skip_prepare_dataset", message, hint="leave it out")
    if train.padding_free and not train.packing and config.model.max_seq_length is not None:
        message = "nothing would cut rows to `model.max_seq_length`"
        hint = "set `train.packing: true`, or `model.max_seq_length: null`"
        yield Problem("train.padding_free", message, hint=hint)
    if train.packing and train.truncation_mode == "keep_end":
        message = "packing cuts rows at their end"
        yield Problem("train.truncation_mode", message, hint="set `train.packing: false`")
    if train.label_smoothing_factor and train.loss_type not in (None, "nll"):
        message = f"TRL smooths the loss nll alone, and `train.loss_type` is {train.loss_type}"
        yield Problem("train.label_smoothing_factor", message, hint="keep one of the two")


def check_adapter_reference(config: RunConfig, weight: str = "kl_coef") -> Iterable[Problem]:
    """Where the reference is the policy without its adapter, nothing else of it may be trained.

    There is a reference where `weight`, a field of the train section, is not 0.
    """
    model, train = config.model, config.train
    first = getattr(train, weight) if train.init_kl_coef is None else train.init_kl_coef
    if model.peft_enabled and model.bias != "none" and first:
        message = (
            f"{model.bias!r} trains biases of the model itself, which stay when the adapter is "
            "switched off to give the reference"
        )
        hint = f"use 'none', or set `train.{weight}: 0`, which needs no reference"
        yield Problem("model.bias", message, hint=hint)
    if model.peft_enabled and is_pissa(model.init_lora_weights) and first:
        message = (
            "PiSSA takes the principal components out of the model, so that switching the adapter "
            "off does not give the reference"
        )
        hint = f"use true, or set `train.{weight}: 0`, which needs no reference"
        yield Problem("model.init_lora_weights", message, hint=hint)


def check_reference(config: RunConfig, weight: str = "kl_coef") -> Iterable[Problem]:
    """A reference that follows the policy is a model of its own; dropout is on or off."""
    train, model = config.train, config.model
    if train.sync_ref_model and model.peft_enabled:
        message = "with a LoRA adapter the reference is the model beneath it, which does not move"
        yield Problem("train.sync_ref_model", message, hint="set `model.peft_enabled: false`")
    elif train.sync_ref_model and getattr(train, weight) == 0:
        message = f"`train.{weight}` is 0, so there is no reference"
        yield Problem("train.sync_ref_model", message, hint="raise it, or leave this out")
    if model.disable_dropout and model.peft_enabled and model.lora_dropout:
        message = f"`model.disable_dropout` would make it 0, not {model.lora_dropout}"
        yield Problem("model.lora_dropout", message, hint="keep one of them")
    if model.sft_path is not None and model.revision is not None:
        message = "it is one of `model.name_or_path`, and the run starts from `model.sft_path`"
        yield Problem("model.revision", message, hint="leave it out")


CONTRADICTIONS = (
    _check_precision,
    _check_attention,
    _check_quantization,
    check_lora,
    _check_early_stopping,
    _check_samples,
)
