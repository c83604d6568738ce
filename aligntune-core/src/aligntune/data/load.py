"""Reads rows, as they are: of the hub, of local files, or of an object that was passed.

Everything else happens in `prepare`. What `datasets` raises for broken data becomes a `DataError`
here, with the file, the line and the column where they can be known; for a stream, when the row is
reached.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.config import DatasetConfig
from aligntune.data.broken import broken_place, null_first
from aligntune.data.files import KINDS, Local, find_local
from aligntune.data.hub import current_name, hub_error, subset_error
from aligntune.data.splits import check_split, split_of
from aligntune.errors import AlignTuneError, DataError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, IterableDataset

__all__ = ["load_rows"]

logger = logging.getLogger("aligntune")


def load_rows(config: DatasetConfig) -> Dataset | IterableDataset:
    """Read the rows of one data set; a stream if `config.streams`.

    Raises:
        DataError: if there is no such file, data set, subset, split or revision, or a file is
            broken or empty; names what is there.
    """
    if not isinstance(config.name, str):
        _refuse(config, "an object that was passed")
        return split_of(config.name, config)
    local = find_local(config.name)
    if local is not None and local.saved:
        _refuse(config, "a saved data set")
        return _saved(config, local)
    if local is not None and local.folder is None:
        _refuse(config, "a local file")
    source = _Source(config, local)
    if not config.streams:
        return source.read()
    import datasets

    source.check_split(source.builder())
    return datasets.IterableDataset.from_generator(_stream, gen_kwargs={"source": source})


def _refuse(config: DatasetConfig, what: str) -> None:
    if config.subset is not None:
        raise DataError(f"{config.label}: {what} has no subset {config.subset!r}; leave it out")
    if config.revision is not None:
        raise DataError(f"{config.label}: {what} has no revision; leave it out")


@dataclass(frozen=True)
class _Source:
    """What `datasets` is asked for: files, a folder of them, or a name on the hub."""

    config: DatasetConfig
    local: Local | None

    def builder(self) -> DatasetBuilder:
        import datasets

        config, local = self.config, self.local
        more: dict[str, Any] = {}
        with self.errors():
            if local is not None and (wrong := null_first(local.files)) is not None:
                raise DataError(wrong)
            if local is not None and KINDS[local.ending] == "csv":
                more = _as_text(local)
            if local is None:
                return datasets.load_dataset_builder(
                    current_name(config.name), config.subset, revision=config.revision
                )
            if local.folder is not None:
                if config.revision is not None:
                    raise DataError(f"{config.name}: a folder has no revision; leave it out")
                return datasets.load_dataset_builder(str(local.folder), config.subset, **more)
            names = [glob.escape(str(file.resolve())) for file in local.files]
            return datasets.load_dataset_builder(KINDS[local.ending], data_files=names, **more)

    def check_split(self, builder: DatasetBuilder) -> None:
        """Refuse a split that is not there, before anything is downloaded for it."""
        files = builder.config.data_files or {}
        if self.local is not None and self.local.folder is not None and self.config.subset is None:
            self._tell_unused(files)
        check_split(self.config, [str(name) for name in files or builder.info.splits or ()])

    def _tell_unused(self, files: Mapping[Any, Iterable[str]]) -> None:
        assert self.local is not None
        used = {str(file) for some in files.values() for file in some}
        folder = self.local.folder or Path()
        unused = [
            str(file.relative_to(folder))
            for file in self.local.files
            if str(file.resolve()) not in used
        ]
        if unused:
            logger.warning(
                "%s: %s not read: the names of the other files say which split they belong to",
                self.config.name,
                f"{', '.join(unused[:5])}{' and more' if len(unused) > 5 else ''}",
            )

    def read(self) -> Dataset:
        """All rows, through the cache of `datasets`."""
        builder = self.builder()
        self.check_split(builder)
        with self.errors():
            builder.download_and_prepare()
            check_split(self.config, list(builder.info.splits))
            if all(split.num_examples == 0 for split in builder.info.splits.values()):
                raise DataError(f"{self.config.name}: the data set is empty")
            rows = builder.as_dataset(split=self.config.split)
            rows.data.validate(full=True)  # text that is no UTF-8 passes the readers
            return rows

    def stream(self) -> Iterator[dict[str, Any]]:
        """Row after row; a few hundred are read at a time."""
        builder = self.builder()
        with self.errors():
            rows = iter(builder.as_streaming_dataset(split=self.config.split))
        while some := self._next(rows):
            yield from some

    def _next(self, rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
        with self.errors():
            return list(islice(rows, 256))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The boundary to the libraries that read files, and to the hub."""
        try:
            with _one_voice():
                yield
        except AlignTuneError:
            raise
        except Exception as error:  # parsers raise anything for what they were not made for
            raise self._said(error) from error

    def _said(self, error: Exception) -> DataError:
        if self.local is None:
            return hub_error(self.config, error)
        cause = error.__cause__ or error
        said = " ".join(str(cause).split()) or type(cause).__name__
        if (error_of_subset := subset_error(self.config, said)) is not None:
            return error_of_subset
        place = broken_place(self.local.files, said)
        return DataError(place or f"{self.config.name}: cannot be read: {said}")


def _as_text(local: Local) -> dict[str, Any]:
    """Arguments with which values separated by commas or tabs stay the text that they are.

    Left to itself, the reader makes 2134 of 02134, and nothing of the answers `None` and `NA`.
    """
    import datasets
    import pandas as pd

    separator = "\t" if local.ending == ".tsv" else ","
    header = pd.read_csv(local.files[0], sep=separator, nrows=0)
    text = datasets.Value("string")
    features = datasets.Features({str(name): text for name in header.columns})
    return {"sep": separator, "features": features, "keep_default_na": False}


def _stream(source: _Source) -> Iterator[dict[str, Any]]:
    yield from source.stream()


@contextmanager
def _one_voice() -> Iterator[None]:
    """Keep the library from logging what it then raises, and what is said here with the line."""
    log = logging.getLogger("datasets")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _saved(config: DatasetConfig, local: Local) -> Dataset | IterableDataset:
    import datasets

    try:
        with _one_voice():
            loaded = datasets.load_from_disk(str(local.folder))
    except Exception as error:  # parsers raise anything for what they were not made for
        raise DataError(f"{config.name}: the saved data set cannot be read: {error}") from error
    return split_of(loaded, config)
