"""`aligntune plugins new`."""

from __future__ import annotations

import shlex
from pathlib import Path

from aligntune import plugins as installed
from aligntune.cli.console import out, print_json
from aligntune.scaffold import Names, write_package

__all__ = ["run"]


def run(kind: str, name: str, output: Path | None, *, as_json: bool) -> None:
    """Write the package, and say what to do with it."""
    names = Names.checked(kind, name, installed.get())
    folder = Path(names.distribution) if output is None else output
    files = write_package(names, folder)
    if as_json:
        said = {"kind": names.kind, "name": names.name, "folder": str(folder)}
        print_json(said | {"files": [str(file) for file in files]})
        return
    for line in (f"{names.distribution}: a package with the {names.kind} {names.name!r}", ""):
        _line(line)
    for file in files:
        _line(f"  {file}")
    _line("\nnext")
    _line(f'  pip install -e "{folder if folder.is_absolute() else f"./{folder}"}[testing]"')
    _line(f"  pytest {shlex.quote(str(folder))}")


def _line(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
