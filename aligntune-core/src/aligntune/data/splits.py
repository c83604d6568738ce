"""The splits of a data set: which there are, and the rows of one, or of `train[:10%]+test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.config import DatasetConfig
from aligntune.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

__all__ = ["check_split", "split_of"]


def check_split(config: DatasetConfig, splits: list[str]) -> None:
    """Refuse a split that is not there; `train[:10%]` and `train+test` name the splits they use.

    Raises:
        DataError: names the splits there are.
    """
    import datasets

    if not splits:  # nothing is known before it is read
        return
    asked = [part.partition("[")[0].strip() for part in config.split.split("+")]
    missing = [name for name in asked if name not in splits and name != "all"]
    if missing and config.split not in splits:
        hint = did_you_mean(missing[0], splits)
        raise DataError(
            f"{config.label}: there is no split {missing[0]!r}; splits there: "
            f"{', '.join(splits)}{'; ' + hint if hint else ''}"
        )
    if config.streams:
        if "[" in config.split:
            raise DataError(
                f"{config.label}: {config.split!r} needs the number of rows, which a stream does "
                "not know; use `max_samples`"
            )
        return
    try:
        datasets.ReadInstruction.from_spec(config.split)
    except (ValueError, AssertionError) as error:
        raise DataError(f"{config.label}: {config.split!r} is no split: {error}") from error


def split_of(loaded: Any, config: DatasetConfig) -> Dataset | IterableDataset:
    """Rows of the split of an object: of a data set (its one split is `train`) or a dict.

    Raises:
        DataError: if there is no such split.
    """
    import datasets

    splits = loaded if isinstance(loaded, dict) else {"train": loaded}
    check_split(config, list(splits))
    whole = splits.get(config.split)
    if isinstance(whole, datasets.IterableDataset):
        return whole
    if any(isinstance(rows, datasets.IterableDataset) for rows in splits.values()):
        raise DataError(f"{config.label}: a stream has whole splits only, not {config.split!r}")
    rows = whole if whole is not None else _sliced(splits, config)
    return rows.to_iterable_dataset() if config.streams else rows


def _sliced(splits: dict[str, Dataset], config: DatasetConfig) -> Dataset:
    """Rows of a split such as `train[:10%]+test`."""
    import datasets

    spec = config.split
    if spec == "all":
        return datasets.concatenate_datasets(list(splits.values()))
    lengths = {str(name): len(rows) for name, rows in splits.items()}
    try:
        parts = datasets.ReadInstruction.from_spec(spec).to_absolute(lengths)
    except (ValueError, AssertionError) as error:
        raise DataError(f"{config.label}: {spec!r} cannot be read: {error}") from error
    chosen = []
    for part in parts:
        first, last = part.from_ or 0, part.to if part.to is not None else lengths[part.splitname]
        chosen.append(splits[part.splitname].select(range(first, last)))
    return datasets.concatenate_datasets(chosen)
