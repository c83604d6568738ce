"""The formats that rows have in the world, and which of them the rows at hand have."""

from __future__ import annotations

from aligntune.data.formats.base import Format, LeaveOut, Role
from aligntune.data.formats.labels import TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION
from aligntune.data.formats.pairs import (
    ALPACA,
    CHAT,
    DOLLY,
    PROMPT,
    PROMPT_COMPLETION,
    SHAREGPT,
    TEXT,
)
from aligntune.data.formats.preference import PREFERENCE, PREFERENCE_IMPLICIT, UNPAIRED

__all__ = ["FORMATS", "Format", "LeaveOut", "Role", "named"]

# Where rows have several, the first that the algorithm can use is taken.
FORMATS: tuple[Format, ...] = (
    CHAT,
    SHAREGPT,
    ALPACA,
    DOLLY,
    PROMPT_COMPLETION,
    PROMPT,
    PREFERENCE,
    PREFERENCE_IMPLICIT,
    UNPAIRED,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
    TEXT,
)


def named(name: str) -> Format | None:
    """The format that `format_type` names, in any spelling of case and dashes; None if none."""
    wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
    return next((one for one in FORMATS if wanted in (one.name, *one.aliases)), None)
