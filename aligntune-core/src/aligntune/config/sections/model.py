"""The model: what is loaded, how, and which of its weights are trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from aligntune.config.section import Section, setting
from aligntune.config.sections.rewards import RewardModelSourceConfig
from aligntune.enums import PrecisionType

__all__ = ["ModelConfig"]


class ModelConfig(Section):
    """Which model is trained, how it is loaded, and which of its weights move."""

    name_or_path: str = setting(..., min_length=1)
    """Hub name or local folder of the model."""
    sft_path: str | None = setting(None)
    """Checkpoint of an SFT run: the policy, and with it the reference, starts from there."""
    revision: str | None = setting(None)
    """Branch, tag or commit of a model on the hub."""
    precision: PrecisionType = setting(PrecisionType.BF16, rl=PrecisionType.AUTO)
    """Number format of weights and training: bf16, fp16, fp32 or auto. Unset, fp32 on a CPU."""
    quantization: dict[str, Any] = setting({})
    """Load the weights quantized: `{load_in_4bit: true}` and other arguments of bitsandbytes."""
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
    use_rslora: bool = setting(False)
    """Multiply the LoRA update by alpha / sqrt(rank) instead (rsLoRA), which large ranks need."""
    use_dora: bool = setting(False)
    """Train the length of each weight row beside its direction, which LoRA updates (DoRA)."""
    init_lora_weights: bool | str = setting(True)
    """How LoRA matrices begin: true or gaussian (B is 0), pissa or pissa_niter_16 (PiSSA: the
    principal components of the weights, which are taken out of the model)."""
    loraplus_lr_ratio: float | None = setting(None, gt=0)
    """LoRA+: learning rate of the matrices B, as a multiple of that of A. Unset, it is the same."""
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
    num_labels: int | None = setting(None, ge=1)
    """Number of labels of a classifier."""
    model_init_kwargs: dict[str, Any] = setting({})
    """Further arguments of the model's `from_pretrained`."""
    ref_model_init_kwargs: dict[str, Any] = setting({})
    """Arguments of the reference model's `from_pretrained`; unset, those of the policy."""
    model_adapter_name: str | None = setting(None)
    """Name of the adapter that is trained; unset, `default`."""
    ref_adapter_name: str | None = setting(None)
    """Name of an adapter of the policy that serves as the reference."""
    force_use_ref_model: bool = setting(False)
    """Load a reference model of its own also where switching the adapter off would do."""
    disable_dropout: bool = setting(False, rl=True)
    """Train without dropout, so that policy and reference are compared without noise."""
    use_logits_to_keep: bool = setting(False)
    """Compute logits for completions alone; trainers of today always do."""
    reward_model_name: str | None = setting(None, aliases=("reward_path",))
    """Reward model, by hub name or local path; it becomes a reward of the run."""
    reward_model_source: RewardModelSourceConfig | None = None
    """Where the reward model comes from, in full; instead of `reward_model_name`."""
    reward_model_quantization: dict[str, Any] = setting({})
    """As `quantization`, for the reward model."""
    reward_device: str = setting("auto", min_length=1)
    """Device of the reward model: auto, cpu, cuda, cuda:1, ..."""
    reward_value_model: str | None = setting(None)
    """PPO: model that the critic starts from; unset, a value head on the policy."""
    reward_value_loading_type: Literal["unsloth", "standard"] | None = setting(None)
    """PPO: how the value model is loaded; unset, as plain transformers does."""
    value_model_quantization: dict[str, Any] = setting({})
    """As `quantization`, for the value model."""

    @field_validator("init_lora_weights", mode="before")
    @classmethod
    def _truth(cls, value: object) -> object:
        known = {"true": True, "false": False}
        return known.get(value.lower(), value) if isinstance(value, str) else value

    @field_validator("target_modules", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if isinstance(value, str) and "," in value:
            return [name.strip() for name in value.split(",") if name.strip()]
        return value
