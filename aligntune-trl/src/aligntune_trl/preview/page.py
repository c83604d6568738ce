"""Puts a preview together: rows at each stage, lengths, and what is odd about them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from aligntune.data import LeaveOut, follow, load_rows, prepare
from aligntune.preview import Preview, PreviewRow, Sequence
from aligntune_trl.backend import load_tokenizer, start
from aligntune_trl.generation import prompt_ids
from aligntune_trl.preview.rows import Seen, stop_ids

if TYPE_CHECKING:
    from datasets import Dataset

    from aligntune.config import DatasetConfig
    from aligntune_trl.base import TRLTrainer

__all__ = ["make_preview"]

_SHOWN = 120


def make_preview(ours: TRLTrainer, rows: int, lengths: int) -> Preview:
    """Preview the first `rows` rows of each data set in full, and the lengths of `lengths` rows.

    Raises:
        AlignTuneError: as training would, for data, tokenizer and settings that do not fit.
    """
    ours.tokenizer = load_tokenizer(ours.plan, padding_side=ours.padding_side)
    shown = [row for config in ours.config.datasets for row in _rows(ours, config, rows)]
    some = [_limited(config, lengths) for config in ours.config.datasets]
    prepared = prepare(some, ours.plan.algorithm.facts.data, keep_columns=ours.config.kind == "rl")
    whole = _as_dataset(prepared.rows, lengths)
    seen = ours.rows_seen(whole)
    notes = [f"lengths are those of the first {len(seen)} rows"]
    if ours.config.train.packing:
        notes.append(f"packing puts rows into sequences of {ours.config.model.max_seq_length}")
    return Preview(
        algorithm=ours.plan.algorithm.name,
        backend=ours.plan.backend.name,
        model=start(ours.plan),
        rows=shown,
        lengths=[length for one in seen for length in one.lengths],
        limit=ours.length_limit,
        stop_tokens=[str(ours.tokenizer.decode([i])) for i in sorted(stop_ids(ours))],
        counts=[str(report) for report in prepared.reports],
        notes=notes,
        warnings=_warnings(ours, whole, seen),
    )


def _limited(config: DatasetConfig, most: int) -> DatasetConfig:
    limited = config.model_copy()
    limited.max_samples = min(config.max_samples or most, most)
    limited.val_size = None  # a share of all rows, and not of those that are looked at
    return limited


def _as_dataset(rows: Any, most: int) -> Dataset:
    from datasets import Dataset, IterableDataset

    if not isinstance(rows, IterableDataset):
        return rows
    return Dataset.from_list(list(islice(rows, most)), features=rows.features)


def _rows(ours: TRLTrainer, config: DatasetConfig, count: int) -> list[PreviewRow]:
    """Some rows on their way, each on its own, so that one that is left out is seen too."""
    raw = _as_dataset(load_rows(config), count)
    return [_row(ours, config, raw.select([index]), index) for index in range(min(count, len(raw)))]


def _row(ours: TRLTrainer, config: DatasetConfig, raw: Dataset, index: int) -> PreviewRow:
    from datasets import Dataset

    contract, keep = ours.plan.algorithm.facts.data, ours.config.kind == "rl"
    made = next(follow(raw, config, contract, keep_columns=keep), None)
    if made is None:
        said = "processing_fn makes no row of it"
        return PreviewRow(config.label, index, raw[0], left_out=said)
    if isinstance(made, LeaveOut):
        return PreviewRow(config.label, index, raw[0], left_out=made.reason)
    seen = ours.rows_seen(Dataset.from_list([made.row]))[0]
    odd = [f"taken out: {what}" for what in made.cut]
    odd += filter(None, [_differs(ours, made.row, seen)])
    return PreviewRow(
        config.label, index, raw[0], made.row, seen.sequences, seen.left_out, tuple(odd)
    )


def _warnings(ours: TRLTrainer, rows: Dataset, seen: list[Seen]) -> list[str]:
    trained = [s for one in seen if not one.left_out for s in one.sequences]
    said = []
    endless = [s for s in trained if s.stop_trained is False]
    if endless:
        cut = sum(s.cut > 0 for s in endless)
        said.append(
            f"no stop token is trained on in {len(endless)} of {len(trained)} sequences"
            + (f", {cut} of which are cut" if cut else "")
            + ": the model does not learn there to end"
        )
    left_out = sum(bool(one.left_out) for one in seen)
    if left_out:
        reason = next(one.left_out for one in seen if one.left_out)
        said.append(f"{left_out} of {len(seen)} rows would be left out: {reason}")
    cut = sum(s.cut > 0 for s in trained)
    if cut:
        said.append(f"{cut} of {len(trained)} sequences are cut to {ours.length_limit} tokens")
    twice = sum(_begins_twice(s, ours.tokenizer.bos_token_id) for s in trained)
    if twice:
        said.append(f"{twice} of {len(trained)} sequences begin with two beginning-of-text tokens")
    different = [d for row, one in zip(rows, seen, strict=True) if (d := _differs(ours, row, one))]
    if different:
        said.append(f"in {len(different)} of {len(seen)} rows {different[0]}")
    return said


def _begins_twice(sequence: Sequence, bos: int | None) -> bool:
    ids = [token.id for token in sequence.tokens[:2]]
    return bos is not None and ids == [bos, bos]


def _differs(ours: TRLTrainer, row: Any, seen: Seen) -> str | None:
    """How the prompt is rendered otherwise at inference than in training, or None."""
    prompt = row.get("prompt")
    messages = row.get("messages")
    if prompt is None and messages and messages[-1]["role"] == "assistant":
        prompt = messages[:-1]
    if not prompt or seen.sequences[0].role == "prompt" or any(s.cut for s in seen.sequences):
        return None
    asked = prompt_ids(ours.tokenizer, prompt, {})
    for sequence in seen.sequences:
        given = [token.id for token in sequence.tokens[: len(asked)]]
        if given != asked:
            pairs = enumerate(zip(asked, given, strict=False))
            same = next((index for index, (one, other) in pairs if one != other), len(given))
            return (
                "the prompt is rendered otherwise at inference than in training: "
                f"{_short(ours, asked[same:])} is {_short(ours, given[same:])} in training"
            )
    return None


def _short(ours: TRLTrainer, ids: list[int]) -> str:
    text = str(ours.tokenizer.decode(ids))
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
