"""Which number stands for which label: told from the data, the model and `model.num_labels`.

- Numbers stay what they are, from 0 to `num_labels` - 1, and are called as the model calls them.
- Names (text, or a `ClassLabel` of datasets) keep the numbers that the model has for them, if its
  configuration has them all: a classifier that is trained further keeps its meaning. Otherwise a
  `ClassLabel`'s names keep their order, and texts are sorted.

The model's configuration records the outcome (`id2label`, `label2id`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, DataError, Problem

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Labels", "find_labels"]

_PATH = "model.num_labels"
_SHOWN = 10


@dataclass(frozen=True)
class Labels:
    """The labels of a run.

    Attributes:
        count: how many there are.
        names: what they are called, in the order of their numbers; empty where the data has numbers
            without names.
        given: names of the numbers in the data, where a `ClassLabel` has them.
    """

    count: int
    names: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    def read_from(self, rows: Dataset, column: str) -> Labels:
        """The same labels for other rows, whose `ClassLabel` may have its own order, or be none."""
        return replace(self, given=_class_names(rows.features[column]))

    def number(self, label: int | str) -> int:
        """The number of a label of the data.

        Raises:
            DataError: if it is none of the labels; says what is known.
        """
        if isinstance(label, int) and 0 <= label < len(self.given):
            label = self.given[label]
        if self.names:
            if isinstance(label, str) and label in self.names:
                return self.names.index(label)
            raise DataError(f"the label is {label!r}, and the labels are: {_listed(self.names)}")
        if isinstance(label, str):
            raise DataError(f"the label is {label!r}, and the rows to train on have numbers")
        if not 0 <= label < self.count:
            raise DataError(
                f"the label is {label}, and `{_PATH}: {self.count}` allows 0 to {self.count - 1}"
            )
        return label


def find_labels(
    rows: Dataset, column: str, num_labels: int | None, known: Sequence[str], where: str = ""
) -> Labels:
    """The labels of a run that trains on these rows.

    Args:
        rows: what is trained on.
        column: `label`, or `tags`, which holds lists.
        num_labels: how many labels were set.
        known: what the model calls its labels, by number.
        where: where `num_labels` was set, for errors.

    Raises:
        ConfigError: if `num_labels` is not set, is no number of labels, or not that of the names.
        DataError: if there is one label alone.
    """
    given = _class_names(rows.features[column])
    found = set(_each(rows[column]))
    if len(found) < 2:
        only = next(iter(found))
        shown = given[only] if given and isinstance(only, int) else only
        raise DataError(
            f"{shown!r} is the only label in the rows to train on, so there is nothing to tell "
            "apart; bring rows with others"
        )
    texts = {label for label in found if isinstance(label, str)}
    names = given or tuple(sorted(texts))
    there = len(names) if names else max(label for label in found if isinstance(label, int)) + 1
    said = f": {_listed(names)}" if names else f", of the numbers 0 to {there - 1}"
    hint = f"set `{_PATH}: {there}`"
    if num_labels is None:
        message = f"it must be set for a classifier; the data has {there} labels{said}"
        raise ConfigError(Problem(_PATH, message, where, hint))
    if num_labels < 2:
        message = f"{num_labels}: there is nothing to tell apart; the data has {there} labels{said}"
        raise ConfigError(Problem(_PATH, message, where, hint))
    if not names:
        return Labels(num_labels)
    if len(known) == num_labels and set(names) <= set(known):
        return Labels(num_labels, tuple(known), given)
    if len(names) != num_labels:
        message = f"{num_labels}, and the data has {there} labels{said}"
        raise ConfigError(Problem(_PATH, message, where, hint))
    return Labels(num_labels, names, given)


def _class_names(feature: Any) -> tuple[str, ...]:
    """The names that a `ClassLabel`, or a list of them, has for its numbers."""
    inner = getattr(feature, "feature", feature)
    return tuple(getattr(inner, "names", None) or ())


def _each(values: Iterable[Any]) -> Iterable[int | str]:
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
