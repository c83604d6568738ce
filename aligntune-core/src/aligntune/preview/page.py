"""Writes a preview as one self-contained HTML page, which asks the network for nothing."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Any

from aligntune.errors import RunError
from aligntune.preview.preview import Preview
from aligntune.preview.terminal import visible

__all__ = ["write_page"]


def write_page(preview: Preview, path: Path) -> Path:
    """Write the page, whole or not at all, and return its path.

    Raises:
        RunError: if it cannot be written there.
    """
    import jinja2

    folder = importlib.resources.files("aligntune.preview") / "templates"
    templates = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    templates.filters.update(visible=visible, written=_written)
    template = templates.from_string((folder / "preview.html.j2").read_text(encoding="utf-8"))
    bins = preview.bins(20)
    most = max((count for _, _, count in bins), default=1)
    page = template.render(preview=preview, bins=bins, most=most)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise RunError(f"{path}: the page cannot be written: {error.strerror}") from error
    return path


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
