"""Cases of the group text."""

from __future__ import annotations

from hacking import Case

CASES: dict[str, Case] = {}
