"""What is imported, and when: the root is lazy, and light commands stay light."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import aligntune

HEAVY = ("torch", "transformers", "trl", "datasets", "peft", "accelerate", "plotly", "numpy")
LIGHTER = (*HEAVY, "pydantic", "rich", "typer", "yaml", "stevedore", "pluggy")

SCRIPT = """
import json, sys
before = set(sys.modules)
code = None
try:
    {code}
except SystemExit as ended:
    code = ended.code
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print("\\n" + json.dumps({{"code": code, "loaded": sorted(loaded)}}))
"""
COMMAND = "sys.argv = ['aligntune', *{arguments!r}]; from aligntune.cli.main import main; main()"


def loaded_by(code: str, **environment: str) -> tuple[int | None, set[str]]:
    """Exit code and top-level modules of a fresh interpreter that runs a line of code."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(code=code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["code"], set(answer["loaded"])


def test_importing_the_root_imports_nothing_else() -> None:
    _, loaded = loaded_by("import aligntune, aligntune.errors, aligntune.facts")
    assert "aligntune" in loaded
    assert not loaded & set(LIGHTER)


# Every plugin that is installed is looked at, so manifests that are not light are caught too.
@pytest.mark.parametrize("arguments", [["--help"], ["plugins"], ["rewards", "list"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code, loaded = loaded_by(COMMAND.format(arguments=arguments))
    assert code in (None, 0)
    assert "typer" in loaded
    assert not loaded & set(HEAVY)


def test_validate_imports_nothing_heavy(toy: Any, site: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"algorithm": "toy-sft", "model": "m", "dataset": "d", "batch_size": 2}')
    code, loaded = loaded_by(
        COMMAND.format(arguments=["validate", str(path)]),
        PYTHONPATH=str(site),
        ALIGNTUNE_PLUGINS="toy",
    )
    assert code in (None, 0)
    assert {"toy", "pydantic"} <= loaded
    assert not loaded & set(HEAVY)


def test_every_name_of_the_root_resolves() -> None:
    for name in aligntune.__all__:
        assert getattr(aligntune, name) is not None
    assert dir(aligntune) == aligntune.__all__
    with pytest.raises(AttributeError, match="'aligntune' has no attribute 'nonsense'"):
        aligntune.nonsense  # noqa: B018


def test_the_type_stub_of_the_root_lists_the_same_names_from_the_same_modules() -> None:
    stub = ast.parse(Path(aligntune.__file__).with_suffix(".pyi").read_text())
    imported = {
        alias.asname: node.module
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == aligntune._MODULE
    declared = {n.target.id for n in stub.body if isinstance(n, ast.AnnAssign)}  # type: ignore[union-attr]
    assert set(imported) | declared - {"__all__"} == set(aligntune.__all__)
