"""What must hold of the data settings of a run; checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aligntune.data.chat import check_chat
from aligntune.errors import Problem

if TYPE_CHECKING:
    from aligntune.config import DatasetConfig, RunConfig

__all__ = ["check_data"]


def check_data(config: RunConfig) -> Iterable[Problem]:
    """Problems of sources, weights, rows held out, streams, and what is said of the tokenizer."""
    for index, data in enumerate(config.datasets):
        yield from _check_one(f"datasets.{index}", data)
    for index, data in enumerate(config.eval_datasets):
        yield from _check_one(f"eval_datasets.{index}", data)
        if data.val_size is not None:
            message = "these rows are all evaluated on"
            yield Problem(f"eval_datasets.{index}.val_size", message, hint="leave it out")
        if data.streams:
            message = "evaluation goes through all rows again and again, and needs their number"
            hint = "use `max_samples` with `streaming: false`"
            yield Problem(f"eval_datasets.{index}.streaming", message, hint=hint)
        if data.weight != 1:
            message = "all rows are evaluated on, whatever their share"
            yield Problem(f"eval_datasets.{index}.weight", message, hint="leave it out")
    yield from check_chat(config)
    yield from _check_together(config)


def _check_one(path: str, data: DatasetConfig) -> Iterable[Problem]:
    size = data.val_size
    if size is not None and size >= 1 and size != int(size):
        message = f"{size:g} is neither a fraction below 1 nor a number of rows"
        yield Problem(f"{path}.val_size", message)
    if not data.streams:
        return
    if data.percent is not None:
        message = "a stream does not know how many rows there are"
        yield Problem(f"{path}.percent", message, hint="use `max_samples`")
    if size is not None and size < 1:
        message = "a stream does not know how many rows a fraction is"
        yield Problem(f"{path}.val_size", message, hint="give a number of rows")
    if data.dataset_num_proc is not None:
        message = "rows of a stream are prepared as they are read, by the process that trains"
        yield Problem(f"{path}.dataset_num_proc", message, hint="leave it out")


def _check_together(config: RunConfig) -> Iterable[Problem]:
    held_out = [i for i, data in enumerate(config.datasets) if data.val_size is not None]
    if held_out and config.eval_datasets:
        message = "there is evaluation data already (`eval_datasets`)"
        yield Problem(f"datasets.{held_out[0]}.val_size", message, hint="keep one of them")
    if len(config.datasets) == 1 and config.datasets[0].weight != 1:
        message = "a single data set has all of the share"
        yield Problem("datasets.0.weight", message, hint="leave it out, or add another data set")
    streams = [i for i, data in enumerate(config.datasets) if data.streams]
    if not streams:
        return
    path = f"datasets.{streams[0]}.streaming"
    if config.kind == "rl" and not config.datasets[streams[0]].streaming:
        message = "a stream was passed, and this algorithm measures its prompts before training"
        yield Problem(f"datasets.{streams[0]}.name", message, hint="pass a `Dataset`")
    if len(streams) < len(config.datasets):
        message = "data sets that are trained on together are streamed all, or none"
        yield Problem(path, message, hint="set `streaming` alike")
    if config.train.max_steps is None:
        message = "a stream does not know how many steps one pass over it is"
        yield Problem(path, message, hint="set `train.max_steps`")
    if config.train.dataloader_num_workers:
        message = "rows of a stream are read, and counted, by the process that trains"
        yield Problem("train.dataloader_num_workers", message, hint="set it to 0")
    train = config.train
    if train.group_by_length and "group_by_length" in train.model_fields_set:
        message = "rows of a stream come in their order, and cannot be grouped"
        yield Problem("train.group_by_length", message, hint="set it to false")
