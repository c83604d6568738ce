"""What brought a name that is not there now: the record of a run that had it.

A run writes down every plugin with what it provides and where it was installed from. The records
looked at are those of the run directory that a configuration names, and of the one that it lies in.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from aligntune.config import RunConfig
from aligntune.run.paths import RunPaths

__all__ = ["recalled"]


def recalled(kind: str, name: str, path: str, config: RunConfig) -> str:
    """Which distribution a run had the name from, and the command that installs it; or nothing.

    `path`: where in the configuration the name stands.
    """
    owner, _, bare = name.rpartition(":")
    for folder in _folders(path, config):
        for record in _records(folder):
            known = record.get("name"), record.get("distribution")
            if bare in record.get("provides", {}).get(kind, ()) and owner in ("", *known):
                return _told(folder, record)
    return ""


def _folders(path: str, config: RunConfig) -> Iterator[Path]:
    yield Path(config.logging.output_dir).expanduser()
    places = [path, *(path[:end] for end, letter in enumerate(path) if letter == ".")]
    for place in places:
        file = config.origins.get(place, "").partition(":")[0]
        if file.endswith((".yaml", ".yml", ".json")):
            yield Path(file).parent


def _records(folder: Path) -> list[dict[str, Any]]:
    """The plugins of a run; none where there is no run, or its record cannot be read."""
    try:
        found = json.loads(RunPaths(folder).plugins.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [record for record in found if isinstance(record, dict) and "distribution" in record]


def _told(folder: Path, record: dict[str, Any]) -> str:
    name, version = record["distribution"], record.get("version", "")
    try:
        here = f"; {name} {importlib.metadata.version(name)} is installed, and brings it no more"
    except importlib.metadata.PackageNotFoundError:
        here = ""
    source = record.get("source") or ""
    wanted = source if source and _is_there(source) else f"{name}=={version}" if version else name
    return f'the run in {folder} had it from {name} {version}{here}: pip install "{wanted}"'


def _is_there(source: str) -> bool:
    """Whether a file or folder of this machine is still there; other addresses may well be."""
    parts = urlsplit(source)
    return parts.scheme != "file" or Path(url2pathname(parts.path)).exists()
