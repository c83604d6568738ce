"""KTO: of two letters the later one is judged good and the other one bad, in rows of their own."""

from __future__ import annotations

from typing import Any

from letters import Rows, letters_task


def judgements(rows: Rows) -> Rows:
    """Each pair as two judgements."""
    found: list[dict[str, Any]] = []
    for row in rows:
        for name, label in (("chosen", True), ("rejected", False)):
            found.append({"prompt": row["prompt"], "completion": row[name], "label": label})
    return found


TASK = letters_task("kto", made=judgements, beta=0.3, batch_size=64)
