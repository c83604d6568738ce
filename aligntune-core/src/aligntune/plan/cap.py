"""The environment variable that caps the steps of any run: for trying out a long configuration.

A capped run is the beginning of the whole run: warm-up and learning rate are those of the whole
run, and what was to happen at its end (evaluation, checkpoint, report) happens where it stops.
"""

from __future__ import annotations

import os

from aligntune.config import RunConfig
from aligntune.errors import ConfigError, Problem

__all__ = ["VARIABLE", "cap_steps"]

VARIABLE = "ALIGNTUNE_MAX_STEPS"
PATH = "train.stop_after_steps"


def cap_steps(config: RunConfig) -> dict[str, str]:
    """Lower `train.stop_after_steps` to the environment variable; return why, by path.

    The field counts as set, so a backend that cannot stop there refuses the run.

    Raises:
        ConfigError: if the variable is no positive whole number.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return {}
    if not (given.isascii() and given.isdigit() and int(given) > 0):
        hint = f"set it to a positive whole number, such as {VARIABLE}=2, or unset it"
        raise ConfigError(Problem(PATH, f"{VARIABLE} is {given!r}, no number of steps", hint=hint))
    most, train = int(given), config.train
    if train.stop_after_steps is not None and train.stop_after_steps <= most:
        return {}
    train.__dict__["stop_after_steps"] = most
    train.model_fields_set.add("stop_after_steps")
    return {PATH: f"environment variable {VARIABLE}"}
