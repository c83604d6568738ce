"""How much of each data set: its first rows, the rows held out, its share among several."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aligntune.config import DatasetConfig
from aligntune.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

__all__ = ["columns_of", "hold_out", "limit", "mix", "same_columns", "together", "weighted"]

logger = logging.getLogger("aligntune")


def columns_of(rows: Dataset | IterableDataset) -> list[str]:
    """Names of the columns; those of the first row where a stream does not know them."""
    names = rows.column_names
    return list(names if names is not None else next(iter(rows), {}))


def limit(rows: Dataset | IterableDataset, config: DatasetConfig) -> Dataset | IterableDataset:
    """The first rows, as many as `percent` and `max_samples` allow; at least one."""
    if config.streams:
        return rows if config.max_samples is None else rows.take(config.max_samples)
    count = len(rows)
    if config.percent is not None:
        count = max(1, round(count * config.percent / 100))
    if config.max_samples is not None:
        count = min(count, config.max_samples)
    return rows if count >= len(rows) else rows.select(range(count))


def hold_out(
    rows: Dataset | IterableDataset, config: DatasetConfig, seed: int
) -> tuple[Dataset | IterableDataset, Dataset | None]:
    """Split rows into those to train on and those to evaluate on; no row is in both.

    `val_size` below 1 is a fraction of the rows, otherwise their number. They are drawn with the
    seed; of a stream, whose length is not known, they are the first.

    Raises:
        DataError: if no row is left to train on.
    """
    if config.val_size is None:
        return rows, None
    if config.streams:
        return _first_of_stream(rows, config, int(config.val_size))
    total = len(rows)
    size = config.val_size
    count = max(1, round(total * size)) if size < 1 else int(size)
    if count >= total:
        raise DataError(
            f"{config.label}: val_size {size:g} holds out {count} of {total} rows, which leaves "
            "none to train on"
        )
    chosen = set(random.Random(seed).sample(range(total), count))  # noqa: S311 (no secret)
    kept = [index for index in range(total) if index not in chosen]
    return rows.select(kept), rows.select(sorted(chosen))


def _first_of_stream(
    rows: IterableDataset, config: DatasetConfig, count: int
) -> tuple[IterableDataset, Dataset]:
    import datasets

    first = list(rows.take(count + 1))
    if len(first) <= count:
        raise DataError(
            f"{config.label}: val_size {count} holds out {min(count, len(first))} of "
            f"{len(first)} rows, which leaves none to train on"
        )
    return rows.skip(count), datasets.Dataset.from_list(first[:count])


def weighted(configs: Sequence[DatasetConfig]) -> bool:
    """Whether rows are drawn by weights: where all are 1, data sets follow one another."""
    return any(config.weight != 1 for config in configs)


def mix(
    parts: Sequence[Dataset | IterableDataset], configs: Sequence[DatasetConfig], seed: int
) -> tuple[Dataset | IterableDataset, list[int] | None]:
    """Put data sets together: one after the other, or drawn in proportion to their weights.

    Drawing goes on until every row of every data set was drawn; rows of the others come again.

    Returns:
        The rows, and how many were drawn of each data set; None where nothing was drawn, or
        where it is not known before it is read (streams).

    Raises:
        DataError: if columns of one name hold different kinds of values.
    """
    import datasets

    if len(parts) == 1 or not weighted(configs):
        return together(parts, configs), None
    if any(config.streams for config in configs):
        return _drawn(parts, configs, seed), None
    # Places are drawn, and not rows: so it is known of which data set they are.
    places, offset = [], 0
    for index, part in enumerate(parts):
        numbers = range(offset, offset + len(part))
        places.append(datasets.Dataset.from_dict({"place": numbers, "part": [index] * len(part)}))
        offset += len(part)
    drawn = _drawn(places, configs, seed)
    counts = Counter(drawn["part"])
    rows = together(parts, configs).select(drawn["place"])
    return rows, [counts[index] for index in range(len(parts))]


def together(
    parts: Sequence[Dataset | IterableDataset], configs: Sequence[DatasetConfig]
) -> Dataset | IterableDataset:
    """One data set after the other.

    Raises:
        DataError: if columns of one name hold different kinds of values.
    """
    import datasets

    if len(parts) == 1:
        return parts[0]
    try:
        return datasets.concatenate_datasets(list(parts))
    except (ValueError, TypeError) as error:  # features that cannot be aligned
        names = ", ".join(config.label for config in configs)
        raise DataError(
            f"{names}: columns of one name hold different kinds of values: {error}"
        ) from error


def _drawn(
    parts: Sequence[Dataset | IterableDataset], configs: Sequence[DatasetConfig], seed: int
) -> Dataset | IterableDataset:
    import datasets

    total = sum(config.weight for config in configs)
    return datasets.interleave_datasets(
        list(parts),
        probabilities=[config.weight / total for config in configs],
        seed=seed,
        stopping_strategy="all_exhausted",
    )


def same_columns(
    parts: Sequence[Dataset | IterableDataset],
    configs: Sequence[DatasetConfig],
    own: Sequence[str],
) -> tuple[list[Dataset | IterableDataset], dict[str, list[str]]]:
    """Leave out columns that some data sets lack and none keeps by `preserve_columns`, and say so.

    A reward would find None in the rows of the others. Columns of the contract (`own`) stay.

    Returns:
        The data sets, and the columns that were left out -> the data sets that lack them.
    """
    kept = {*own, *(name for config in configs for name in config.preserve_columns or ())}
    if len(parts) == 1:
        return list(parts), {}
    columns = [columns_of(part) for part in parts]
    every = dict.fromkeys(name for names in columns for name in names)
    partial = {
        name: lacking
        for name in every
        if name not in kept
        and (lacking := [c.label for c, n in zip(configs, columns, strict=True) if name not in n])
    }
    for name, lacking in partial.items():
        logger.warning(
            "the column %r is left out: %s lacks it (`preserve_columns` keeps it, with None there)",
            name,
            ", ".join(lacking),
        )
    return [
        part.remove_columns([name for name in partial if name in names])
        for part, names in zip(parts, columns, strict=True)
    ], partial
