"""PiSSA (Meng et al. 2024, arXiv 2404.02948), saved as an adapter of the model that it began with.

PiSSA takes s·B₀A₀, the principal components of each weight W, out of it: the adapter B, A trains on
W - s·B₀A₀. On W itself the same model is an adapter of twice the rank, with [A; A₀] and [B, -B₀],
because W + s(BA - B₀A₀) = (W - s·B₀A₀) + s·BA. That is what a run leaves. A checkpoint, which must
be able to go on, keeps the factors as they are, and beside them those that it began with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from aligntune.errors import ConfigError, Problem

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Trainer

__all__ = ["START", "PissaCallback", "on_original", "remember", "starting_factors"]

START = "pissa_start.safetensors"
_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
# Part of a factor's name -> the dimension of its rank.
_RANKED = {"lora_A": 0, "lora_B": 1, "lora_embedding_A": 0, "lora_embedding_B": 1}


def remember(trainer: Trainer) -> dict[str, Tensor]:
    """The factors that a new trainer begins with, which its checkpoints will hold too.

    Raises:
        ConfigError: if the trainer has made a second adapter, which would be on other weights.
    """
    policy: Any = trainer.accelerator.unwrap_model(trainer.model)
    if list(policy.peft_config) != ["default"]:
        message = "this algorithm's trainer adds an adapter of its own for the reference"
        raise ConfigError(Problem("model.init_lora_weights", message, hint="use true"))
    start = starting_factors(policy)
    trainer.add_callback(PissaCallback(start))
    return start


def starting_factors(policy: Any) -> dict[str, Tensor]:
    """The factors A and B of a policy as they are now, by the names under which peft saves them."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(policy)
    factors = {name: found[name] for name in found if _rank_of(name) is not None}
    return {name: factor.detach().cpu().clone().contiguous() for name, factor in factors.items()}


def on_original(folder: Path, start: dict[str, Tensor]) -> None:
    """Rewrite a saved PiSSA adapter as a LoRA adapter of the weights that it was taken out of.

    Args:
        folder: holds the adapter as peft saves it.
        start: the factors that it began with, from `starting_factors`.
    """
    import torch

    weights = load_file(folder / _WEIGHTS)
    for name, first in start.items():
        rank = _rank_of(name)
        assert rank is not None
        taken = -first if rank == 1 else first
        weights[name] = torch.cat([weights[name], taken.to(weights[name].dtype)], dim=rank)
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    config["init_lora_weights"] = True
    config["r"] *= 2
    config["lora_alpha"] *= 2**0.5 if config["use_rslora"] else 2  # the scale stays
    save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})
    (folder / _CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


class PissaCallback(TrainerCallback):
    """Writes the factors that the adapter began with into every checkpoint."""

    def __init__(self, start: dict[str, Tensor]) -> None:
        self.start = start

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero:
            save_file(self.start, checkpoint / START)


def _rank_of(name: str) -> int | None:
    return next((rank for part, rank in _RANKED.items() if f".{part}." in f"{name}."), None)
