"""Writes the first files of a plugin: `aligntune plugins new reward my-reward`."""

from __future__ import annotations

from aligntune.scaffold.names import KINDS, Kind, Names
from aligntune.scaffold.write import files_of, write_package

__all__ = ["KINDS", "Kind", "Names", "files_of", "write_package"]
