"""Pytest tests of what every reward must be, in one line of a test file.

    TestPoliteness = reward_conformance("politeness", rows=[{"text": "Please."}, {"text": "No."}])

A registered name is tested with its manifest; a class or a function without. Long texts are scored
in a process that ends when time is up: a reward that hangs fails its test, and the others go on.
"""

from __future__ import annotations

import math
import os
import pickle
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from aligntune import plugins
from aligntune.errors import AlignTuneError, RewardError
from aligntune.scoring.adapt import as_reward
from aligntune.scoring.build import build_reward
from aligntune.scoring.cache import VALUES
from aligntune.scoring.faults import raw_values
from aligntune.scoring.parts import Part, require
from aligntune.scoring.protocol import ENGINE_COLUMNS, RewardBatch, RewardFunction
from aligntune.testing.elsewhere import score_elsewhere
from aligntune.testing.manifest import Manifest
from aligntune.testing.texts import EMPTY, ROWS, UNICODE, long_texts

__all__ = [
    "RegisteredRewardConformance",
    "RewardConformance",
    "Row",
    "batch_of",
    "reward_conformance",
]

Row = Mapping[str, Any]
Params = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
Values = Sequence[float | None]

_OWN = ("text", "prompt", "reference", "completion_ids", "messages")
# Seconds that one completion of ordinary length may take at best, by the cost that is declared.
_SPEED = {"inline": 0.05, "process": 2.0, "model": 10.0}


def batch_of(rows: Sequence[Row]) -> RewardBatch:
    """A batch of rows that hold `text` and whatever else is known: `prompt`, `reference`, ..."""
    known: dict[str, Any] = {name: [row.get(name) for row in rows] for row in rows for name in row}
    return RewardBatch(
        texts=known["text"],
        prompts=known.get("prompt"),
        references=known.get("reference"),
        completion_ids=known.get("completion_ids"),
        messages=known.get("messages"),
        columns={name: values for name, values in known.items() if name not in _OWN},
    )


def reward_conformance(
    reward: object, *, params: Params | None = None, rows: Iterable[Row] = ROWS, **more: Any
) -> type[RewardConformance]:
    """Tests of a reward, as a class for pytest to collect: give it a name that begins with `Test`.

    Args:
        reward: the name of a registered reward, or a class, or a function.
        params: its parameters, or a function that returns them (and makes a small model first).
        rows: what is scored: `text`, and the `prompt`, the `reference` and the columns that the
            reward reads. Some must earn more than others.
        more: other attributes of `RewardConformance`, such as `speed_limit=None`.

    Raises:
        TypeError: for an attribute that there is not.
        ValueError: if there are no rows, or one of them has no text.
    """
    base = RegisteredRewardConformance if isinstance(reward, str) else RewardConformance
    if unknown := sorted(name for name in more if name not in RewardConformance.__annotations__):
        raise TypeError(f"reward_conformance has no setting {', '.join(map(repr, unknown))}")
    rows = tuple(rows)
    if not rows or any("text" not in row for row in rows):
        raise ValueError("rows must hold at least one row, and each the completion as 'text'")
    # A function that stands in a class becomes a method, unless it is static.
    held = {"reward": staticmethod(reward)} if callable(reward) else {"reward": reward}
    given = staticmethod(params) if callable(params) else (params or {})
    body = {**held, "params": given, "rows": rows, **more}
    return type("RewardConformance", (base,), body)


