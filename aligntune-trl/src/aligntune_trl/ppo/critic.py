"""PPO's critic: what return it expects at each token of a completion.

Without a model of its own it is a value head on the policy's hidden states, and its loss trains the
policy's body too; with `model.reward_value_model` it is a model beside the policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from aligntune.errors import ConfigError, Problem
from aligntune_trl.backend import is_path

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from aligntune.config import RunConfig

__all__ = ["ValueHead", "ValueModel", "check_value_model", "load_value_model"]


class ValueHead(torch.nn.Module):
    """A linear function of the policy's last hidden states, 0 everywhere at first."""

    reads_policy = True

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(hidden_size))
        self.bias = torch.nn.Parameter(torch.zeros(()))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Values of shape (rows, tokens), from hidden states of shape (rows, tokens, hidden)."""
        return hidden_states.to(self.weight.dtype) @ self.weight + self.bias


class ValueModel(torch.nn.Module):
    """A language model with one number for each token in place of the next token."""

    reads_policy = False

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Values of shape (rows, tokens), from tokens of the same shape."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits[..., 0].float()


def check_value_model(name: str, config: RunConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a `model.reward_value_model` that is not there or cannot read the policy's tokens.

    Raises:
        ConfigError: names the model, before its weights or the policy's load.
    """
    from transformers import AutoConfig

    try:
        found: PreTrainedConfig = AutoConfig.from_pretrained(
            name, trust_remote_code=config.model.trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise _cannot_load(name, config, error) from error
    size = found.get_text_config().vocab_size
    if size < len(tokenizer):
        raise ConfigError(
            Problem(
                "model.reward_value_model",
                f"{name!r} knows {size} tokens and the policy's tokenizer has {len(tokenizer)}",
                config.origins.get("model.reward_value_model", ""),
                "use a model of the policy's family",
            )
        )


def load_value_model(name: str, config: RunConfig) -> ValueModel:
    """Load a value model in float32; a head that it lacks is 0 at first.

    Raises:
        ConfigError: if it cannot be loaded.
    """
    from transformers import AutoModelForTokenClassification

    try:
        model, loading = AutoModelForTokenClassification.from_pretrained(
            name,
            num_labels=1,
            dtype="float32",
            trust_remote_code=config.model.trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_load(name, config, error) from error
    with torch.no_grad():
        for missing in loading["missing_keys"]:
            model.get_parameter(missing).zero_()
    return ValueModel(model)


def _cannot_load(name: str, config: RunConfig, error: Exception) -> ConfigError:
    where = config.origins.get("model.reward_value_model", "")
    said = str(error).strip().partition("\n")[0]
    if is_path(name) and not Path(name).exists():
        said = "there is no such folder"
    message = f"{name!r} cannot be loaded: {said}"
    return ConfigError(Problem("model.reward_value_model", message, where))
