"""Every algorithm registered for Unsloth trains there; the documented matrix is the real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells import train_one_step

from aligntune import plugins
from aligntune.cli.algorithms import page
from aligntune.plugins import Plugins, Switches

PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"
ENTRIES = {
    entry.name: entry for entry in plugins.get().algorithms if entry.facts.backend == "unsloth"
}


def test_the_page_is_what_the_command_writes() -> None:
    command = "ALIGNTUNE_PLUGINS=trl,unsloth aligntune algorithms --markdown > docs/matrix.md"
    written = page(Plugins(Switches.make(only=["trl", "unsloth"])))
    assert PAGE.read_text(encoding="utf-8") == written, f"write it again: {command}"


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_cell_trains(name: str, adapter: bool, tmp_path: Path) -> None:
    assert train_one_step(ENTRIES[name], tmp_path, adapter=adapter)["step"] >= 1
