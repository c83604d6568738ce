"""What a reward model reads, and what it says of it: token ids in, one number for each text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aligntune.evaluation.preference import preference_accuracy, reward_margin
from aligntune.evaluation.state import undisturbed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

    from aligntune.evaluation import Metric

__all__ = ["pair_metrics", "scores", "tokens_of"]


def tokens_of(tokenizer: PreTrainedTokenizerBase, text: Any, limit: int | None) -> list[int]:
    """The tokens of a text, or of chat messages, as TRL's RewardTrainer reads them.

    A text ends with the end-of-sequence token. What is longer than `limit` loses its beginning.
    """
    if isinstance(text, str):
        end = str(tokenizer.eos_token)
        text = text if text.endswith(end) else text + end
        ids = list(tokenizer(text)["input_ids"])
    else:
        encoded: Any = tokenizer.apply_chat_template(text, tokenize=True, return_dict=True)
        ids = list(encoded["input_ids"])
    return ids if limit is None else ids[-limit:]


def scores(trainer: Trainer, rows: Sequence[Sequence[int]]) -> list[float]:
    """The reward of each sequence of tokens, in order; training goes on as if nothing had been."""
    import torch

    model: Any = trainer.model
    size, pad = trainer.args.per_device_eval_batch_size, trainer.processing_class.pad_token_id  # type: ignore[union-attr]
    found: list[float] = []
    with undisturbed(model), torch.no_grad(), trainer.compute_loss_context_manager():
        for start in range(0, len(rows), size):
            some = [torch.tensor(list(row)) for row in rows[start : start + size]]
            ids = torch.nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=pad)
            there = [torch.ones_like(row) for row in some]
            mask = torch.nn.utils.rnn.pad_sequence(there, batch_first=True)
            device = trainer.accelerator.device
            out = model(input_ids=ids.to(device), attention_mask=mask.to(device))
            found.extend(out.logits[:, 0].float().tolist())
    return found


def pair_metrics(trainer: Trainer) -> list[Metric]:
    """How often the chosen has the higher reward, and by how much, over the evaluation pairs."""
    rows: Any = trainer.eval_dataset
    chosen, rejected = (scores(trainer, rows[name][:]) for name in ("chosen_ids", "rejected_ids"))
    return [
        preference_accuracy("reward_accuracy", chosen, rejected, seed=trainer.args.seed),
        reward_margin("reward_margin", chosen, rejected, seed=trainer.args.seed),
    ]
