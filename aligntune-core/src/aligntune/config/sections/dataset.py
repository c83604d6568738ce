"""The data: where rows come from, and how they become what is trained on."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike, fspath
from typing import Annotated, Any

from pydantic import WithJsonSchema, field_validator

from aligntune.config.section import Section, setting
from aligntune.enums import TaskType

__all__ = ["DatasetConfig", "is_data", "written_data"]

_OBJECTS = ("Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict")
# How a resolved configuration has an object that was passed: it cannot be read back.
_PASSED = "<{}, passed as an object>"


def is_data(value: object) -> bool:
    """Whether a value is an object of `datasets` that holds rows; imports nothing to find out."""
    kind = type(value)
    return kind.__module__.partition(".")[0] == "datasets" and kind.__name__ in _OBJECTS


def written_data(value: Any) -> str:
    """What a file says in the place of such an object; a configuration does not take it."""
    return _PASSED.format(_label(value))


def _label(value: Any) -> str:
    kind = type(value).__name__
    return f"{kind} of {value.num_rows} rows" if kind == "Dataset" else kind


class DatasetConfig(Section):
    """Where rows come from and how they become what the algorithm trains on."""

    elsewhere = {
        "truncation_mode": "train.truncation_mode",
        "padding_free": "train.padding_free",
        "precompute_ref_log_probs": "train.precompute_ref_log_probs",
        "precompute_ref_batch_size": "train.precompute_ref_batch_size",
        "label_pad_token_id": "train.label_pad_token_id",
    }

    name: Annotated[Any, WithJsonSchema({"type": "string"})] = setting(...)
    """Hub name; a local csv, tsv, json, jsonl, parquet, arrow or text file; a glob; a folder; a
    data set saved to disk; or a `Dataset`."""
    split: str = setting("train", min_length=1)
    """Split to read."""
    subset: str | None = setting(None, aliases=("config", "config_name"))
    """Subset (configuration name) of a data set on the hub."""
    revision: str | None = setting(None)
    """Branch, tag or commit of a data set on the hub."""
    streaming: bool = setting(False)
    """Read rows as they are needed instead of all at once."""
    percent: float | None = setting(None, gt=0, le=100)
    """Use the first so many percent of the rows."""
    max_samples: int | None = setting(None, ge=1)
    """Use at most so many rows, from the first on."""
    weight: float = setting(1.0, gt=0)
    """Share of this data set among several: rows are drawn in proportion to the weights."""
    val_size: float | None = setting(None, gt=0, aliases=("val_set_size", "validation_split"))
    """Hold out rows for evaluation: a fraction below 1, or a number of rows."""
    column_mapping: dict[str, str] = setting({}, aliases=("field_mappings",))
    """Renames columns: name in the data -> name that AlignTune expects."""
    task_type: TaskType = setting(TaskType.SUPERVISED_FINE_TUNING, rl=TaskType.CONVERSATION)
    """What the rows are for."""
    format_type: str | None = setting(None)
    """Format of the rows (`alpaca`, `dolly`, `sharegpt`, ...); unset, told from their columns."""
    auto_detect_fields: bool = setting(False, rl=True)
    """Tell columns by the names they usually have, where the expected ones are not there."""
    text_column: str = setting("text", min_length=1)
    """Column of plain text, and of the text to classify."""
    instruction_column: str = setting("instruction", min_length=1)
    """Column of instructions."""
    response_column: str = setting("response", min_length=1)
    """Column of responses."""
    output_column: str = setting("output", min_length=1)
    """Column of outputs, as alpaca calls its responses."""
    input_column: str = setting("input", min_length=1)
    """Column of inputs that belong to an instruction."""
    context_column: str = setting("context", min_length=1)
    """Column of contexts that belong to an instruction, as dolly calls its inputs."""
    label_column: str = setting("label", min_length=1)
    """Column of labels (classification, unpaired preferences)."""
    tokens_column: str = setting("tokens", min_length=1)
    """Column of words (token classification)."""
    tags_column: str = setting("ner_tags", min_length=1)
    """Column of one tag per word (token classification)."""
    messages_column: str = setting("messages", min_length=1)
    """Column of chat messages."""
    dataset_text_field: str = setting("text", min_length=1)
    """Another name of `text_column`, as TRL has it."""
    chat_template: str | None = setting(None)
    """Jinja chat template that replaces the tokenizer's; the same for all data sets of a run."""
    pad_token: str | None = setting(None)
    """Padding token; unset, the tokenizer's own, or its end-of-sequence token."""
    tools: Any = setting(None)
    """Tools that the chat template describes to the model: functions' JSON schemas."""
    preprocessing: dict[str, Any] = setting({})
    """Reserved; processing is said by `processing_fn` and its companions."""
    system_prompt: str | None = setting(None)
    """System message that is put first in every prompt."""
    preserve_columns: list[str] | None = setting(None)
    """Columns to keep beside the ones that are trained on; unset, RL keeps all for the rewards."""
    processing_fn: Callable[..., Any] | str | None = setting(None)
    """Function applied to each row (or batch), or its importable name `package.module:function`."""
    processing_batched: bool = setting(False)
    """Whether `processing_fn` takes a batch of rows (a dict of lists)."""
    processing_fn_kwargs: dict[str, Any] = setting({})
    """Further arguments of `processing_fn`."""
    dataset_num_proc: int | None = setting(None, ge=1)
    """Processes that prepare the data."""

    @field_validator("name", mode="before")
    @classmethod
    def _name(cls, value: object) -> object:
        if isinstance(value, PathLike):
            return fspath(value)
        if isinstance(value, str) and value.startswith("<") and value.endswith(_PASSED[3:]):
            raise ValueError(
                "a data set that was passed as an object is in no file: pass it again, or give a "
                "file or hub name"
            )
        if is_data(value) or (isinstance(value, str) and value.strip()):
            return value
        raise ValueError("expected a name, a path or a `datasets.Dataset`")

    @property
    def label(self) -> str:
        """The name, or for an object that was passed what it is: how messages call the data set."""
        return self.name if isinstance(self.name, str) else _label(self.name)

    @property
    def streams(self) -> bool:
        """Whether rows are read as they are needed: asked for, or the object is a stream."""
        return self.streaming or type(self.name).__name__.startswith("Iterable")
