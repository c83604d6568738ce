"""Rows of a classifier for a preview: their tokens, and what is learned of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligntune.preview import Sequence, Token
from aligntune_trl.classification.tokens import TagEncoder
from aligntune_trl.classification.trainer import CUT
from aligntune_trl.preview.rows import Seen, pieces

if TYPE_CHECKING:
    from datasets import Dataset

    from aligntune_trl.classification.trainer import ClassificationTrainer

__all__ = ["labels_seen"]


def labels_seen(ours: ClassificationTrainer, rows: Dataset) -> list[Seen]:
    """The tokens of each row; marked as trained are those that have a tag.

    A text has one label for all its tokens, which is shown in place of a role.
    """
    ours.settle_length()
    encode = ours.encoder(None)
    found = []
    for row in rows:
        if isinstance(encode, TagEncoder):
            made, places = encode.placed(row["tokens"])
            role, tagged = "tags", [place is not None for place in places]
        else:
            made = encode(row)
            role, tagged = f"label {row['label']}", [False] * len(made["input_ids"])
        ids = made["input_ids"]
        tokens = tuple(
            Token(text, i, mark)
            for text, i, mark in zip(pieces(ours.tokenizer, ids), ids, tagged, strict=True)
        )
        found.append(Seen((Sequence(role, tokens, made[CUT], None),)))
    return found
