"""What both sides of the training benchmark measure: the clock after each step, and peak memory."""

from __future__ import annotations

import json
import resource
import time
from typing import Any

from transformers import TrainerCallback


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.times.append(time.time())

    def report(self, every: int = 1) -> None:
        """Print what was measured as the last line, with the clock after every so many steps."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"times": self.times[every - 1 :: every], "mib": peak}))
