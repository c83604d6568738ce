"""The parameter reference is what the installed tables say, and was written by the command."""

from __future__ import annotations

from pathlib import Path

from aligntune.cli.reference import reference
from aligntune.plugins import Plugins, Switches

PAGE = Path(__file__).parents[2] / "docs" / "parameters.md"


def test_the_page_is_what_the_command_writes() -> None:
    written = reference(Plugins(Switches.make(only=["trl"])))
    command = "ALIGNTUNE_PLUGINS=trl aligntune explain --markdown > docs/parameters.md"
    assert PAGE.read_text(encoding="utf-8") == written, f"write it again: {command}"
