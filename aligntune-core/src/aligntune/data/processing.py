"""What users do to rows before they are normalised: a function of theirs, then columns renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.config import DatasetConfig
from aligntune.data.formats.values import shown
from aligntune.errors import AlignTuneError, DataError, did_you_mean
from aligntune.registry import import_target

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

__all__ = ["NOT_RETURNED", "Processing", "make_processing", "processed", "renamed"]

NOT_RETURNED = "processing_fn did not return them"

# What Arrow raises for values that do not fit into one column.
ARROW_ERRORS = (ValueError, TypeError, OverflowError, NotImplementedError)


@dataclass(frozen=True)
class Processing:
    """A `processing_fn` with its arguments, for `map` with indices; its mistakes name the row."""

    label: str
    function: Callable[..., Any]
    batched: bool
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, rows: Mapping[str, Any], index: Any) -> dict[str, Any]:
        """The columns that the function returns for a row, or for a batch (a dict of lists).

        Raises:
            DataError: if it raises, or returns something else.
        """
        given = dict(rows)
        try:
            made = self.function(given, **self.arguments)
        except AlignTuneError:
            raise
        except Exception as error:  # the user's function: the boundary that names it
            raise self._error(f"raised {type(error).__name__}: {error}", index, given) from error
        if not isinstance(made, Mapping) or not all(isinstance(name, str) for name in made):
            wanted = (
                "a dict of lists, one per column" if self.batched else "a dict: column -> value"
            )
            raise self._error(f"returned {shown(made)}; expected {wanted}", index, given)
        if self.batched:
            self._check_lengths(made, given, index)
        return dict(made)

    def _check_lengths(self, made: Mapping[str, Any], given: Mapping[str, Any], index: Any) -> None:
        lengths = {}
        for name, values in {**given, **made}.items():
            if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Sequence):
                wanted = "a list with one value per row"
                raise self._error(
                    f"returned {name}: {shown(values)}; expected {wanted}", index, given
                )
            lengths[name] = len(values)
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise self._error(
                f"leaves columns of different lengths ({said}); return all of them alike",
                index,
                given,
            )

    def _error(self, what: str, index: Any, given: Mapping[str, Any]) -> DataError:
        name = getattr(self.function, "__qualname__", repr(self.function))
        place = f"row {index}" if not self.batched else f"rows {index[0]} to {index[-1]}"
        return DataError(
            f"{self.label}: processing_fn {name} {what} ({place}); "
            f"the columns it was given: {', '.join(given)}"
        )


def make_processing(config: DatasetConfig) -> Processing | None:
    """The configured function, or None.

    Raises:
        PluginError: if it cannot be imported.
        DataError: if its companions are set and it is not.
    """
    if config.processing_fn is None:
        for name in ("processing_batched", "processing_fn_kwargs"):
            if getattr(config, name):
                raise DataError(f"{config.label}: {name} is set, and processing_fn is not")
        return None
    function = import_target(config.processing_fn, "datasets.processing_fn")
    return Processing(
        config.label, function, config.processing_batched, config.processing_fn_kwargs
    )


def processed(rows: Dataset, config: DatasetConfig) -> Dataset:
    """The rows with what `processing_fn` made of them.

    Raises:
        DataError: if the function raises, or returns no rows, or what cannot stand in a row.
    """
    function = make_processing(config)
    if function is None:
        return rows
    try:
        made = rows.map(
            function,
            with_indices=True,
            batched=function.batched,
            num_proc=config.dataset_num_proc,
        )
    except ARROW_ERRORS as error:
        raise DataError(
            f"{config.label}: processing_fn {getattr(function.function, '__qualname__', function)} "
            f"returned values that cannot stand together in a column: {error}"
        ) from error
    if len(made) == 0:
        raise DataError(
            f"{config.label}: processing_fn {getattr(function.function, '__qualname__', function)} "
            f"returned none of the {len(rows)} rows"
        )
    return made


def renamed(
    rows: Dataset | IterableDataset, columns: Sequence[str], config: DatasetConfig
) -> Dataset | IterableDataset:
    """The rows with their columns renamed by `column_mapping`; columns may swap names.

    Raises:
        DataError: if a column is not there, or two would have one name.
    """
    for source, target in config.column_mapping.items():
        if source not in columns:
            hint = did_you_mean(source, columns)
            raise DataError(
                f"{config.label}: column_mapping names the column {source!r}, which is not there; "
                f"the columns there are: {', '.join(columns)}{'; ' + hint if hint else ''}"
            )
        if target in columns and target not in config.column_mapping:
            raise DataError(
                f"{config.label}: column_mapping renames {source!r} to {target!r}, "
                "which is there already"
            )
        if not target.strip():
            raise DataError(f"{config.label}: column_mapping renames {source!r} to no name")
    targets = list(config.column_mapping.values())
    if twice := [target for target in targets if targets.count(target) > 1]:
        raise DataError(f"{config.label}: column_mapping renames two columns to {twice[0]!r}")
    mapping = {s: t for s, t in config.column_mapping.items() if s != t}
    return rows.rename_columns(mapping) if mapping else rows
