"""Token classification: one tag for each word.

A row's words are put together with spaces between them, so that a tokenizer sees the text that its
model was trained on. The first token of a word has the word's tag; its other tokens, and spaces and
special tokens, have none (-100).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, DataError, Problem
from aligntune.evaluation import Metric
from aligntune_trl.classification.intervals import classifier_metrics
from aligntune_trl.classification.labels import Labels
from aligntune_trl.classification.loss import IGNORED
from aligntune_trl.classification.metrics import entity_counts, is_bio
from aligntune_trl.classification.trainer import (
    ClassificationTrainer,
    RowEncoder,
    refuse_generation,
)

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["TokenClassificationTrainer", "check_tags", "first_tokens"]


def first_tokens(words: Sequence[str], offsets: Sequence[tuple[int, int]]) -> list[int | None]:
    """For each token, the word that it is the first token of; None for any other.

    Args:
        words: which stand in the text with one space between them.
        offsets: of each token, its first character and the one behind its last; a special token
            has none, so both are 0.
    """
    text = " ".join(words)
    owner = [number for number, word in enumerate(words) for _ in range(len(word) + 1)]
    seen: set[int] = set()
    found: list[int | None] = []
    for first, behind in offsets:
        inside = text[first:behind]
        at = first + len(inside) - len(inside.lstrip())  # some tokens begin with the space before
        word = owner[at] if at < behind else None
        found.append(None if word in seen else word)
        if word is not None:
            seen.add(word)
    return found


class TagEncoder(RowEncoder):
    """The tokens of the words in `tokens`, and the number of each tag at its word's first token."""

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found, places = self.placed(row["tokens"])
        if self.labels is None:
            return found
        tags = [self.labels.number(tag) for tag in row["tags"]]
        labels = [IGNORED if word is None else tags[word] for word in places]
        return found | {"labels": labels}

    def placed(self, words: Sequence[str]) -> tuple[dict[str, Any], list[int | None]]:
        """The tokens, and for each the word that it is the first token of."""
        found = self.tokens(" ".join(words), return_offsets_mapping=True)
        return found, first_tokens(words, found.pop("offset_mapping"))


class TokenClassificationTrainer(ClassificationTrainer):
    """Trains a model for token classification: mean cross entropy of the tags of words."""

    task = "TOKEN_CLS"
    column = "tags"

    def prepare_data(self) -> None:
        super().prepare_data()
        path = "train.metric_for_best_model"
        metric = self.config.train.metric_for_best_model
        if metric in ("entity_f1", "eval_entity_f1") and not is_bio(self.labels.names):
            message = f"{metric!r} is measured of BIO tags (O, B-..., I-...), and these are none"
            where = self.config.origins.get(path, "")
            raise ConfigError(Problem(path, message, where, "use eval_macro_f1 or eval_accuracy"))
        check_tags(self.train_rows, "to train on")
        if self.eval_rows is not None:
            check_tags(self.eval_rows, "to evaluate on")

    def encoder(self, labels: Labels | None) -> TagEncoder:
        if not self.tokenizer.is_fast:
            name = type(self.tokenizer).__name__
            raise ConfigError(f"{name} does not say which characters a token stands for; "
                              "token classification needs a fast tokenizer")  # fmt: skip
        return TagEncoder(self.tokenizer, self._limit, labels)

    def collator(self) -> Any:
        from transformers import DataCollatorForTokenClassification

        multiple = self.config.train.pad_to_multiple_of
        return DataCollatorForTokenClassification(self.tokenizer, pad_to_multiple_of=multiple)

    def metrics(self, predicted: Any, labels: Any) -> list[Metric]:
        kept = [
            [(p, y) for p, y in zip(some, given, strict=True) if y != IGNORED]
            for some, given in zip(predicted.tolist(), labels.tolist(), strict=True)
        ]
        return classifier_metrics(kept, self._entities(kept), self.config.train.seed)

    def _entities(self, rows: list[list[tuple[int, int]]]) -> list[tuple[int, int]] | None:
        names = self.labels.names
        if not is_bio(names):
            return None
        return [
            entity_counts([names[p] for p, _ in row], [names[y] for _, y in row]) for row in rows
        ]

    def predict(self, prompts: Sequence[Any], **generation: Any) -> list[Any]:
        """For each list of words, the likeliest tags; None for words that no token begins.

        Those are words that are cut, and words that the tokenizer reads nothing of.
        """
        refuse_generation(generation)
        if any(isinstance(words, str) for words in (prompts, *prompts)):
            raise ConfigError("predict takes lists of words, such as [['EU', 'rejects']]")
        self.setup()
        encode = self.encoder(None)
        placed = [encode.placed(words) for words in prompts]
        found = self.likeliest([row for row, _ in placed])
        return [
            list(self._tags(len(words), places, numbers))
            for words, (_, places), numbers in zip(prompts, placed, found, strict=True)
        ]

    def _tags(self, count: int, places: Sequence[int | None], numbers: Any) -> Iterator[str | None]:
        at = {word: numbers[place] for place, word in enumerate(places) if word is not None}
        for word in range(count):
            yield self.name_of(at[word]) if word in at else None


def check_tags(rows: Dataset, which: str) -> None:
    """Tags go where their words begin, and some tokenizers read nothing of some words.

    Args:
        rows: encoded, with `labels`.
        which: of them, for errors.

    Raises:
        DataError: if no row has any.
    """
    if all(set(labels) <= {IGNORED} for labels in rows["labels"]):
        raise DataError(
            f"none of {len(rows)} rows {which} keeps a tag: in the tokens that are read no word "
            "begins; bring words that the tokenizer reads, or raise `model.max_seq_length`"
        )
