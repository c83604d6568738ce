"""Cases of the group code."""

from __future__ import annotations

from hacking import Case

CASES: dict[str, Case] = {}
