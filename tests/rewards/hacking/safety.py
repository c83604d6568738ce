"""Cases of the group safety."""

from __future__ import annotations

from hacking import Case

CASES: dict[str, Case] = {}
