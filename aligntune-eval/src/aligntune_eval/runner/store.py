"""What an evaluation has done so far, on disk, so that a killed one goes on where it was.

One file of JSON lines for each model and task. The first line says what it belongs to: parts of the
model, the task, the libraries. Another model or a changed task never takes anything from it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aligntune.errors import EvaluationError, RunError
from aligntune.run.files import mend_jsonl, read_jsonl, reported_errors, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import BinaryIO

__all__ = ["FileStore", "changes"]

_FORMAT = 1
Binding = dict[str, str]
"""What results rest on, by a name that a message can use: `{"weights": digest, ...}`."""


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the parts in which two bindings differ."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


class FileStore:
    """Values by keys in one file; see `aligntune.evaluation.Store`.

    Use it as a context manager. `reused`: how many values somebody got that an earlier process had
    put. `begun_anew`: why what was there does not count, in words; empty if nothing was there or it
    counts.

    Raises:
        EvaluationError: if another process has the file open, or a line in it is damaged.
    """

    def __init__(self, path: Path, binding: Mapping[str, str], *, overwrite: bool = False) -> None:
        self.path = path
        self.reused = 0
        self.begun_anew = ""
        self._values: dict[str, Any] = {}
        self._old: set[str] = set()
        self._counted: set[str] = set()
        with reported_errors(f"write {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("ab", buffering=0)
        try:
            self._claim()
            self._read(dict(binding), overwrite)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Any | None:
        """The value that was put under `key`, or None."""
        if key in self._old and key not in self._counted:
            self._counted.add(key)
            self.reused += 1
        return self._values.get(key)

    def put(self, entries: Mapping[str, Any]) -> None:
        """Keep values; they are on disk when this returns, all of them or none."""
        if entries:
            self._append({"entries": dict(entries)})
            self._values.update(entries)

    def remove(self) -> None:
        """Close the file and take it away: what it held is written elsewhere."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _claim(self) -> None:
        """Lock the file for this process; the lock goes with the process, however that ends."""
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EvaluationError(
                f"{self.path} is in use: another process evaluates the same model on the same task "
                "into this folder; wait for it, or give another output folder"
            ) from None

    def _read(self, binding: Binding, overwrite: bool) -> None:
        records: list[dict[str, Any]] = []
        if not overwrite:
            try:
                mend_jsonl(self.path)
                records = read_jsonl(self.path)
            except RunError as error:
                raise EvaluationError(
                    f"{error}; overwrite what is there (--overwrite), or remove the file"
                ) from error
        if records:
            head = records[0]
            before = head.get("binding")
            if head.get("format") != _FORMAT or not isinstance(before, dict):
                self.begun_anew = "it was written by another version of aligntune-eval"
            elif changed := changes(before, binding):
                self.begun_anew = f"changed since: {', '.join(changed)}"
            else:
                for record in records[1:]:
                    self._values.update(record["entries"])
                self._old = set(self._values)
                return
        self._file.truncate(0)
        self._append({"format": _FORMAT, "binding": binding})

    def _append(self, record: dict[str, Any]) -> None:
        with reported_errors(f"write {self.path}"):
            self._file.write((to_json(record) + "\n").encode())
            os.fsync(self._file.fileno())
