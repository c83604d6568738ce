"""Rows as the trainer would train on them, before the policy loads.

TRL tokenizes, truncates and marks what is trained while it sets a trainer up. So the trainer of the
run is set up, on its real rows and arguments, around a model of one tiny layer that stands in for
the policy; what it would put into a batch is what is shown.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.data import Prepared
from aligntune.errors import DataError
from aligntune.preview import Sequence, Token
from aligntune.run import RunDirectory
from aligntune_trl.arguments import trainer_arguments
from aligntune_trl.backend import Policy, start
from aligntune_trl.bars import library_bars
from aligntune_trl.generation import prompt_ids

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase, Trainer

    from aligntune_trl.base import TRLTrainer

__all__ = ["Seen", "prompts_seen", "rows_seen", "stop_ids"]

INDEX = "aligntune_row"
_IGNORED = -100
_PAIR = ("chosen", "rejected")
_LONGEST_CHARACTER = 4  # bytes in UTF-8, so that many tokens at most
# What does not change what is trained on, or needs what a preview does not have.
_PLAIN: dict[str, Any] = {
    "packing": False,
    "padding_free": False,
    "precompute_ref_log_probs": False,
    "report_to": [],
    "eval_strategy": "no",
    "load_best_model_at_end": False,
    "bf16": False,
    "fp16": False,
}


@contextmanager
def stand_in(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """A folder with the tokenizer, and a model of one tiny layer over its vocabulary."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        yield folder


def stop_ids(ours: TRLTrainer) -> set[int]:
    """The tokens at which generation with this model ends."""
    from transformers import GenerationConfig

    revision = ours.config.model.revision or "main"
    try:
        said = GenerationConfig.from_pretrained(start(ours.plan), revision=revision).eos_token_id
    except OSError:  # the model brings none; the tokenizer's token is what ends a completion
        said = None
    found = {said} if isinstance(said, int) else set(said or ())
    return found or {ours.tokenizer.eos_token_id}


@dataclass(frozen=True)
class Seen:
    """The sequences of one row, and why it is left out where it is."""

    sequences: tuple[Sequence, ...]
    left_out: str = ""

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence before anything is cut."""
        return [len(sequence.tokens) + sequence.cut for sequence in self.sequences]


def rows_seen(ours: TRLTrainer, rows: Dataset) -> list[Seen]:
    """What TRL would put into a batch for each row."""
    numbered = rows.add_column(INDEX, list(range(len(rows))))
    limit = ours.config.model.max_seq_length
    whole = _collated(ours, numbered, None)
    longest = max(len(sequence.tokens) for made in whole.values() for sequence in made)
    kept = whole if limit is None or longest <= limit else _collated(ours, numbered, limit)
    nothing = f"nothing to train on fits into {limit} tokens"
    return [
        Seen(
            tuple(
                replace(short, cut=len(full.tokens) - len(short.tokens))
                for short, full in zip(kept[number], whole[number], strict=True)
            )
        )
        if number in kept
        else Seen(tuple(whole[number]), nothing)
        for number in range(len(rows))
    ]


def _collated(ours: TRLTrainer, rows: Dataset, limit: int | None) -> dict[int, list[Sequence]]:
    ours.data = Prepared(rows, [])
    with _quiet(), stand_in(ours.tokenizer) as folder:
        arguments = trainer_arguments(ours.plan, ours.owner, RunDirectory(Path(folder)), "cpu")
        arguments |= {name: value for name, value in _PLAIN.items() if name in arguments}
        arguments["max_length"] = limit
        policy = Policy(folder, ours.tokenizer, {"dtype": "float32"})
        arguments["model_init_kwargs"] = policy.init_kwargs
        try:
            trainer = ours.make_trainer(policy, arguments, [])
        except DataError:  # nothing is left of any row; that is what is to be shown
            return {}
        return _by_row(trainer, ours.tokenizer, stop_ids(ours))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the trainer from telling what the preview shows."""
    logger = logging.getLogger("aligntune")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with library_bars(shown=False):
            yield
    finally:
        logger.setLevel(level)


def _by_row(
    trainer: Trainer, tokenizer: PreTrainedTokenizerBase, stops: set[int]
) -> dict[int, list[Sequence]]:
    found: dict[int, list[Sequence]] = {}
    prepared: Any = trainer.train_dataset
    for row in prepared:
        batch = trainer.data_collator([row])
        found[row[INDEX]] = [
            _sequence(
                role,
                [i for i, there in zip(ids.tolist(), present.tolist(), strict=True) if there],
                [
                    bool(t)
                    for t, there in zip(mask.tolist(), present.tolist(), strict=True)
                    if there
                ],
                tokenizer,
                stops,
            )
            for role, ids, present, mask in _parts(batch)
        ]
    return found


def _parts(batch: Any) -> list[tuple[str, Any, Any, Any]]:
    """The sequences of a batch of one row: role, tokens, which are there, which are trained on."""
    if "chosen_input_ids" in batch:
        kinds = ("input_ids", "attention_mask", "labels")
        both = {name: [batch[f"{name}_{kind}"][0] for kind in kinds] for name in _PAIR}
        return [(n, ids, there, labels != _IGNORED) for n, (ids, there, labels) in both.items()]
    if "labels" in batch:
        trained = batch["labels"] != _IGNORED
    else:  # a reward model learns from whole sequences, and marks no token
        trained = batch.get("completion_mask", 0 * batch["attention_mask"])
    roles = ("row",) if len(batch["input_ids"]) == 1 else _PAIR
    return list(zip(roles, batch["input_ids"], batch["attention_mask"], trained, strict=True))


def prompts_seen(ours: Any, rows: Dataset, limit: int | None) -> list[Seen]:
    """The prompts as they are given to the model, which completes them."""
    found = []
    for prompt in rows["prompt"]:
        ids = prompt_ids(ours.tokenizer, prompt, ours.template_arguments)
        made = _sequence("prompt", ids, [False] * len(ids), ours.tokenizer, set())
        too_long = limit is not None and len(ids) > limit
        found.append(Seen((made,), f"the prompt is longer than {limit} tokens" if too_long else ""))
    return found


def _sequence(
    role: str,
    ids: list[int],
    trained: list[bool],
    tokenizer: PreTrainedTokenizerBase,
    stops: set[int],
) -> Sequence:
    tokens = tuple(
        Token(text, i, mark)
        for text, i, mark in zip(pieces(tokenizer, ids), ids, trained, strict=True)
    )
    ends = None if not any(trained) else any(t.trained and t.id in stops for t in tokens)
    return Sequence(role, tokens, 0, ends)


def pieces(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[str]:
    """The text of each token; together they are the decoded text.

    Each is decoded behind the one before it, because some tokenizers drop the space of the first.
    A character that several tokens share is the text of the last of them.
    """

    def decoded(some: list[int]) -> str:
        return str(tokenizer.decode(some, clean_up_tokenization_spaces=False))

    texts: list[str] = []
    before: list[int] = []
    pending: list[int] = []
    for i in ids:
        pending.append(i)
        text = decoded(before + pending)
        if text.endswith("\N{REPLACEMENT CHARACTER}") and len(pending) < _LONGEST_CHARACTER:
            texts.append("")
            continue
        texts.append(text[len(decoded(before)) :])
        before, pending = [i], []
    return texts
