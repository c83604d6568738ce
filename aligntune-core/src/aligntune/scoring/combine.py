"""Weighs rewards and adds them up, and lets nothing through that is no number.

For each part, in this order: raw value, check that it is finite, normalize, clip, weight. Then the
sum over the parts, then the shields, which look at raw values. Weights are applied here and nowhere
else. A trainer is handed the `Scorer` as its only reward function, so it sees finite totals; each
part's raw values are logged.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from aligntune.errors import AlignTuneError, ConfigError, PluginError, RewardError
from aligntune.scoring.conversation import completion_text, is_conversation
from aligntune.scoring.engine import prepare, side_by_side
from aligntune.scoring.faults import raw_values, sample
from aligntune.scoring.normalize import Running, by_range, normalized
from aligntune.scoring.parts import Part, reads_reference, require, with_names_of_their_own
from aligntune.scoring.protocol import Failed, RewardBatch
from aligntune.scoring.references import choose_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Breakdown", "Part", "Scorer", "Scores"]

logger = logging.getLogger("aligntune")

# Trainers hold rewards in numbers of 32 bits; what is larger than this is infinite in those.
_LARGEST = 3.4028234e38


@dataclass(frozen=True)
class Scores:
    """Totals, one per completion, and the raw value of each part (None: it did not apply)."""

    totals: list[float]
    raw: dict[str, list[float | None]]


@dataclass(frozen=True)
class Breakdown:
    """The last batch that was scored, for logs of samples."""

    texts: Sequence[str]
    prompts: Sequence[Any] | None
    references: Sequence[Any] | None
    totals: list[float]
    raw: dict[str, list[float | None]]
    step: int | None = None


class Scorer:
    """A weighted sum of rewards, callable as a reward function of TRL's trainers.

    `reference_column`: the column that completions are compared with; by default the first present
    of `REFERENCE_COLUMNS`, known after `check` or the first batch.
    `last`: the breakdown of the last batch.
    `running`: the means and deviations of rewards that are normalized by them; a part of every
    checkpoint.

    Raises:
        ConfigError: if there are no parts.
    """

    # TRL logs the total under this name, as `rewards/total/mean`; no part may have it.
    __name__ = "total"

    def __init__(self, parts: Iterable[Part], reference_column: str | None = None) -> None:
        self.parts = with_names_of_their_own(parts, {self.__name__})
        if not self.parts:
            raise ConfigError("no reward is given; at least one is needed")
        self.reference_column = reference_column
        self.running = Running([part.name for part in self.parts if part.normalize is True])
        self.last: Breakdown | None = None
        self._explicit = reference_column
        self._checked: set[frozenset[str]] = set()
        self._logged: set[str] = set()
        self._may_fail = {part.name for part in self.parts if part.reward.cost == "process"}

    def check(self, columns: Iterable[str]) -> None:
        """Check that data with these columns meet what the rewards require; logs the reference.

        Raises:
            DataError: naming the reward, what it lacks, and the columns there are.
        """
        present = frozenset(columns)
        self.reference_column = choose_reference(present, self._explicit)
        if present in self._checked:
            return
        users: dict[str, list[str]] = {}
        for part in self.parts:
            column = choose_reference(present, part.reference_column or self._explicit)
            require(part, present, column)
            if column is not None and reads_reference(part.reward):
                users.setdefault(column, []).append(part.name)
        for column in sorted(users.keys() - self._logged):
            logger.info("rewards compare with column %r: %s", column, ", ".join(users[column]))
        self._logged.update(users)
        self._checked.add(present)

    def load(self) -> None:
        """Load what the rewards score with, such as weights.

        Raises:
            AlignTuneError: if it cannot be loaded, or sent to the processes that it works in.
        """
        for part in self.parts:
            try:
                part.reward.load()
            except AlignTuneError:
                raise
            except Exception as error:
                raise PluginError(
                    f"reward {part.name!r} cannot load what it scores with: "
                    f"{type(error).__name__}: {error}"
                ) from error
            prepare(part.reward)

    def record(self) -> dict[str, dict[str, Any]]:
        """What the record of a run says of the rewards, of those that have something to say."""
        found = {part.name: part.reward.record() for part in self.parts}
        return {name: said for name, said in found.items() if said}

    def score(self, batch: RewardBatch) -> Scores:
        """Score a batch.

        Raises:
            RewardError: naming the reward and the sample, if a reward raises, returns a wrong count
                or anything that is no finite number; or if none applies to a row.
            DataError: if the batch lacks what a reward requires.
        """
        if batch.references is None:
            self.check(batch.columns)
            if self.reference_column is not None:
                batch = replace(batch, references=batch.columns[self.reference_column])
        else:
            for part in self.parts:
                require(part, frozenset(batch.columns), "given with the batch")
        raw = side_by_side(
            {part.name: (part.reward, partial(self._raw, part, batch)) for part in self.parts}
        )
        added = {part.name: self._normalized(part, raw[part.name], batch) for part in self.parts}
        totals = [self._total(index, raw, added, batch) for index in range(len(batch))]
        self.last = Breakdown(batch.texts, batch.prompts, batch.references, totals, raw, batch.step)
        return Scores(totals, raw)

    def handed_over(
        self,
        /,
        prompts: Sequence[Any] | None = None,
        completions: Sequence[Any] = (),
        completion_ids: Sequence[Sequence[int]] | None = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> Scores:
        """Score completions as TRL hands them over, with the columns of the data as keywords.

        Raises:
            RewardError, DataError: as `score` says.
        """
        # TRL hands over things that are not one per completion; they are no columns.
        listed = {k: _listed(v, len(completions)) for k, v in columns.items()}
        extras = {k: v for k, v in columns.items() if listed[k] is None}
        extras["trainer_state"] = trainer_state
        talk = bool(completions) and is_conversation(completions[0])
        return self.score(
            RewardBatch(
                texts=[completion_text(completion) for completion in completions],
                prompts=prompts,
                columns={k: v for k, v in listed.items() if v is not None},
                completion_ids=completion_ids,
                messages=completions if talk else None,
                step=None if trainer_state is None else trainer_state.global_step,
                extras={name: value for name, value in extras.items() if value is not None},
            )
        )

    def __call__(
        self,
        /,
        prompts: Sequence[Any] | None = None,
        completions: Sequence[Any] = (),
        *,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **given: Any,
    ) -> list[float]:
        """Score completions as TRL hands them over, and log each part's raw mean and deviation.

        `log_metric` gets `rewards/<part>/mean` and `/std` (with Bessel's correction, as TRL's own),
        and of rewards that work in processes `/failed`, the share that could not be judged;
        `log_extra` gets each part's raw values, a column of TRL's table of completions.
        """
        logs: dict[str, Any] = {"log_metric": log_metric, "log_extra": log_extra}
        scores = self.handed_over(prompts, completions, **logs, **given)
        for name, values in scores.raw.items():
            applied = [value for value in values if value is not None]
            if log_metric is not None and applied:
                mean = math.fsum(applied) / len(applied)
                log_metric(f"rewards/{name}/mean", mean)
                log_metric(f"rewards/{name}/std", _deviation(applied, mean))
                if name in self._may_fail:
                    failed = sum(isinstance(value, Failed) for value in applied)
                    log_metric(f"rewards/{name}/failed", failed / len(applied))
            if log_extra is not None:
                log_extra(name, values)
        return scores.totals

    def _raw(self, part: Part, batch: RewardBatch) -> list[float | None]:
        if part.reference_column is not None:
            choose_reference(batch.columns, part.reference_column)
            batch = replace(batch, references=batch.columns[part.reference_column])
        return raw_values(part.name, part.reward, batch)

    def _normalized(
        self, part: Part, values: list[float | None], batch: RewardBatch
    ) -> list[float | None]:
        if part.normalize is False:
            return values
        if part.normalize == "range":
            return by_range(values, part.reward.range)
        try:
            if part.normalize is True:
                return self.running.scaled(part.name, values)
            return normalized(part.normalize, values, batch.prompts)
        except ValueError as error:
            raise RewardError(f"reward {part.name!r}: {error}") from error

    def _total(
        self,
        index: int,
        raw: Mapping[str, list[float | None]],
        added: Mapping[str, list[float | None]],
        batch: RewardBatch,
    ) -> float:
        applied = [
            (part, value) for part in self.parts if (value := added[part.name][index]) is not None
        ]
        if not applied:
            names = ", ".join(part.name for part in self.parts)
            raise RewardError(
                f"no reward applies to {sample(batch, index)}: each of {names} returned None"
            )
        total = sum(part.weighted(value) for part, value in applied)
        for part, _ in applied:
            before = raw[part.name][index]
            if part.shield and before is not None and before < part.shield_threshold:
                total = min(total, part.shield_value)
        if not abs(total) <= _LARGEST:
            raise RewardError(
                f"the weighted sum is {total} for {sample(batch, index)}; trainers can hold at "
                f"most {_LARGEST:.1e}"
            )
        return total


def _listed(value: object, count: int) -> Sequence[Any] | None:
    """What holds something for each completion: a list, a column of a data set, an array."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    to_list = getattr(value, "tolist", None)
    found = to_list() if callable(to_list) else None
    return found if isinstance(found, list) and len(found) == count else None


def _deviation(values: Sequence[float], mean: float) -> float:
    """The sample standard deviation (n - 1), 0 for a single value."""
    if len(values) < 2:
        return 0.0
    return math.sqrt(
        math.fsum((value - mean) * (value - mean) for value in values) / (len(values) - 1)
    )
