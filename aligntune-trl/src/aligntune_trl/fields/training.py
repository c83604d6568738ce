"""What every trainer of transformers takes, whatever the algorithm."""

from __future__ import annotations

from typing import Any

from aligntune.plan.parameters import CORE_USES, Fixed, Ours, Refused, To, Use, When

__all__ = ["trainer_uses"]


_UNDEFINED = Fixed(
    (0.1,),
    "no paper and no implementation defines it; what shapes the update is `train.cliprange`, "
    "`train.cliprange_high` and `train.ent_coef`",
)
_EVER = ("steps", "epoch")
_ONE_PROCESS = Refused("this backend trains in one process")
_LAUNCHED = Refused("torchrun or accelerate starts the processes, and tells them where they meet")


def trainer_uses(owner: str, model: dict[str, Use]) -> dict[str, Use]:
    """The rows that algorithms have in common; an algorithm puts its own on top.

    Args:
        owner: TRL's configuration class, such as `SFTConfig`.
        model: the rows of the model section, from `model_uses`.
    """
    return {**CORE_USES, **_training(owner), **model}


def _steps(value: int | None) -> int:
    return -1 if value is None else value


def _epochs(value: float | None) -> float:
    return 1.0 if value is None else float(value)


def _optional(value: dict[str, Any]) -> dict[str, Any] | None:
    return value or None


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
        "train.save_total_limit": to("save_total_limit", when=When("train.save_strategy", _EVER)),
        "train.load_best_model_at_end": to("load_best_model_at_end"),
        "train.metric_for_best_model": to(
            "metric_for_best_model", drop_none=True, when=When("train.eval_strategy", _EVER)
        ),
        "train.greater_is_better": to("greater_is_better", when=When("train.eval_strategy", _EVER)),
        "train.logging_strategy": to("logging_strategy"),
        "train.logging_steps": to("logging_steps", when=When("train.logging_strategy", ("steps",))),
        "train.dataloader_num_workers": to("dataloader_num_workers"),
        "train.dataloader_drop_last": to("dataloader_drop_last"),
        "datasets.streaming": Refused(
            "prompts are measured before training, and the long ones are left out and counted; "
            "that takes all rows"
        ),
        "model.gradient_checkpointing": to("gradient_checkpointing"),
        "train.gradient_checkpointing_kwargs": to(
            "gradient_checkpointing_kwargs",
            convert=_optional,
            when=When("model.gradient_checkpointing", (True,)),
        ),
        "train.fp16": Ours("model.precision"),
        "train.bf16": Ours("model.precision"),
        "train.use_flash_attention_2": Ours("model.attn_implementation"),
        "train.use_liger_loss": Fixed(
            (None, False),
            "TRL has no Liger loss any more; in SFT, `train.loss_type: chunked_nll` saves the "
            "same memory",
        ),
        "train.eval_accumulation_steps": to("eval_accumulation_steps"),
        "train.early_stopping_patience": Ours("EarlyStoppingCallback.early_stopping_patience"),
        "train.early_stopping_threshold": Ours("EarlyStoppingCallback.early_stopping_threshold"),
        "train.label_pad_token_id": Fixed((-100,), "torch's cross entropy leaves out that label"),
        "train.grpo_alpha": _UNDEFINED,
        "train.gspo_gamma": _UNDEFINED,
        "train.gspo_delta": _UNDEFINED,
        "distributed.deepspeed_config": _ONE_PROCESS,
        "distributed.fsdp_config": _ONE_PROCESS,
        "distributed.master_addr": _LAUNCHED,
        "distributed.master_port": _LAUNCHED,
        "logging.loggers": to("report_to"),
        "logging.disable_tqdm": Ours("the progress bar"),
    }