class RewardConformance:
    """Tests of a reward; subclass it in a test file, or use `reward_conformance`.

    `reward`, `params`, `rows`: as for `reward_conformance`.
    `tolerance`: how far values may differ between batches (a model's last digits depend on them).
    `speed_limit`: most seconds for one of the rows, by default 0.05 for a reward that declares the
    cost `inline`, 2 for `process` and 10 for `model`; `math.inf` switches the test off.
    `long_text_seconds`: most seconds of computing for a text of 1 MB; `math.inf` switches the test
    off.
    `deterministic`: whether the same text must earn the same again; by default what the reward
    declares, and true for a function.
    """

    reward: ClassVar[Any]
    params: ClassVar[Any] = {}
    rows: ClassVar[Sequence[Row]] = ROWS
    tolerance: ClassVar[float | None] = None
    speed_limit: ClassVar[float | None] = None
    long_text_seconds: ClassVar[float] = 20.0
    deterministic: ClassVar[bool | None] = None

    def make(self) -> RewardFunction:
        """A fresh object of the reward, loaded."""
        params = self.params() if callable(self.params) else self.params
        if isinstance(self.reward, str):
            made = build_reward(self.reward, params, plugins.get())[1]
        else:
            made = as_reward(self.reward, params=params)
        made.load()
        return made

    def values(self, reward: RewardFunction, rows: Sequence[Row]) -> list[float | None]:
        """What the rows earn, computed anew; an error names the reward and the row."""
        VALUES.clear()
        return raw_values(reward.label, reward, batch_of(rows))

    def same(self, found: Values, wanted: Values, said: str) -> None:
        """Assert that values are equal, but for the last digits of a model."""
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = 1e-4 if self.make().cost == "model" else 0.0
        assert len(found) == len(wanted), f"{len(found)} values for {len(wanted)} completions"
        for index, (value, other) in enumerate(zip(found, wanted, strict=True)):
            near = value == other or (
                None not in (value, other)
                and math.isclose(value, other, rel_tol=tolerance, abs_tol=tolerance)  # type: ignore[arg-type]
            )
            assert near, f"row {index} earns {value}, {said} {other}"

    def in_range(self, reward: RewardFunction, rows: Sequence[Row]) -> None:
        """Assert that what rows earn is None, or a number within the range."""
        low, high = reward.range
        for row, value in zip(rows, self.values(reward, rows), strict=True):
            assert value is None or low <= value <= high, (
                f"{row['text'][:40]!r} earns {value}; the declared range is {low} to {high}"
            )

    def with_text(self, texts: Iterable[str]) -> list[Row]:
        """These texts, each with what the first row holds beside its own."""
        rest = {k: v for k, v in self.rows[0].items() if k not in ("text", "completion_ids")}
        if "messages" in rest:
            return [
                {**rest, "text": t, "messages": [{"role": "assistant", "content": t}]}
                for t in texts
            ]
        ids = {"completion_ids": [1, 2, 3]} if "completion_ids" in self.rows[0] else {}
        return [{**rest, **ids, "text": text} for text in texts]

    def repeats(self, reward: RewardFunction) -> bool:
        """Whether the same text must earn the same again."""
        if self.deterministic is not None:
            return self.deterministic
        return reward.deterministic or not isinstance(self.reward, type | str)

    def test_rows_hold_what_is_read(self) -> None:
        """The rows have the columns that the reward needs, and some earn more than others."""
        reward = self.make()
        known = {name for row in self.rows for name in row}
        missing = sorted(reward.needs - known)
        assert not missing, f"rows need the columns {', '.join(missing)}"
        found = {value for value in self.values(reward, self.rows) if value is not None}
        assert len(found) > 1, f"every row earns {found or None}; let some earn more than others"

    def test_batch_equals_single(self) -> None:
        """Each row earns by itself what it earns among others, and no row is changed."""
        reward, before = self.make(), pickle.dumps(self.rows)
        together = self.values(reward, self.rows)
        alone = [self.values(reward, [row])[0] for row in self.rows]
        assert pickle.dumps(self.rows) == before, "scoring changes the rows"
        self.same(together, alone, "and by itself")

    def test_order_does_not_matter(self) -> None:
        """Each row earns the same wherever it stands, and however often."""
        reward = self.make()
        wanted = self.values(reward, self.rows)
        order = [*reversed(range(len(self.rows))), *range(len(self.rows))]
        random.Random(0).shuffle(order)  # noqa: S311 (no secret)
        found = self.values(reward, [self.rows[index] for index in order])
        self.same(found, [wanted[index] for index in order], "and in another place")

    def test_determinism(self) -> None:
        """The same again, from another object too; the random numbers of a run are left alone."""
        reward, other = self.make(), self.make()
        if not self.repeats(reward):
            return
        state = random.getstate()
        wanted = self.values(reward, self.rows)
        assert random.getstate() == state, "it draws random numbers of the run's"
        self.same(self.values(reward, self.rows), wanted, "and before")
        self.same(self.values(other, self.rows), wanted, "and from another object")

    def test_another_process(self) -> None:
        """A pickled copy earns the same in a process that hashes strings differently."""
        reward = self.make()
        wanted = self.values(reward, self.rows)
        seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
        (found,), _ = score_elsewhere(reward, [batch_of(self.rows)], hash_seed=seed)
        if self.repeats(reward):
            self.same(found, wanted, "and in this process")

    def test_pickling(self) -> None:
        """A copy made with pickle, before or after it has scored, earns the same."""
        reward = self.make()
        fresh = pickle.loads(pickle.dumps(reward))  # noqa: S301 (made here)
        wanted = self.values(reward, self.rows)
        for copy in (fresh, pickle.loads(pickle.dumps(reward))):  # noqa: S301 (made here)
            found = self.values(copy, self.rows)
            if self.repeats(reward):
                self.same(found, wanted, "and before pickling")

    def test_threads(self) -> None:
        """Several threads may use one object at once."""
        reward = self.make()
        wanted = self.values(reward, self.rows)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: self.values(reward, self.rows), range(8)))
        if self.repeats(reward):
            for values in found:
                self.same(values, wanted, "and in one thread")

    def test_range(self) -> None:
        """What rows earn lies within the declared range."""
        reward = self.make()
        low, high = reward.range
        assert low < high, f"the range is {low} to {high}"
        self.in_range(reward, self.rows)

    def test_unicode(self) -> None:
        """Every script, emoji, joined and combining characters, controls and NUL are text."""
        self.in_range(self.make(), self.with_text(UNICODE))

    def test_empty_text(self) -> None:
        """The empty text and white space are completions too."""
        self.in_range(self.make(), self.with_text(EMPTY))

    def test_very_long_text(self) -> None:
        """A megabyte is scored soon, whatever it consists of."""
        reward, limit = self.make(), self.long_text_seconds
        if math.isinf(limit):
            return
        low, high = reward.range
        batches = [batch_of(self.with_text([text])) for text in long_texts()]
        found, _ = score_elsewhere(reward, batches, limit=limit)
        for batch, (value,) in zip(batches, found, strict=True):
            assert value is None or low <= value <= high, (
                f"{len(batch.texts[0])} characters, {batch.texts[0][:40]!r} and so on, earn "
                f"{value}; the declared range is {low} to {high}"
            )

    def test_missing_reference(self) -> None:
        """Where what it requires is missing, it says so or returns None; it makes up no number."""
        reward = self.make()
        for name in sorted(reward.needs):
            rows = [{k: v for k, v in row.items() if k != name} for row in self.rows]
            try:
                column = "reference" if any("reference" in row for row in rows) else None
                require(Part(reward.label, reward), _columns(rows), column)
            except AlignTuneError as error:
                said = str(error)
            else:
                raise AssertionError(f"it scores rows without {name!r}, which it requires")
            assert name in said, f"the error does not name {name!r}: {said}"
            self._refuses_none(reward, name)
        if "reference" not in reward.needs:
            self.in_range(reward, [_without(row, "reference") for row in self.rows])

    def _refuses_none(self, reward: RewardFunction, name: str) -> None:
        """A row whose column is empty earns None, or an error; not a number."""
        for row in self.rows:
            try:
                (value,) = self.values(reward, [{**row, name: None}])
            except RewardError as error:
                cause = error.__cause__
                clear = isinstance(cause, AlignTuneError | TypeError | ValueError) and str(cause)
                assert clear, f"with {name} None it raises {cause!r}; say what is missing"
            else:
                assert value is None, f"with {name} None it returns {value}; return None"

    def test_speed(self) -> None:
        """A row takes no longer than the declared cost allows; see `speed_limit`."""
        reward = self.make()
        limit = _SPEED[reward.cost] if self.speed_limit is None else self.speed_limit
        if math.isinf(limit):
            return
        self.values(reward, self.rows)  # what is loaded or started once is not counted
        best = math.inf
        for _ in range(5):
            start = time.perf_counter()
            self.values(reward, self.rows)
            best = min(best, (time.perf_counter() - start) / len(self.rows))
            if best <= limit:
                return
        raise AssertionError(
            f"one completion takes {best:.3g} s at best; {limit:g} s are allowed for the cost "
            f"{reward.cost!r} (set speed_limit, or declare another cost)"
        )


class RegisteredRewardConformance(RewardConformance):
    """The same for a registered name, and that its manifest is light and right."""

    def test_manifest_is_light(self) -> None:
        """Importing the manifest imports nothing heavy."""
        found = Manifest.of(self.reward).heavy()
        assert not found, (
            f"the manifest imports {', '.join(found)}; import them where they are used"
        )

    def test_manifest_is_right(self) -> None:
        """What the manifest says is what the reward is."""
        wrong = Manifest.of(self.reward).disagreements(self.make())
        assert not wrong, "; ".join(wrong)


def _columns(rows: Sequence[Row]) -> frozenset[str]:
    return frozenset(name for row in rows for name in row if name not in _OWN[:2]) - ENGINE_COLUMNS


def _without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}
