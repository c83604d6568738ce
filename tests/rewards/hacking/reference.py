"""Cases of the group reference."""

from __future__ import annotations

from hacking import Case

CASES: dict[str, Case] = {}
