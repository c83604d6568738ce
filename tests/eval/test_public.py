"""`aligntune_eval` shows what a user needs, and imports it when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import aligntune_eval


@pytest.mark.parametrize("name", aligntune_eval.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(aligntune_eval, name) is not None


def test_the_types_say_the_same() -> None:
    stub = Path(aligntune_eval.__file__).with_suffix(".pyi").read_text()
    named = [line.rpartition(" as ")[2] for line in stub.splitlines() if " as " in line]
    assert sorted(named) == aligntune_eval.__all__


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'evaluate_model'"):
        aligntune_eval.evaluate_model  # noqa: B018


def test_importing_it_imports_nothing() -> None:
    code = (
        "import sys, aligntune_eval; print(sorted({'torch', 'numpy', 'typer'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
