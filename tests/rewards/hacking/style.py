"""Cases of the group style."""

from __future__ import annotations

from hacking import Case

CASES: dict[str, Case] = {}
