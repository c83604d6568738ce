"""Reads rows: a data set on the hub, or local files. Everything else happens in `prepare`."""

from __future__ import annotations

import glob
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.config import DatasetConfig
from aligntune.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["load_rows"]

_FORMATS = {
    ".jsonl": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".txt": "text",
}


def load_rows(config: DatasetConfig) -> Dataset:
    """Read the rows of one data set, as they are.

    Raises:
        DataError: if there is no such file, data set, subset or split, or a file is broken; names
            the file and the line where that can be known.
    """
    files = _local_files(config.name)
    if files is None:
        return _from_hub(config)
    if config.subset is not None:
        raise DataError(
            f"{config.name}: a local file has no subset {config.subset!r}; leave it out"
        )
    if config.revision is not None:
        raise DataError(f"{config.name}: a local file has no revision; leave it out")
    return _from_files(config, files)


def _local_files(name: str) -> list[Path] | None:
    """The local files that a name stands for, or None if it is a hub name."""
    path = Path(name).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        if _is_saved(path):
            return [path]
        if found := sorted(p for p in path.iterdir() if p.suffix.lower() in _FORMATS):
            return found
        kinds = ", ".join(_FORMATS)
        raise DataError(f"{name}: the folder holds no data files ({kinds})")
    if any(mark in name for mark in "*?["):
        matched = sorted(Path(match) for match in glob.glob(name, recursive=True))  # noqa: PTH207 (an absolute pattern may stand here)
        if not matched:
            raise DataError(f"{name}: no file matches")
        return matched
    if path.suffix.lower() in _FORMATS or path.is_absolute() or name.startswith(("./", "../", "~")):
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near)
        raise DataError(f"{name}: there is no such file{'; ' + hint if hint else ''}")
    return None


def _is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` of a data set, or of several splits, wrote the folder."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _from_files(config: DatasetConfig, files: list[Path]) -> Dataset:
    import datasets

    if files[0].is_dir():
        loaded = datasets.load_from_disk(str(files[0]))
        if isinstance(loaded, datasets.DatasetDict):
            return _split_of(loaded, config)
        return _split_of({"train": loaded}, config)
    kinds = {_FORMATS.get(file.suffix.lower(), "") for file in files}
    if "" in kinds or len(kinds) > 1:
        endings = ", ".join(sorted({file.suffix or file.name for file in files}))
        raise DataError(f"{config.name}: files of one of these kinds are read together: "
                        f"{', '.join(_FORMATS)}; found {endings}")  # fmt: skip
    if config.split != "train":
        raise DataError(
            f"{config.name}: a local file has the one split 'train', not {config.split!r}"
        )
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(f"{file}: the file is empty")
    more: dict[str, Any] = {"sep": "\t"} if files[0].suffix.lower() == ".tsv" else {}
    names = [str(file.resolve()) for file in files]
    builder = datasets.load_dataset_builder(kinds.pop(), data_files=names, **more)
    try:
        with _one_voice():
            builder.download_and_prepare()
    except (datasets.exceptions.DatasetGenerationError, ValueError, OSError) as error:
        cause = error.__cause__ or error
        raise DataError(_broken_line(files) or f"{config.name}: cannot be read: {cause}") from error
    if builder.info.splits["train"].num_examples == 0:
        raise DataError(f"{config.name}: the data set is empty")
    return builder.as_dataset(split="train")


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


def _broken_line(files: list[Path]) -> str | None:
    """Where the first line stands that is not a JSON object, or None."""
    for file in files:
        if file.suffix.lower() != ".jsonl":
            continue
        with file.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line.rstrip()) if line.strip() else {}
                except json.JSONDecodeError as error:
                    return f"{file}:{number}:{error.colno}: this is not JSON: {error.msg}"
                if not isinstance(row, dict):
                    return f"{file}:{number}: expected a JSON object, found a {type(row).__name__}"
    return None


def _split_of(loaded: Any, config: DatasetConfig) -> Dataset:
    if config.split not in loaded:
        splits = ", ".join(loaded)
        raise DataError(
            f"{config.name}: there is no split {config.split!r}; splits there: {splits}"
        )
    return loaded[config.split]


def _from_hub(config: DatasetConfig) -> Dataset:
    import datasets

    try:
        return datasets.load_dataset(
            config.name, config.subset, split=config.split, revision=config.revision
        )
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{config.name}: it is no local file, and the hub did not give it: {first}"
        ) from error
