"""Fills in the templates, and writes them into a folder that was not there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from aligntune.errors import ConfigError
from aligntune.scaffold.names import Names

__all__ = ["files_of", "write_package"]

_ENDING = ".j2"
_REQUIRES = {
    "reward": ("aligntune-core>=0.1,<0.2",),
    "evaluator": ("aligntune-core>=0.1,<0.2", "aligntune-eval>=0.1,<0.2"),
    "backend": ("aligntune-core>=0.1,<0.2", "aligntune-trl>=0.1,<0.2"),
}


def files_of(names: Names) -> dict[str, str]:
    """The files of a new package: path -> text."""
    import jinja2

    templates = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (Python and TOML; the names are checked)
    )
    values = {
        "kind": names.kind,
        "distribution": names.distribution,
        "module": names.module,
        "name": names.name,
        "cls": names.cls,
        "requirements": _REQUIRES[names.kind],
    }
    root = resources.files("aligntune.scaffold") / "templates"
    found: dict[str, str] = {}
    for folder in ("common", names.kind):
        for path, template in _below(root / folder):
            text = templates.from_string(template.read_text("utf-8")).render(values)
            found[path.replace("MODULE", names.module).removesuffix(_ENDING)] = text
    return dict(sorted(found.items()))


def _below(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_ENDING):
            yield prefix + entry.name, entry


def write_package(names: Names, folder: Path) -> list[Path]:
    """Write the package into a new folder; returns its files.

    Raises:
        ConfigError: if the folder is there, or cannot be made.
    """
    files = files_of(names)
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder} is there already; choose another folder with --output")
    written = []
    try:
        folder.mkdir(parents=True)
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            written.append(target)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error
    return written
