"""What text and token classification have in common: labels, tokens, and transformers' Trainer.

Labels are settled and rows are tokenized before the model loads. The loss is our own
(`classification_loss`): transformers' is too large wherever gradients are accumulated.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aligntune.core.trainer_base import SFTTrainerBase
from aligntune.errors import ConfigError, DataError, Problem
from aligntune.evaluation import Metric
from aligntune.evaluation.state import undisturbed
from aligntune_trl.arguments import build_config
from aligntune_trl.backend import Head, Policy, start
from aligntune_trl.bars import library_bars
from aligntune_trl.base import TRLTrainer
from aligntune_trl.classification.labels import Labels, find_labels
from aligntune_trl.classification.loss import loss_function

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

    from aligntune_trl.preview.rows import Seen

__all__ = ["ClassificationTrainer", "RowEncoder"]

logger = logging.getLogger("aligntune")

CUT = "cut"
_NO_LIMIT = 1_000_000_000  # tokenizers without a limit give a larger number


@dataclass(frozen=True)
class RowEncoder(ABC):
    """Makes tokens and labels of a row; where more than `limit` tokens are there, some are cut.

    The tokenizer's `truncation_side` says from which end.
    """

    tokenizer: PreTrainedTokenizerBase
    limit: int | None
    labels: Labels | None

    @abstractmethod
    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Tokens as the model takes them, `labels` where `labels` are known, and `cut`.

        Raises:
            DataError: for a label that is none.
        """

    def tokens(self, text: str, **more: Any) -> dict[str, Any]:
        """The tokens of a text, and how many were cut."""
        found = dict(self.tokenizer(text, **more))
        length = len(found["input_ids"])
        if self.limit is None or length <= self.limit:
            return {**found, CUT: 0}
        found = dict(self.tokenizer(text, truncation=True, max_length=self.limit, **more))
        return {**found, CUT: length - len(found["input_ids"])}


@dataclass(frozen=True)
class _Named:
    """Says which row it was that has no such label."""

    encoder: RowEncoder
    rows: str

    def __call__(self, row: dict[str, Any], index: int) -> dict[str, Any]:
        try:
            return self.encoder(row)
        except DataError as error:
            raise DataError(f"row {index} of {self.rows}: {error}") from error


