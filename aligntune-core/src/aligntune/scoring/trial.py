"""Tries rewards on rows before anybody trains on them: values, distribution, failures, speed."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aligntune.errors import DataError, RewardError
from aligntune.scoring.cache import VALUES
from aligntune.scoring.combine import Scorer
from aligntune.scoring.conversation import completion_text, is_conversation
from aligntune.scoring.faults import raw_values
from aligntune.scoring.parts import Part, require
from aligntune.scoring.protocol import Failed, RewardBatch, RewardFunction
from aligntune.scoring.references import choose_reference

__all__ = ["Distribution", "Trial", "batch_of_rows", "distribution", "try_reward"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_CHUNK = 256


@dataclass(frozen=True)
class Distribution:
    """How values are spread.

    `none`: rows that the reward does not apply to. `quantiles`: share of the rows -> the value that
    is not exceeded by it, between values on a line. `at_lowest`, `at_highest`: the share of rows
    at the ends of the declared range, None where it has no such end.
    """

    count: int
    none: int
    mean: float | None
    sd: float | None
    lowest: float | None
    highest: float | None
    quantiles: dict[float, float]
    at_lowest: float | None
    at_highest: float | None


@dataclass(frozen=True)
class Trial:
    """What a reward gave: a value per row, failures by kind, and what it took, in seconds.

    `first`: the first call, with whatever is loaded or started for it. `each`: one completion
    afterwards, among others.
    """

    values: list[float | None]
    failures: dict[str, int]
    spread: Distribution
    load: float
    first: float
    each: float


def batch_of_rows(
    rows: Sequence[Mapping[str, Any]], text_column: str, prompt_column: str = "prompt"
) -> RewardBatch:
    """The rows as a trainer would hand them over; completions are text or messages.

    Raises:
        DataError: if a completion or a prompt is missing or none; names the row.
    """
    said = [row.get(text_column) for row in rows]
    texts: list[str] = []
    for index, completion in enumerate(said):
        try:
            texts.append(completion_text(completion))
        except DataError as error:
            raise DataError(f"row {index}: column {text_column!r}: {error}") from error
    columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
    prompts = columns.pop(prompt_column, None)
    del columns[text_column]
    talk = bool(said) and all(is_conversation(completion) for completion in said)
    return RewardBatch(texts, prompts, columns=columns, messages=said if talk else None)


def try_reward(
    name: str, reward: RewardFunction, batch: RewardBatch, reference_column: str | None = None
) -> Trial:
    """Score a batch as training would, and measure it.

    Raises:
        RewardError: naming the row, if the reward raises or returns what is no finite number.
        DataError: if the rows lack what it requires.
        AlignTuneError: if it cannot load what it scores with.
    """
    column = choose_reference(batch.columns, reference_column)
    alone = Part(name, reward)
    require(alone, frozenset(batch.columns), column)
    if column is not None:
        batch = replace(batch, references=batch.columns[column])
    load = _timed(Scorer([alone]).load)[0]
    one = _part(batch, 0, 1)
    first = _timed(lambda: raw_values(name, reward, one))[0]
    VALUES.clear()  # the first row is computed again, so that the others are not alone in the time
    values: list[float | None] = []
    seconds = 0.0
    for start in range(0, len(batch), _CHUNK):
        part = _part(batch, start, start + _CHUNK)
        try:
            took, found = _timed(lambda part=part: raw_values(name, reward, part))
        except RewardError as error:
            if not start:
                raise
            where = f"rows {start} to {start + len(part) - 1}"
            raise RewardError(f"{where}: {error}") from error.__cause__
        seconds += took
        values += found
    kinds = Counter(value.kind for value in values if isinstance(value, Failed))
    spread = distribution(values, reward.range)
    return Trial(values, dict(kinds), spread, load, first, seconds / len(batch))


def _timed(action: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    found = action()
    return time.perf_counter() - start, found


def _part(batch: RewardBatch, start: int, stop: int) -> RewardBatch:
    def cut(values: Sequence[Any] | None) -> Sequence[Any] | None:
        return None if values is None else values[start:stop]

    return RewardBatch(
        batch.texts[start:stop],
        cut(batch.prompts),
        cut(batch.references),
        {name: values[start:stop] for name, values in batch.columns.items()},
        cut(batch.completion_ids),
        cut(batch.messages),
    )


def distribution(values: Sequence[float | None], limits: tuple[float, float]) -> Distribution:
    """How the values of a reward with this range are spread."""
    known = sorted(float(value) for value in values if value is not None)
    none = len(values) - len(known)
    if not known:
        return Distribution(0, none, None, None, None, None, {}, None, None)

    def share(end: float) -> float | None:
        return known.count(end) / len(known) if math.isfinite(end) else None

    return Distribution(
        count=len(known),
        none=none,
        mean=math.fsum(known) / len(known),
        sd=statistics.stdev(known) if len(known) > 1 else None,
        lowest=known[0],
        highest=known[-1],
        quantiles={q: _quantile(known, q) for q in _QUANTILES},
        at_lowest=share(limits[0]),
        at_highest=share(limits[1]),
    )


def _quantile(known: Sequence[float], share: float) -> float:
    """Between the two nearest values, as numpy's default has it."""
    place = share * (len(known) - 1)
    below = math.floor(place)
    above = min(below + 1, len(known) - 1)
    return known[below] + (known[above] - known[below]) * (place - below)
