"""One or several judges, asked once or several times each, and the score from all of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from aligntune_rewards.learned.judging.asking import Question
from aligntune_rewards.learned.judging.budget import Budget, BudgetExceededError
from aligntune_rewards.learned.judging.cache import ScoreCache
from aligntune_rewards.learned.judging.client import Endpoint, Patience, Session

__all__ = ["Aggregate", "Asking", "Panel", "gathered"]

T = TypeVar("T")
Aggregate = Literal["mean", "median", "min"]

_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
}
# Changes when what is asked, or how a reply is read, changes in a way that the question does not
# show; scores that were kept before are then asked for again.
_VERSION = 1


@dataclass(frozen=True)
class Panel:
    """Who is asked, how often, and what becomes of the scores."""

    judges: tuple[Endpoint, ...]
    samples: int
    aggregate: Aggregate
    body: Mapping[str, Any]
    concurrency: int
    patience: Patience
    budget: Budget
    cache: ScoreCache

    def key(self, judge: Endpoint, question: Question, sample: int) -> str:
        """A hash of everything that a score depends on."""
        said = [_VERSION, judge.url, judge.model, question.identity, dict(self.body), sample]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Asking:
    """The requests of one batch: bounded in number, and none of them made twice.

    To be used as a context manager, within the event loop that makes the requests.
    """

    def __init__(self, panel: Panel) -> None:
        import httpx

        self.panel = panel
        limits = httpx.Limits(max_connections=panel.concurrency)
        # Time is limited by `Session`, which counts the waiting for each byte together.
        client = httpx.AsyncClient(limits=limits, timeout=None)  # noqa: S113
        self._session = Session(client, panel.patience, panel.budget, panel.body)
        self._slots = asyncio.Semaphore(panel.concurrency)
        self._under_way: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.client.aclose()

    async def score(self, question: Question) -> float:
        """What all judges and samples together give, on the scale.

        Raises:
            JudgeError, FilteredError, BudgetExceededError: as `Session.ask`.
        """
        panel = self.panel
        scores = await gathered(
            self._one(judge, question, sample)
            for judge in panel.judges
            for sample in range(panel.samples)
        )
        return float(_AGGREGATES[panel.aggregate](scores))

    async def _one(self, judge: Endpoint, question: Question, sample: int) -> float:
        cache = self.panel.cache
        key = self.panel.key(judge, question, sample)
        async with self._under_way.setdefault(key, asyncio.Lock()):
            if (kept := cache.get(key)) is not None:
                return kept
            async with self._slots:
                found = await self._session.ask(judge, question)
            cache.put(key, found)
            return found


async def gathered(work: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order; where one raises, the others are stopped before it is raised.

    Where the budget is spent they are let finish: what is under way is paid for, and is kept.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException as error:
        if not isinstance(error.__cause__ or error, BudgetExceededError):
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
