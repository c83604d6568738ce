"""The sections of a configuration: model, data sets, training, rewards, evaluation, logging, ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, field_validator

from aligntune.config.section import Section, setting
from aligntune.enums import BackendType, PrecisionType, RewardType, TaskType

__all__ = [
    "DatasetConfig",
    "DistributedConfig",
    "EvaluationConfig",
    "EvaluatorConfig",
    "LoggingConfig",
    "ModelConfig",
    "PluginsConfig",
    "RewardConfig",
    "TrainingConfig",
]


class ModelConfig(Section):
    """Which model is trained, how it is loaded, and which of its weights move."""

    name_or_path: str = setting(..., min_length=1)
    """Hub name or local folder of the model."""
    revision: str | None = setting(None)
    """Branch, tag or commit of a model on the hub."""
    precision: PrecisionType = setting(PrecisionType.BF16, rl=PrecisionType.AUTO)
    """Number format of weights and training: bf16, fp16, fp32 or auto. Unset, fp32 on a CPU."""
    attn_implementation: str = setting("auto")
    """Attention implementation: auto, eager, sdpa, flash_attention_2, ..."""
    gradient_checkpointing: bool = setting(True, rl=False, aliases=("use_gradient_checkpointing",))
    """Recompute activations in the backward pass: less memory, more time, the same numbers."""
    max_memory: dict[int | str, int | str] | None = setting(None)
    """Most memory to use per device, such as `{0: "20GB", "cpu": "30GB"}`; needs a device map."""
    device_map: str | dict[str, int | str] | None = setting(None)
    """Placement of the weights. Unset, the trainer places the whole model on one device."""
    max_seq_length: int | None = setting(2048, ge=1)
    """Longest sequence, in tokens; SFT rows are cut to it (see `train.truncation_mode`)."""
    peft_enabled: bool = setting(False, rl=True, aliases=("use_peft",))
    """Train a LoRA adapter instead of the whole model."""
    lora_rank: int = setting(16, aliases=("lora_r",), ge=1)
    """Rank of the LoRA matrices."""
    lora_alpha: int = setting(32, ge=1)
    """Scale of the LoRA update: it is multiplied by alpha / rank."""
    lora_dropout: float = setting(0.1, rl=0.05, ge=0, lt=1)
    """Dropout on the input of the LoRA matrices."""
    target_modules: list[str] | str | None = setting(
        None,
        rl=["q_proj", "k_proj", "v_proj", "o_proj"],
        aliases=("lora_target_modules",),
    )
    """Modules that get LoRA matrices; unset, peft's choice for the architecture."""
    bias: Literal["none", "all", "lora_only"] = setting("none")
    """Which bias vectors train beside the LoRA matrices."""
    trust_remote_code: bool = setting(False)
    """Run Python code that comes with the model. Only for models whose code you have read."""

    use_unsloth: bool = setting(False)
    """The same as `backend: unsloth`."""
    model_init_kwargs: dict[str, Any] = setting({})
    """Further arguments of the model's `from_pretrained`."""

    @field_validator("target_modules", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if isinstance(value, str) and "," in value:
            return [name.strip() for name in value.split(",") if name.strip()]
        return value


class DatasetConfig(Section):
    """Where rows come from and how they become what the algorithm trains on."""

    name: str = setting(..., min_length=1)
    """Hub name; or a local csv, tsv, json, jsonl, parquet, arrow or text file, or a folder."""
    split: str = setting("train", min_length=1)
    """Split to read."""
    subset: str | None = setting(None, aliases=("config", "config_name"))
    """Subset (configuration name) of a data set on the hub."""
    revision: str | None = setting(None)
    """Branch, tag or commit of a data set on the hub."""
    percent: float | None = setting(None, gt=0, le=100)
    """Use the first so many percent of the rows."""
    max_samples: int | None = setting(None, ge=1)
    """Use at most so many rows, from the first on."""
    column_mapping: dict[str, str] = setting({}, aliases=("field_mappings",))
    """Renames columns: name in the data -> name that AlignTune expects."""
    task_type: TaskType = setting(TaskType.SUPERVISED_FINE_TUNING, rl=TaskType.CONVERSATION)
    """What the rows are for."""
    system_prompt: str | None = setting(None)
    """System message that is put first in every prompt."""
    preserve_columns: list[str] | None = setting(None)
    """Columns to keep beside the ones that are trained on; unset, RL keeps all for the rewards."""
    processing_fn: Callable[..., Any] | str | None = setting(None)
    """Function applied to each row (or batch), or its importable name `package.module:function`."""
    processing_batched: bool = setting(False)
    """Whether `processing_fn` takes a batch of rows (a dict of lists)."""
    processing_fn_kwargs: dict[str, Any] = setting({})
    """Further arguments of `processing_fn`."""
    dataset_num_proc: int | None = setting(None, ge=1)
    """Processes that prepare the data."""


class TrainingConfig(Section):
    """How the model is trained."""

    elsewhere = {
        "max_length": "model.max_seq_length",
    }

    per_device_batch_size: int = setting(
        1, ge=1, aliases=("batch_size", "per_device_train_batch_size")
    )
    """Rows (RL: completions) per device in one forward pass."""
    per_device_eval_batch_size: int = setting(1, ge=1, aliases=("eval_batch_size",))
    """The same in evaluation."""
    gradient_accumulation_steps: int = setting(1, ge=1)
    """Forward passes whose gradients are summed into one step."""
    max_steps: int | None = setting(None, ge=1)
    """Stop after so many optimizer steps; overrides `epochs`."""
    epochs: float | None = setting(3.0, rl=None, gt=0, aliases=("num_epochs", "num_train_epochs"))
    """Passes over the data; unset in RL, 1."""
    learning_rate: float = setting(1e-5, ge=0)
    """Peak learning rate."""
    weight_decay: float = setting(0.01, ge=0)
    """Weight decay of AdamW."""
    warmup_steps: int = setting(0, ge=0)
    """Steps over which the learning rate rises from 0; wins over `warmup_ratio`."""
    warmup_ratio: float = setting(0.1, rl=0.0, ge=0, lt=1)
    """The same as a fraction of all steps."""
    max_grad_norm: float = setting(1.0, ge=0)
    """Gradients are scaled down to this norm; 0 leaves them as they are."""
    optimizer: str = setting("adamw_torch", aliases=("optim",))
    """Optimizer, by the name transformers gives it."""
    adam_beta1: float = setting(0.9, ge=0, lt=1)
    """Decay of AdamW's mean of gradients."""
    adam_beta2: float = setting(0.999, ge=0, lt=1)
    """Decay of AdamW's mean of squared gradients."""
    adam_epsilon: float = setting(1e-8, gt=0)
    """AdamW's epsilon."""
    lr_scheduler: str = setting("cosine", aliases=("lr_scheduler_type",))
    """Learning-rate schedule, by the name transformers gives it."""
    seed: int = setting(42, ge=0)
    """Seed of weights, dropout, data order and sampling."""
    data_seed: int | None = setting(None, rl=47, ge=0)
    """Seed of the data order alone."""
    eval_strategy: Literal["no", "steps", "epoch"] = setting("steps", rl="no")
    """When to evaluate during training; unset, never where there is no evaluation data."""
    eval_interval: int = setting(100, ge=1, aliases=("eval_steps",))
    """Steps between evaluations."""
    save_strategy: Literal["no", "steps", "epoch"] = setting("steps")
    """When to write checkpoints."""
    save_interval: int = setting(500, ge=1, aliases=("save_steps",))
    """Steps between checkpoints."""
    save_total_limit: int | None = setting(None, ge=1)
    """Keep at most so many checkpoints."""
    load_best_model_at_end: bool = setting(True, rl=False)
    """End with the best checkpoint; unset, only where there is evaluation data."""
    metric_for_best_model: str | None = setting("eval_loss", rl=None)
    """The metric that says which checkpoint is best."""
    greater_is_better: bool = setting(False)
    """Whether more of that metric is better."""
    logging_steps: int = setting(10, ge=1, aliases=("log_interval",))
    """Steps between lines of metrics."""
    logging_strategy: Literal["no", "steps", "epoch"] = setting("steps")
    """When to write metrics."""
    group_by_length: bool = setting(False)
    """Put rows of similar length into one batch."""
    dataloader_num_workers: int = setting(0, ge=0)
    """Processes that load batches."""
    dataloader_drop_last: bool = setting(False)
    """Leave out the last batch of an epoch when it is not full."""
    gradient_checkpointing_kwargs: dict[str, Any] = setting({}, rl={"use_reentrant": False})
    """Arguments of gradient checkpointing."""
    label_smoothing_factor: float = setting(0.0, ge=0, lt=1)
    """Label smoothing of the SFT loss."""
    loss_type: str | None = setting("nll", rl=None)
    """SFT: nll or dft. RL: the aggregation of the loss; unset, the algorithm's own."""
    packing: bool = setting(False)
    """SFT: put several rows into one sequence of `max_seq_length` tokens."""
    packing_strategy: Literal["bfd", "wrapped"] = setting("bfd")
    """SFT: how rows are packed; `bfd` keeps rows whole, `wrapped` cuts them."""
    eval_packing: bool | None = setting(None)
    """SFT: pack the evaluation rows too; unset, as `packing`."""
    pad_to_multiple_of: int | None = setting(None, ge=1)
    """Pad sequences to a multiple of so many tokens."""
    completion_only_loss: bool | None = setting(None)
    """SFT: train on the completion alone; unset, yes where rows have one."""
    assistant_only_loss: bool = setting(False)
    """SFT: train on assistant turns alone; needs `{% generation %}` in the chat template."""
    truncation_mode: Literal["keep_end", "keep_start"] = setting("keep_start", rl="keep_end")
    """Which end of an over-long row stays."""
    num_generations: int | None = setting(None, ge=2)
    """GRPO: completions per prompt (the group); unset, the largest number that fits the batch."""
    rollout_batch_size: int | None = setting(None, ge=1, aliases=("generation_batch_size",))
    """GRPO: completions made at once over all devices; unset, those of one step."""
    num_ppo_epochs: int | None = setting(None, ge=1, aliases=("ppo_epochs", "num_iterations"))
    """GRPO: updates per batch of completions; unset, 1."""
    kl_coef: float = setting(0.1, ge=0, aliases=("grpo_beta",))
    """Weight of the KL divergence to the reference model; 0 needs no reference model."""
    cliprange: float = setting(0.2, gt=0, aliases=("epsilon",))
    """The policy ratio is clipped to 1 - cliprange from below."""
    cliprange_high: float | None = setting(None, gt=0, aliases=("epsilon_high",))
    """The policy ratio is clipped to 1 + cliprange_high from above; unset, `cliprange`."""
    ent_coef: float = setting(0.0, aliases=("entropy_coef",))
    """Weight of the entropy bonus."""
    scale_rewards: Literal["group", "batch", "none"] = setting("group")
    """GRPO: divide advantages by the standard deviation of the group, of the batch, or not."""
    mask_truncated_completions: bool = setting(False)
    """GRPO: leave completions without an end-of-sequence token out of the loss."""
    temperature: float = setting(0.6, gt=0)
    """GRPO: sampling temperature."""
    top_p: float = setting(0.95, gt=0, le=1)
    """GRPO: sample from the smallest set of tokens whose probability reaches this."""
    top_k: int = setting(0, ge=0)
    """GRPO: sample from the so many likeliest tokens; 0 means all."""
    max_prompt_length: int | None = setting(512, ge=1)
    """GRPO: longest prompt, in tokens; longer ones are left out, and counted."""
    max_completion_length: int = setting(256, ge=1, aliases=("response_length", "max_new_tokens"))
    """GRPO: longest completion, in tokens."""
    generation_kwargs: dict[str, Any] | None = setting(None)
    """GRPO: further arguments of the model's `generate`."""
    enable_thinking: bool = setting(False)
    """GRPO: let the chat template of a Qwen3 model open a thinking block."""


class RewardConfig(Section):
    """One reward function and its weight in the sum."""

    type: str = setting(..., aliases=("reward_type",), min_length=1)
    """Name of a registered reward, or `custom`."""
    weight: float = setting(1.0, allow_inf_nan=False)
    """Factor in the weighted sum; applied exactly once."""
    params: dict[str, Any] = setting({})
    """Parameters of the reward; for `custom`, `reward_function` is the function or its name."""
    clip: float | tuple[float, float] | None = setting(None)
    """Limit the value to [-clip, clip], or to [low, high]."""
    shield: bool = setting(False)
    """A veto: a value below `params.shield_threshold` caps the total at `params.shield_value`."""

    @field_validator("type", mode="before")
    @classmethod
    def _name(cls, value: object) -> object:
        return value.value if isinstance(value, RewardType) else value


class EvaluatorConfig(Section):
    """One evaluator and its parameters."""

    type: str = setting(..., min_length=1)
    """Name of a registered evaluator."""
    params: dict[str, Any] = setting({})
    """Its parameters."""


class EvaluationConfig(Section):
    """What is measured on the evaluation data, before, during and after training."""

    evaluators: list[EvaluatorConfig] = Field(default_factory=list)
    """Registered evaluators, by name or as `{type, params}`."""
    before_training: bool = setting(False)
    """Measure the model as it was loaded, too."""
    max_samples: int | None = setting(None, ge=1)
    """Evaluate on at most so many rows."""
    batch_size: int = setting(16, ge=1)
    """Rows per forward pass or generation."""
    max_new_tokens: int = setting(256, ge=1)
    """Longest completion, in tokens."""
    temperature: float = setting(0.0, ge=0)
    """Sampling temperature; 0 takes the likeliest token."""
    top_p: float = setting(1.0, gt=0, le=1)
    """Nucleus sampling."""

    @field_validator("evaluators", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if isinstance(value, list):
            return [{"type": item} if isinstance(item, str) else item for item in value]
        return value


class LoggingConfig(Section):
    """Where the run leaves what it made, and whom it tells."""

    elsewhere = {
        "log_interval": "train.logging_steps",
        "save_steps": "train.save_interval",
        "eval_steps": "train.eval_interval",
        "save_strategy": "train.save_strategy",
        "eval_strategy": "train.eval_strategy",
    }

    output_dir: str = setting("./output", min_length=1)
    """The run directory."""
    run_name: str | None = setting(None)
    """Name of the run; unset, the name of the run directory."""
    loggers: list[str] = setting(["tensorboard"], aliases=("report_to",))
    """Experiment trackers; `none` for none. Unset, those of the default that are installed."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = setting(
        "INFO", aliases=("level",)
    )
    """How much is logged."""
    disable_tqdm: bool = setting(False)
    """No progress bars."""

    @field_validator("loggers", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        if isinstance(value, str):
            value = [value]
        return [] if value in (["none"], None) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class DistributedConfig(Section):
    """How many processes train, and how they share the work."""

    elsewhere = {"seed": "train.seed"}

    backend: BackendType = setting(BackendType.SINGLE)
    """Distributed strategy: single, ddp, fsdp or deepspeed."""
    num_processes: int = setting(1, ge=1)
    """Processes."""

    @field_validator("backend")
    @classmethod
    def _strategy(cls, value: BackendType) -> BackendType:
        strategies = (BackendType.SINGLE, BackendType.DDP, BackendType.FSDP, BackendType.DEEPSPEED)
        if value not in strategies:
            raise ValueError(f"{value.value!r} is a training backend; set `backend: {value.value}`")
        return value


class PluginsConfig(Section):
    """Which plugins may load for this run."""

    only: list[str] | None = setting(None)
    """Allow-list of entry-point or distribution names."""
    without: list[str] = setting([])
    """Deny-list of entry-point or distribution names."""
    strict: bool = setting(False)
    """Stop at the first plugin that fails, instead of listing it."""
