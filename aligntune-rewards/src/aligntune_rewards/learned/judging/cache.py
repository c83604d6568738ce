"""Scores that judges gave, kept in memory and, where a folder is named, on disk.

A key is a hash of everything that the score depends on; what is kept is the score alone, neither
what was asked nor what was answered.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

__all__ = ["ScoreCache"]

logger = logging.getLogger("aligntune")

_KEPT = 100_000


class ScoreCache:
    """Scores by key. Files are written whole and then renamed, so several processes may share."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        self._kept: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> float | None:
        """The score under a key, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = self._read(key)
        if found is not None:
            self._keep(key, found)
        return found

    def put(self, key: str, score: float) -> None:
        """Keep a score.

        Raises:
            OSError: if the folder cannot be written.
        """
        self._keep(key, score)
        if self.folder is not None:
            path = self._path(self.folder, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, made = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump({"score": score}, file)
                Path(made).replace(path)
            except BaseException:
                Path(made).unlink(missing_ok=True)
                raise

    def _keep(self, key: str, score: float) -> None:
        with self._lock:
            self._kept[key] = score
            self._kept.move_to_end(key)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def _read(self, key: str) -> float | None:
        if self.folder is None:
            return None
        path = self._path(self.folder, key)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return float(found["score"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("%s holds no score (%s); the judge is asked again", path, error)
            return None

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key[:2] / f"{key}.json"

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]
