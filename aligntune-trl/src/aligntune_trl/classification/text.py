"""Text classification: one label for a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aligntune.errors import ConfigError
from aligntune.evaluation import Metric
from aligntune_trl.classification.intervals import classifier_metrics
from aligntune_trl.classification.labels import Labels
from aligntune_trl.classification.trainer import (
    ClassificationTrainer,
    RowEncoder,
    refuse_generation,
)

__all__ = ["TextClassificationTrainer"]


class TextEncoder(RowEncoder):
    """The tokens of `text`, and the number of `label`."""

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = self.tokens(row["text"])
        if self.labels is None:
            return found
        return found | {"labels": self.labels.number(row["label"])}


class TextClassificationTrainer(ClassificationTrainer):
    """Trains a model for sequence classification: mean cross entropy of the labels of texts."""

    task = "SEQ_CLS"
    column = "label"

    def encoder(self, labels: Labels | None) -> RowEncoder:
        return TextEncoder(self.tokenizer, self._limit, labels)

    def collator(self) -> Any:
        from transformers import DataCollatorWithPadding

        multiple = self.config.train.pad_to_multiple_of
        return DataCollatorWithPadding(self.tokenizer, pad_to_multiple_of=multiple)

    def metrics(self, predicted: Any, labels: Any) -> list[Metric]:
        rows = [[pair] for pair in zip(predicted.tolist(), labels.tolist(), strict=True)]
        return classifier_metrics(rows, seed=self.config.train.seed)

    def predict(self, prompts: Sequence[Any], **generation: Any) -> list[str]:
        """The name of the likeliest label of each text."""
        refuse_generation(generation)
        if isinstance(prompts, str):
            raise ConfigError(f"predict takes a list of texts, not the one text {prompts!r}")
        self.setup()
        encode = self.encoder(None)
        numbers = self.likeliest([encode({"text": text}) for text in prompts])
        return [self.name_of(number) for number in numbers]
