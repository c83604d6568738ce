"""Repositories of a hub as folders on disk: what lies in them, under the names that a hub gives it.

A repository is the folder `models/OWNER/NAME` or `datasets/OWNER/NAME`. Another branch or tag of it
is the folder `OWNER/NAME@REVISION` beside it. The commit of a revision is the hash of its files, so
it changes when they do, and is the same on every machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["File", "MissingError", "Repositories", "Revision"]


class MissingError(Exception):
    """There is no such repository, revision or entry; `code` is what a hub calls that."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class File:
    """A file of a repository."""

    path: str
    """Path in the repository, with `/`."""
    place: Path
    """The file on disk."""

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.place.stat().st_size

    @property
    def blob(self) -> str:
        """The hash that git gives the content, in hexadecimal."""
        status = self.place.stat()
        return _blob(self.place, status.st_mtime_ns, status.st_size)

    def entry(self) -> dict[str, Any]:
        """The file as listings show it."""
        return {"type": "file", "path": self.path, "size": self.size, "oid": self.blob}


@lru_cache(maxsize=4096)
def _blob(place: Path, _changed: int, size: int) -> str:
    head = f"blob {size}\0".encode()
    return hashlib.sha1(head + place.read_bytes(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Revision:
    """One revision of a repository."""

    folder: Path

    def files(self) -> list[File]:
        """Every file, in the order of their paths."""
        found = (place for place in self.folder.rglob("*") if place.is_file())
        files = [File(place.relative_to(self.folder).as_posix(), place) for place in found]
        return sorted(files, key=lambda file: file.path)

    @property
    def commit(self) -> str:
        """Hash of all paths and contents, in hexadecimal."""
        listing = "".join(f"{file.blob} {file.path}\n" for file in self.files())
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()

    def file(self, path: str) -> File:
        """The file at a path.

        Raises:
            MissingError: if there is none.
        """
        place = self.folder / path
        if not (place.is_file() and place.resolve().is_relative_to(self.folder.resolve())):
            raise MissingError("EntryNotFound", "Entry not found")
        return File(path, place)

    def entries(self, below: str = "", *, recursive: bool = False) -> list[dict[str, Any]]:
        """The files and folders below a path as listings show them.

        Raises:
            MissingError: if there is no folder at that path.
        """
        start = self.folder / below
        if not start.is_dir():
            raise MissingError("EntryNotFound", f"{below} does not exist on this revision")
        found = start.rglob("*") if recursive else start.iterdir()
        return [self._entry(place) for place in sorted(found)]

    def entries_at(self, paths: Iterable[str]) -> list[dict[str, Any]]:
        """The same for some paths; a path that is not there is left out."""
        places = (self.folder / path for path in paths)
        return [self._entry(place) for place in places if place.exists()]

    def _entry(self, place: Path) -> dict[str, Any]:
        path = place.relative_to(self.folder).as_posix()
        if place.is_file():
            return File(path, place).entry()
        return {"type": "directory", "path": path, "size": 0, "oid": _name_hash(path)}


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _name_hash(path: str) -> str:
    return hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Repositories:
    """The repositories of a folder.

    Args:
        folder: holds `models` and `datasets`; large files that are being uploaded are in `uploads`.
    """

    folder: Path

    def store(self, oid: str, content: bytes) -> None:
        """Keep a large file under its SHA-256 until a commit says where it belongs."""
        place = self.folder / "uploads" / oid
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)

    def place(self, kind: str, name: str) -> Path:
        """The folder of a repository's main branch, whether it exists or not."""
        return self.folder / kind / name

    def revisions(self, kind: str, name: str) -> dict[str, Revision]:
        """Every branch and tag of a repository by its name, `main` first.

        Raises:
            MissingError: if there is no such repository.
        """
        main = self.place(kind, name)
        if not main.is_dir():
            raise MissingError("RepoNotFound", "Repository not found")
        others = sorted(main.parent.glob(f"{main.name}@*"))
        named = {folder.name.partition("@")[2]: Revision(folder) for folder in others}
        return {"main": Revision(main), **named}

    def revision(self, kind: str, name: str, revision: str = "main") -> Revision:
        """A revision by its branch, tag or commit.

        Raises:
            MissingError: if there is no such repository, or no such revision of it.
        """
        every = self.revisions(kind, name)
        if revision in every:
            return every[revision]
        for one in every.values():
            if one.commit == revision:
                return one
        raise MissingError("RevisionNotFound", f"Invalid rev id: {revision}")

    def create(self, kind: str, name: str) -> bool:
        """Make an empty repository; False if it exists."""
        place = self.place(kind, name)
        if place.exists():
            return False
        place.mkdir(parents=True)
        return True

    def delete(self, kind: str, name: str) -> None:
        """Remove a repository with all its revisions."""
        place = self.place(kind, name)
        for folder in (place, *place.parent.glob(f"{place.name}@*")):
            shutil.rmtree(folder)

    def apply(self, kind: str, name: str, revision: str, lines: bytes) -> str:
        """Carry out a commit in the form in which the hub takes it, and return its hash.

        Args:
            kind: `"models"` or `"datasets"`.
            name: name of the repository.
            revision: the branch.
            lines: one JSON object per line: `header`, `file`, `lfsFile` (which has been stored),
                `deletedFile` or `deletedFolder`.

        Raises:
            MissingError: if there is no such repository or branch.
        """
        target = self.revision(kind, name, revision)
        for line in lines.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                _write(target.folder / value["path"], base64.b64decode(value["content"]))
            elif step["key"] == "lfsFile":
                stored = self.folder / "uploads" / value["oid"]
                _write(target.folder / value["path"], stored.read_bytes())
            elif step["key"] == "deletedFile":
                target.file(value["path"]).place.unlink()
            elif step["key"] == "deletedFolder":
                shutil.rmtree(target.folder / value["path"])
        return target.commit
