"""The boundary to reward code: what it raises and returns becomes numbers, or one clear error.

A `RewardError` names the reward, the sample, and a little of the prompt and the completion. Nothing
that went wrong is ever turned into a number here.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex

from aligntune.errors import RewardError
from aligntune.scoring.engine import computed
from aligntune.scoring.protocol import Failed, RewardBatch, RewardFunction, SampleError

__all__ = ["raw_values", "sample"]

logger = logging.getLogger("aligntune")

_SHOWN = 80


def raw_values(name: str, reward: RewardFunction, batch: RewardBatch) -> list[float | None]:
    """The values of a reward for a batch, each a finite number or None.

    Raises:
        RewardError: if it raises, or returns a wrong count or anything that is no finite number.
    """
    try:
        returned = computed(reward, batch)
    except SampleError as error:
        cause = error.__cause__ or error
        raise RewardError(
            f"reward {name!r} raised {_described(cause)} on {sample(batch, error.index)}"
        ) from cause
    except (Exception, SystemExit) as error:
        first = f", of which the first is {sample(batch, 0)}" if len(batch) else ""
        raise RewardError(
            f"reward {name!r} raised {_described(error)} on a batch of {len(batch)}{first}"
        ) from error
    values = _listed(name, returned, batch)
    found = [_number(name, value, batch, index) for index, value in enumerate(values)]
    _log_failures(name, reward, found)
    return found


def sample(batch: RewardBatch, index: int) -> str:
    """A sample in few words: its index, its prompt and its completion, both shortened."""
    prompt = "" if batch.prompts is None else f"prompt {_short(batch.prompts[index])}, "
    return f"sample {index} of {len(batch)} ({prompt}completion {_short(batch.texts[index])})"


def _log_failures(name: str, reward: RewardFunction, values: Sequence[float | None]) -> None:
    """Say once for a batch how many completions could not be judged, and why."""
    kinds = Counter(value.kind for value in values if isinstance(value, Failed))
    if kinds:
        logger.log(
            logging.WARNING if kinds.keys() - reward.quiet else logging.DEBUG,
            "reward %s: of %d completions %s",
            name,
            len(values),
            ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())),
        )


def _listed(name: str, returned: object, batch: RewardBatch) -> list[object]:
    if isinstance(returned, str | bytes | dict) or not isinstance(returned, Sequence):
        # Arrays and tensors are no sequences to Python, but list themselves.
        to_list = getattr(returned, "tolist", None)
        if not callable(to_list) or not isinstance(returned := to_list(), list):
            raise RewardError(
                f"reward {name!r} returned {_short(returned)} for a batch of {len(batch)}; it must "
                "return a list with one number for each completion"
            )
    values = list(returned)
    if len(values) != len(batch):
        raise RewardError(
            f"reward {name!r} returned {len(values)} values for {len(batch)} completions"
        )
    return values


def _number(name: str, value: object, batch: RewardBatch, index: int) -> float | None:
    if value is None or isinstance(value, Failed):
        return value
    wrong = f"reward {name!r} returned {_short(value)} for {sample(batch, index)}"
    if not isinstance(value, SupportsFloat | SupportsIndex):
        raise RewardError(f"{wrong}; it must return a number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise RewardError(f"{wrong}; it must return a number") from error
    if not math.isfinite(number):
        raise RewardError(f"{wrong}; it must return a finite number")
    return number


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
