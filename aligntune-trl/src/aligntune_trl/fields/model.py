"""The model section, and what else the backend that loads the model is told."""

from __future__ import annotations

from typing import Any

from aligntune.plan.parameters import Fixed, Ours, Refused, To, Use, When

__all__ = ["model_uses"]

_LORA = When("model.peft_enabled", (True,))
_LOAD = "model_init_kwargs"


def model_uses(loader: str) -> dict[str, Use]:
    """The rows of a backend that loads the model with `loader`."""
    return {
        "model.name_or_path": Ours(f"{loader}: the model"),
        "model.revision": To("revision", _LOAD, drop_none=True),
        "model.precision": Ours(f"{loader}: dtype; bf16 and fp16 of the trainer's arguments"),
        "model.quantization": Ours(f"{loader}: quantization_config"),
        "model.attn_implementation": To(
            "attn_implementation", _LOAD, lambda v: None if v == "auto" else v, drop_none=True
        ),
        "model.max_memory": To("max_memory", _LOAD, _device_keys, drop_none=True),
        "model.device_map": To("device_map", _LOAD),
        "model.trust_remote_code": Ours(f"{loader} and the tokenizer: trust_remote_code"),
        "model.model_init_kwargs": Ours(f"{loader}: further arguments"),
        "model.model_adapter_name": Fixed(
            (None, "default"), "the adapter that is trained is called `default`"
        ),
        "model.ref_adapter_name": Refused(
            "a run starts from a whole model, and the reference is that model without the adapter"
        ),
        "model.value_model_quantization": Refused(
            "every weight of a value model is trained, and quantized weights cannot be"
        ),
        "train.use_liger_kernel": To(
            "use_kernels", _LOAD, lambda value: value or None, drop_none=True
        ),
        "model.peft_enabled": Ours("whether a LoRA adapter is trained"),
        "model.lora_rank": To("r", "LoraConfig", when=_LORA),
        "model.lora_alpha": To("lora_alpha", "LoraConfig", when=_LORA),
        "model.lora_dropout": To("lora_dropout", "LoraConfig", when=_LORA),
        "model.target_modules": To("target_modules", "LoraConfig", when=_LORA),
        "model.bias": To("bias", "LoraConfig", when=_LORA),
        "model.use_rslora": To("use_rslora", "LoraConfig", when=_LORA),
        "model.use_dora": To("use_dora", "LoraConfig", when=_LORA),
        "model.init_lora_weights": To("init_lora_weights", "LoraConfig", when=_LORA),
        "model.loraplus_lr_ratio": Ours("the optimizer: learning rate of the B's", when=_LORA),
    }


def _device_keys(value: dict[int | str, Any] | None) -> dict[int | str, Any] | None:
    if value is None:
        return None
    return {int(k) if str(k).isdigit() else k: v for k, v in value.items()}
