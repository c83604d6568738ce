"""Where every configuration field goes, for SFT and GRPO on TRL. Imports neither torch nor TRL."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from aligntune.enums import PrecisionType
from aligntune.plan.parameters import CORE_USES, Ours, ParameterTable, Refused, To, Use, When
from aligntune_trl import batch, checking

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["GRPO", "SFT", "grpo_table", "model_uses", "sft_table"]

_LORA = When("model.peft_enabled", (True,))
_PACKING = When("train.packing", (True,))
_LOAD = "model_init_kwargs"


def _steps(value: int | None) -> int:
    return -1 if value is None else value


def _epochs(value: float | None) -> float:
    return 1.0 if value is None else float(value)


def _optional(value: dict[str, Any]) -> dict[str, Any] | None:
    return value or None


def model_uses(loader: str) -> dict[str, Use]:
    """Fields of the model section; `loader` loads the model."""
    return {
        "model.name_or_path": Ours(f"{loader}: the model"),
        "model.revision": To("revision", _LOAD, drop_none=True),
        "model.precision": Ours(f"{loader}: dtype; bf16 and fp16 of the trainer's arguments"),
        "model.attn_implementation": To(
            "attn_implementation", _LOAD, lambda v: None if v == "auto" else v, drop_none=True
        ),
        "model.max_memory": To("max_memory", _LOAD, _device_keys, drop_none=True),
        "model.device_map": To("device_map", _LOAD),
        "model.trust_remote_code": Ours(f"{loader} and the tokenizer: trust_remote_code"),
        "model.model_init_kwargs": Ours(f"{loader}: further arguments"),
        "model.peft_enabled": Ours("whether a LoRA adapter is trained"),
        "model.lora_rank": To("r", "LoraConfig", when=_LORA),
        "model.lora_alpha": To("lora_alpha", "LoraConfig", when=_LORA),
        "model.lora_dropout": To("lora_dropout", "LoraConfig", when=_LORA),
        "model.target_modules": To("target_modules", "LoraConfig", when=_LORA),
        "model.bias": To("bias", "LoraConfig", when=_LORA),
    }


def _device_keys(value: dict[int | str, Any] | None) -> dict[int | str, Any] | None:
    if value is None:
        return None
    return {int(k) if str(k).isdigit() else k: v for k, v in value.items()}


def _training(owner: str) -> dict[str, Use]:
    """Fields that every trainer of transformers takes."""

    def to(argument: str, **more: Any) -> To:
        return To(argument, owner, **more)

    evaluated = When("train.eval_strategy", ("steps",))
    saved = When("train.save_strategy", ("steps",))
    return {
        "train.per_device_batch_size": to("per_device_train_batch_size"),
        "train.per_device_eval_batch_size": to("per_device_eval_batch_size"),
        "train.gradient_accumulation_steps": to("gradient_accumulation_steps"),
        "train.max_steps": to("max_steps", convert=_steps),
        "train.stop_after_steps": Ours("the trainer stops there"),
        "train.epochs": to("num_train_epochs", convert=_epochs),
        "train.learning_rate": to("learning_rate"),
        "train.weight_decay": to("weight_decay"),
        "train.warmup_steps": Ours(f"{owner}.warmup_steps"),
        "train.warmup_ratio": Ours(f"{owner}.warmup_steps, as a fraction of all steps"),
        "train.max_grad_norm": to("max_grad_norm"),
        "train.optimizer": to("optim"),
        "train.adam_beta1": to("adam_beta1"),
        "train.adam_beta2": to("adam_beta2"),
        "train.adam_epsilon": to("adam_epsilon"),
        "train.lr_scheduler": to("lr_scheduler_type"),
        "train.seed": to("seed"),
        "train.data_seed": to("data_seed"),
        "train.eval_strategy": to("eval_strategy"),
        "train.eval_interval": to("eval_steps", when=evaluated),
        "train.save_strategy": to("save_strategy"),
        "train.save_interval": to("save_steps", when=saved),
        "train.save_total_limit": to("save_total_limit"),
        "train.load_best_model_at_end": to("load_best_model_at_end"),
        "train.metric_for_best_model": to("metric_for_best_model", drop_none=True),
        "train.greater_is_better": to("greater_is_better"),
        "train.logging_strategy": to("logging_strategy"),
        "train.logging_steps": to("logging_steps"),
        "train.dataloader_num_workers": to("dataloader_num_workers"),
        "train.dataloader_drop_last": to("dataloader_drop_last"),
        "model.gradient_checkpointing": to("gradient_checkpointing"),
        "train.gradient_checkpointing_kwargs": to(
            "gradient_checkpointing_kwargs",
            convert=_optional,
            when=When("model.gradient_checkpointing", (True,)),
        ),
        "logging.loggers": to("report_to"),
        "logging.disable_tqdm": Ours("the progress bar"),
    }


_NOT_SFT = Refused("SFT generates nothing and has no reference model; it belongs to GRPO")
_NOT_GRPO = Refused("it belongs to SFT")

_SFT_ONLY: dict[str, str] = {
    "train.loss_type": "loss_type",
    "train.packing": "packing",
    "train.packing_strategy": "packing_strategy",
    "train.eval_packing": "eval_packing",
    "train.pad_to_multiple_of": "pad_to_multiple_of",
    "train.completion_only_loss": "completion_only_loss",
    "train.assistant_only_loss": "assistant_only_loss",
    "train.label_smoothing_factor": "label_smoothing_factor",
    "train.truncation_mode": "truncation_mode",
}
_GRPO_ONLY: dict[str, str] = {
    "train.num_generations": "num_generations",
    "train.kl_coef": "beta",
    "train.cliprange": "epsilon",
    "train.cliprange_high": "epsilon_high",
    "train.ent_coef": "entropy_coef",
    "train.scale_rewards": "scale_rewards",
    "train.mask_truncated_completions": "mask_truncated_completions",
    "train.temperature": "temperature",
    "train.top_p": "top_p",
    "train.top_k": "top_k",
    "train.max_completion_length": "max_completion_length",
    "train.generation_kwargs": "generation_kwargs",
}
# GRPO settings whose own names and conversions stand in `grpo_table`.
_GRPO_MORE = (
    "train.rollout_batch_size",
    "train.num_ppo_epochs",
    "train.max_prompt_length",
    "train.enable_thinking",
)


def _precision(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if hardware is None:
        return None
    if hardware.bf16:
        return PrecisionType.BF16, f"{hardware} has bf16"
    return PrecisionType.FP32, f"{hardware.device} without native bf16"


def _no_evaluation(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    return None if config.eval_datasets else ("no", "there is no evaluation data")


def _no_best(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if config.kind == "rl":
        return None
    return next(((False, p.message) for p in batch.check_checkpoints(config)), None)


def _loggers(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if importlib.util.find_spec("tensorboard") is None:
        return [], "tensorboard is not installed"
    return None


def _no_ratio(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    if "warmup_steps" in config.train.model_fields_set:
        return 0.0, "`train.warmup_steps` is set"
    return None


def _better(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    metric = config.train.metric_for_best_model
    if metric is None or metric.endswith("loss"):
        return None
    return True, f"{metric} is no loss"


_BENDS = (
    ("train.warmup_ratio", _no_ratio),
    ("train.greater_is_better", _better),
    ("model.precision", _precision),
    ("train.eval_strategy", _no_evaluation),
    ("train.load_best_model_at_end", _no_best),
    ("logging.loggers", _loggers),
)


def sft_table(model: dict[str, Use]) -> ParameterTable:
    """The table of SFT, given the fields of the model section."""
    uses: dict[str, Use] = {**CORE_USES, **_training("SFTConfig"), **model}
    uses |= {path: To(argument, "SFTConfig") for path, argument in _SFT_ONLY.items()}
    uses |= dict.fromkeys((*_GRPO_ONLY, *_GRPO_MORE), _NOT_SFT)
    uses |= {
        "model.max_seq_length": To("max_length", "SFTConfig"),
        "train.packing_strategy": To("packing_strategy", "SFTConfig", when=_PACKING),
        "train.group_by_length": Ours("SFTConfig.train_sampling_strategy"),
        "rewards.*": Refused("SFT does not learn from rewards"),
    }
    checks = (*checking.checks(checking.SFT_LOSSES), batch.check_checkpoints, batch.check_processes)
    return ParameterTable(uses, _BENDS, checks, batch.sft_lines)


def grpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of GRPO, given the fields of the model section."""
    uses: dict[str, Use] = {**CORE_USES, **_training("GRPOConfig"), **model}
    uses |= {path: To(argument, "GRPOConfig") for path, argument in _GRPO_ONLY.items()}
    uses |= dict.fromkeys(_SFT_ONLY, _NOT_GRPO)
    uses |= {
        "train.loss_type": To("loss_type", "GRPOConfig"),
        "train.rollout_batch_size": To("generation_batch_size", "GRPOConfig", drop_none=True),
        "train.num_ppo_epochs": To("num_iterations", "GRPOConfig", lambda v: v or 1),
        "train.max_prompt_length": Ours("longer prompts are left out, and counted"),
        "train.enable_thinking": Ours("GRPOConfig.chat_template_kwargs"),
        "train.truncation_mode": Refused(
            "over-long prompts are left out (`train.max_prompt_length`), and completions end at "
            "`train.max_completion_length`"
        ),
        "train.group_by_length": Refused("a batch holds whole groups of one prompt"),
        "train.pad_to_multiple_of": To("pad_to_multiple_of", "GRPOConfig"),
        "model.max_seq_length": Ours(
            "longest prompt and completion together; longer prompts are left out"
        ),
        "rewards.*": Ours("aligntune.scoring: the weighted sum"),
    }
    bends = (
        ("train.per_device_batch_size", batch.default_batch),
        ("train.num_generations", batch.default_group),
        ("train.per_device_eval_batch_size", batch.default_eval_batch),
        ("train.save_interval", batch.default_save_interval),
        *_BENDS,
    )
    checks = (
        *checking.checks(checking.GRPO_LOSSES),
        batch.check_groups,
        batch.check_eval_groups,
        batch.check_lengths,
        batch.check_resumable,
        batch.check_checkpoints,
        batch.check_processes,
    )
    return ParameterTable(uses, bends, checks, batch.grpo_lines)


_MODEL = model_uses("AutoModelForCausalLM.from_pretrained")
SFT = sft_table(_MODEL)
GRPO = grpo_table(_MODEL)
