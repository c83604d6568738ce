"""The embedded default run: a small model learns to add, by SFT and then by GRPO.

`make` writes model, data and configuration files into a folder; `run` trains them on the same road
as any other run and says what came of it.
"""

from __future__ import annotations

from aligntune.quickstart.recipe import make
from aligntune.quickstart.stages import Stage, measure, run

__all__ = ["Stage", "make", "measure", "run"]
