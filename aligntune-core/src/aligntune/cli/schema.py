"""`aligntune schema`."""

from __future__ import annotations

from pathlib import Path

from aligntune import plugins as installed
from aligntune.cli.console import print_json
from aligntune.config.loader import Kind
from aligntune.config.schema import json_schema
from aligntune.errors import ConfigError
from aligntune.run.files import replace_text, to_json

__all__ = ["run"]


def run(kind: Kind | None, output: Path | None) -> None:
    """Write the JSON Schema of configuration files, to a file or to standard output."""
    algorithms = {e.name for e in installed.get().algorithms if kind in (None, e.facts.kind)}
    schema = json_schema(kind, algorithms)
    if output is None:
        print_json(schema)
        return
    if not output.parent.is_dir():
        raise ConfigError(f"there is no folder {str(output.parent)!r}")
    replace_text(output, to_json(schema, indent=2) + "\n")
