"""Cases of the group learned."""

from __future__ import annotations

from hacking import Case

CASES: dict[str, Case] = {}
