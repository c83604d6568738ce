"""Local files: which of them a name stands for, and what they are. Reads no row."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from aligntune.errors import DataError, did_you_mean

__all__ = ["KINDS", "Local", "find_local", "kind_of"]

# Ending of a file -> the loader of `datasets` that reads it.
KINDS = {
    ".jsonl": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".txt": "text",
}
_BINARY = (".parquet", ".arrow")


@dataclass(frozen=True)
class Local:
    """Local data: `files` of one kind, or a `folder` of them, or one that `save_to_disk` wrote."""

    files: tuple[Path, ...]
    folder: Path | None = None
    saved: bool = False

    @property
    def ending(self) -> str:
        """Ending of the files without compression, such as `.jsonl`."""
        return ending_of(self.files[0])


def ending_of(path: Path) -> str:
    """The ending that says what a file holds: `.jsonl` of `rows.jsonl` and of `rows.jsonl.gz`."""
    ending = path.suffix.lower()
    if ending == ".gz" and (inner := Path(path.stem).suffix.lower()) not in _BINARY:
        return inner
    return ending


def kind_of(path: Path) -> str | None:
    """The loader that reads a file, or None."""
    return KINDS.get(ending_of(path))


def find_local(name: str) -> Local | None:
    """The local data that a name stands for, or None if it is a hub name.

    Raises:
        DataError: if it looks like a file and there is none, if files of several kinds are meant,
            or if one is empty.
    """
    try:
        return _find(name)
    except (OSError, RuntimeError, ValueError) as error:  # no possible name, or it is forbidden
        raise DataError(f"{name}: cannot be looked for: {error}") from error


def _find(name: str) -> Local | None:
    path = Path(name).expanduser()
    if path.is_file():
        return _checked(name, Local((path,)))
    if path.is_dir():
        return _folder(name, path)
    if "://" in name:
        raise DataError(f"{name}: addresses are not read; give a hub name, or download the file")
    if any(mark in name for mark in "*?["):
        matched = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 (an absolute pattern may stand here)
        files = tuple(match for match in matched if match.is_file())
        if not files:
            raise DataError(f"{name}: no file matches")
        return _checked(name, Local(files))
    if kind_of(path) or path.is_absolute() or name.startswith(("./", "../", "~")):
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near)
        raise DataError(f"{name}: there is no such file{'; ' + hint if hint else ''}")
    return None


def _folder(name: str, path: Path) -> Local:
    if any((path / mark).is_file() for mark in ("state.json", "dataset_dict.json")):
        return Local((), path, saved=True)
    below = (p for p in sorted(path.rglob("*")) if p.is_file() and not _hidden(p, path))
    found = tuple(p for p in below if kind_of(p) and not _describes(p, path))
    if not found:
        raise DataError(f"{name}: the folder holds no data files ({', '.join(KINDS)})")
    return _checked(name, Local(found, path))


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)


def _describes(path: Path, folder: Path) -> bool:
    """Whether a file tells about the data instead of holding it, as files on the hub do."""
    return path.parent == folder and path.name in ("dataset_infos.json", "README.txt")


def _checked(name: str, local: Local) -> Local:
    kinds = {kind_of(file) for file in local.files}
    mixed_text = len({ending_of(file) == ".tsv" for file in local.files}) > 1
    if None in kinds or len(kinds) > 1 or mixed_text:
        endings = ", ".join(sorted({file.suffix or file.name for file in local.files}))
        raise DataError(
            f"{name}: files of one of these kinds are read together: "
            f"{', '.join(KINDS)}; found {endings}"
        )
    for file in local.files:
        if file.stat().st_size == 0:
            raise DataError(f"{file}: the file is empty")
    return local
