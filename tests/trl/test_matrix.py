"""Every algorithm that is registered for TRL trains there."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells import train_one_step

from aligntune import plugins

ENTRIES = {entry.name: entry for entry in plugins.get().algorithms if entry.facts.backend == "trl"}


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_cell_trains(name: str, adapter: bool, tmp_path: Path) -> None:
    assert train_one_step(ENTRIES[name], tmp_path, adapter=adapter)["step"] >= 1
