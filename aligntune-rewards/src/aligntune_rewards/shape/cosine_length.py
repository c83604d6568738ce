r"""Right answers earn more when they are short, wrong ones lose less when they are long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from aligntune import plugins
from aligntune.scoring import RewardBatch, RewardFunction, build_reward
from aligntune.scoring.faults import raw_values
from aligntune_rewards.checks import whole
from aligntune_rewards.shape.units import Unit, check_unit, length_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CosineLengthReward"]


class CosineLengthReward(RewardFunction):
    r"""Whether the answer is right, scaled by length along half a cosine.

    low + (high - low) / 2 · (1 + cos(π · min(n / L, 1))), with n the length and L the longest (Yeo
    et al. 2025, arXiv 2502.03373, appendix C.1). From the shortest to the longest length a right
    answer goes from `max_value_correct` to `min_value_correct`, a wrong one from `min_value_wrong`
    to `max_value_wrong`: it loses less when it is longer, so that a model that does not know yet
    goes on searching. Equal to `trl.rewards.get_cosine_scaled_reward`.

    Which answers are right another reward says: those that earn its highest value.

    Range: `min_value_wrong` to `max_value_correct`. Higher is better. Columns: those of the other
    reward, mostly the reference; where it gives None, so does this. The token ids of the completion
    are read.

    Args:
        max_length: L.
        min_value_wrong: what the shortest wrong answer earns.
        max_value_wrong: what a wrong answer earns from the longest length on.
        min_value_correct: what a right answer earns from the longest length on.
        max_value_correct: what the shortest right answer earns.
        unit: what is counted: `"tokens"`, `"words"` or `"characters"`.
        judge: the name of the reward that says what is right.
        judge_params: its parameters.

    Attributes:
        judge: the other reward, with the failures that it counts.

    Raises:
        ValueError: for values that make no sense, or a judge without a highest value.
    """

    name = "cosine_length"
    range = (-1.0, 1.0)
    requires = frozenset({"reference"})
    cost: Literal["inline", "process", "model"] = "process"
    own_processes = True

    def __init__(  # noqa: PLR0917 - parameters come by name
        self,
        max_length: int,
        min_value_wrong: float = -1.0,
        max_value_wrong: float = -0.5,
        min_value_correct: float = 0.5,
        max_value_correct: float = 1.0,
        unit: Unit = "tokens",
        judge: str = "math_accuracy",
        judge_params: Mapping[str, Any] | None = None,
    ) -> None:
        whole("max_length", max_length, 1)
        self.wrong = (max_value_wrong, min_value_wrong)
        self.correct = (min_value_correct, max_value_correct)
        values = [min_value_wrong, max_value_wrong, min_value_correct, max_value_correct]
        if not all(map(math.isfinite, values)) or values != sorted(values):
            raise ValueError(
                f"the values are {min_value_wrong}, {max_value_wrong} for wrong answers and "
                f"{min_value_correct}, {max_value_correct} for right ones; they must not fall"
            )
        self.range = (min_value_wrong, max_value_correct)
        self.max_length = max_length
        self.unit = check_unit(unit)
        self._take(judge, dict(judge_params or {}))

    def _take(self, name: str, params: dict[str, Any]) -> None:
        """Make the judge, and be to the engine what it is."""
        self.judge_name, self.judge = build_reward(name, params, plugins.get())
        if not math.isfinite(self.judge.range[1]):
            raise ValueError(f"judge is {name!r}, which has no highest value")
        self.requires = self.judge.needs
        self.cost = self.judge.cost
        self.timeout = self.judge.timeout
        self.own_processes = self.judge.own_processes
        self.deterministic = self.judge.deterministic
        self.quiet = self.judge.quiet

    def load(self) -> None:
        """Load what the judge needs."""
        self.judge.load()

    def compute(
        self,
        text: str,
        reference: Any = None,
        *,
        prompt: Any = None,
        completion_ids: Sequence[int] | None = None,
        **columns: Any,
    ) -> float | None:
        batch = RewardBatch.one(text, prompt, reference, completion_ids, **columns)
        return self.compute_batch(batch)[0]

    def compute_batch(self, batch: RewardBatch) -> Sequence[float | None]:
        lengths = [
            length_in(self.unit, text, None if batch.completion_ids is None else ids)
            for text, ids in zip(
                batch.texts, batch.completion_ids or [()] * len(batch), strict=True
            )
        ]
        judged = raw_values(self.judge_name, self.judge, batch)
        return [
            None if value is None else self._scaled(value >= self.judge.range[1], length)
            for value, length in zip(judged, lengths, strict=True)
        ]

    def _scaled(self, right: bool, length: int) -> float:
        low, high = self.correct if right else self.wrong
        # Held at the end: the cosine would rise again.
        progress = min(length / self.max_length, 1.0)
        return low + (high - low) / 2 * (1 + math.cos(math.pi * progress))

    def close(self) -> None:
        """End the processes of the judge, if it has some."""
        getattr(self.judge, "close", lambda: None)()
