"""Files of rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune.testing import write_jsonl


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def to(rows: Any, name: str = "rows.jsonl") -> str:
        path = tmp_path / name
        if isinstance(rows, str):
            path.write_text(rows)
        else:
            write_jsonl(path, rows)
        return str(path)

    return to