class ClassificationTrainer(TRLTrainer, SFTTrainerBase):
    """Base of trainers of models that give labels in place of tokens."""

    owner = "TrainingArguments"
    task: Literal["SEQ_CLS", "TOKEN_CLS"]
    column: str  # of the labels
    labels: Labels
    train_rows: Dataset
    eval_rows: Dataset | None = None
    cut = 0  # rows to train on of which tokens were cut
    last: Sequence[Metric] = ()  # of the last evaluation

    @abstractmethod
    def encoder(self, labels: Labels | None) -> RowEncoder:
        """What makes tokens of rows."""

    @abstractmethod
    def collator(self) -> Any:
        """What makes a batch of rows."""

    @abstractmethod
    def metrics(self, predicted: Any, labels: Any) -> list[Metric]:
        """What is measured on arrays of numbers, in which -100 stands for no label."""

    def prepare_data(self) -> None:
        super().prepare_data()
        assert self.data is not None
        self.settle_length()
        path = "model.num_labels"
        where = self.config.origins.get(path, "")
        wanted = self.config.model.num_labels
        self.labels = find_labels(self.data.rows, self.column, wanted, self._known(), where)
        self.train_rows, self.cut = self._encoded(self.data.rows, "the rows to train on")
        if self.eval_data is not None:
            self.eval_rows, _ = self._encoded(self.eval_data.rows, "the rows to evaluate on")
        if self.cut:
            logger.warning(
                "%d of %d rows are cut to %d tokens", self.cut, len(self.train_rows), self._limit
            )

    def settle_length(self) -> None:
        """Say how many tokens of a text are read, and from which end.

        Raises:
            ConfigError: if the model cannot read as many as were set, or needs more.
        """
        self._limit = self._longest()
        self.tokenizer.truncation_side = _CUT_SIDE[self.config.train.truncation_mode]

    def _encoded(self, rows: Dataset, which: str) -> tuple[Dataset, int]:
        encode = _Named(self.encoder(self.labels.read_from(rows, self.column)), which)
        with library_bars(shown=False):
            made = rows.map(
                encode,
                with_indices=True,
                remove_columns=rows.column_names,
                num_proc=self.config.train.dataset_num_proc,
                load_from_cache_file=False,
            )
        return made.remove_columns(CUT), sum(count > 0 for count in made[CUT])

    def _model_config(self) -> Any:
        from transformers import AutoConfig

        model = self.config.model
        return AutoConfig.from_pretrained(
            start(self.plan), revision=model.revision, trust_remote_code=model.trust_remote_code
        )

    def _known(self) -> tuple[str, ...]:
        """What the model calls its labels, by number."""
        names = self._model_config().id2label
        return tuple(str(names[number]) for number in sorted(names))

    def _longest(self) -> int | None:
        """The most tokens that are read: as set, and no more than the model can."""
        path, model = "model.max_seq_length", self.config.model
        where = self.config.origins.get(path, "")
        positions = getattr(self._model_config(), "max_position_embeddings", None) or _NO_LIMIT
        can = min(self.tokenizer.model_max_length, positions)
        limit: int | None = model.max_seq_length
        if can < _NO_LIMIT and (limit is None or limit > can):
            if limit is not None and "max_seq_length" in model.model_fields_set:
                message = f"{limit}, and the model reads {can} tokens"
                raise ConfigError(Problem(path, message, where, f"set it to {can} or less"))
            logger.info("%s: %d, the longest that the model reads", path, can)
            limit = can
        added = self.tokenizer.num_special_tokens_to_add()
        if limit is not None and limit <= added:
            message = f"{limit} leaves no room for text beside {added} special tokens"
            raise ConfigError(Problem(path, message, where, "raise it"))
        return limit

    @property
    def length_limit(self) -> int | None:
        return self._longest()

    @property
    def head(self) -> Head:
        return Head(self.task, self.labels.count, self.labels.names)

    def make_trainer(
        self, policy: Policy, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Trainer:
        import transformers

        own = {"label_names": ["labels"], "remove_unused_columns": False}
        given = {name: arguments[name] for name in arguments if name != "model_init_kwargs"}
        model: Any = policy.model
        if policy.peft is not None:
            model = with_adapter(model, policy.peft)
        return transformers.Trainer(
            model=model,
            args=build_config(transformers.TrainingArguments, given | own),
            data_collator=self.collator(),
            train_dataset=self.train_rows,
            eval_dataset=self.eval_rows,
            processing_class=policy.tokenizer,
            compute_loss_func=loss_function(self.config.train.label_smoothing_factor),
            compute_metrics=self._values,
            preprocess_logits_for_metrics=_likeliest,
            callbacks=callbacks,
        )

    def about_data(self) -> dict[str, Any]:
        model: Any = self.setup().model
        names = model.config.id2label
        return {"cut_to_fit": self.cut, "labels": [names[number] for number in sorted(names)]}

    def _values(self, found: Any) -> dict[str, float]:
        self.last = self.metrics(found.predictions, found.label_ids)
        return {metric.name: metric.value for metric in self.last}

    def measure(self, when: str) -> list[Metric]:
        """Write down what the Trainer measures; during training, what it has just measured."""
        trainer = self.setup()
        if self.eval_rows is None:
            return []
        if when != "during":
            with undisturbed(trainer.model), library_bars(shown=False):
                trainer.evaluate()
        self.write_metrics(when, self.last)
        return list(self.last)

    def measure_during(self) -> list[Metric]:
        """As `measure`; the Trainer has logged it all."""
        return self.measure("during") if self.training else []

    def likeliest(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        """The likeliest label of each encoded row, or of each of its tokens."""
        import torch

        trainer = self.setup()
        model: Any = trainer.accelerator.unwrap_model(trainer.model)
        collate, size = self.collator(), trainer.args.per_device_eval_batch_size
        with undisturbed(model), torch.no_grad():
            for first in range(0, len(rows), size):
                some = [
                    {name: value for name, value in row.items() if name != CUT}
                    for row in rows[first : first + size]
                ]
                batch = {name: value.to(model.device) for name, value in collate(some).items()}
                batch.pop("labels", None)
                with trainer.compute_loss_context_manager():
                    found = model(**batch).logits.argmax(-1).tolist()
                yield from found

    def name_of(self, number: int) -> str:
        """What the model calls a label."""
        model: Any = self.setup().model
        return str(model.config.id2label[number])

    def rows_seen(self, rows: Dataset) -> list[Seen]:
        from aligntune_trl.preview.labels import labels_seen

        return labels_seen(self, rows)


_HEADS = ("classifier", "score")  # as architectures call them, and peft looks for them
_CUT_SIDE = {"keep_start": "right", "keep_end": "left"}


def refuse_generation(generation: Mapping[str, Any]) -> None:
    """A classifier generates nothing.

    Raises:
        ConfigError: names the arguments.
    """
    if generation:
        named = ", ".join(generation)
        raise ConfigError(f"predict of a classifier takes nothing besides texts: leave out {named}")


def with_adapter(model: PreTrainedModel, adapter: LoraConfig) -> PeftModel:
    """The model with an adapter; its head, which is new, is trained as a whole.

    What is trained is in float32, as in `torch_dtype`: the head of a base in bfloat16 too.
    """
    import torch
    from peft import get_peft_model

    base: Any = model
    base.enable_input_require_grads()  # or nothing is learned beneath recomputed activations
    if adapter.target_modules == "all-linear":  # peft counts a head for tokens among them
        adapter.exclude_modules = list(_HEADS)
    made: PeftModel = get_peft_model(base, adapter)
    for parameter in made.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            parameter.data = parameter.data.float()
    return made


def _likeliest(logits: Any, labels: Any) -> Any:
    """Numbers in place of logits, of which an evaluation would keep all."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)
