"""SimPO: of two letters the later one is preferred."""

from __future__ import annotations

from letters import letters_task

TASK = letters_task("simpo")
