"""A registered reward that scores texts of rows: of a model's completions, or of columns.

It is looked up by name like any other, with the reference column and the checks that training
applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.evaluation.columns import columns_of, require
from aligntune.scoring import Part, RewardBatch, Scorer, build_reward
from aligntune.scoring.faults import raw_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligntune.evaluation import EvaluationSettings
    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins
    from aligntune.scoring import RewardFunction

__all__ = ["NamedReward"]


class NamedReward:
    """`reward`: its name. `params`: its parameters, `reference_column` among them.

    `brings`: columns that whoever asks adds to those of the rows.
    """

    def __init__(
        self, reward: str, params: Mapping[str, Any] | None = None, brings: Sequence[str] = ()
    ) -> None:
        self.reward = reward
        self.params = dict(params or {})
        self.brings = tuple(brings)
        self.reference_column: str | None = None
        self._part: Part | None = None

    def __repr__(self) -> str:
        # Results are kept by this, so functions are named without their addresses.
        params = {k: getattr(v, "__qualname__", v) for k, v in self.params.items()}
        return f"NamedReward({self.reward!r}, {params!r})"

    def prepare(
        self, who: str, rows: Rows, settings: EvaluationSettings, plugins: Plugins
    ) -> RewardFunction:
        """Look the reward up and check that the rows bring what it requires.

        Raises:
            NotRegisteredError: if no such reward is installed; names what would bring it.
            ConfigError: if the reward does not take the parameters.
            DataError, EvaluationError: if the rows lack what it requires.
        """
        params = dict(self.params)
        explicit = params.pop("reference_column", settings.reference_column)
        name, reward = build_reward(self.reward, params, plugins)
        self._part = Part(name, reward)
        if explicit is not None:
            require(who, [explicit], rows, settings)
        scorer = Scorer([self._part], explicit)
        scorer.check([*columns_of(rows), *self.brings])
        self.reference_column = scorer.reference_column
        needed = reward.needs - set(self.brings)
        if "reference" in needed and self.reference_column is not None:
            needed = needed - {"reference"} | {self.reference_column}
        require(who, sorted(needed), rows, settings)
        scorer.load()
        return reward

    def references(self, rows: Rows) -> list[Any] | None:
        """What the rows have in the reference column; None where the reward reads none."""
        column = self.reference_column
        return None if column is None else [row.get(column) for row in rows]

    def values(
        self,
        rows: Rows,
        texts: Sequence[str],
        settings: EvaluationSettings,
        *,
        ids: Sequence[list[int]] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> list[float | None]:
        """The reward of `texts[i]` as an answer to row i; None where it does not apply.

        Args:
            rows: with the prompts and all other columns.
            texts: one for each row.
            settings: those of the evaluation.
            ids: the tokens of the texts, where they are known.
            columns: more columns, or other values of them.

        Raises:
            RewardError: if it raises, or returns what is no finite number.
        """
        assert self._part is not None, "prepare comes first"
        prompts = [row[settings.prompt_column] for row in rows]
        names = [name for name in columns_of(rows) if name != settings.prompt_column]
        offered = {name: [row.get(name) for row in rows] for name in names}
        offered |= {name: list(values) for name, values in (columns or {}).items()}
        messages = None
        if not any(isinstance(prompt, str) for prompt in prompts):
            messages = [[{"role": "assistant", "content": text}] for text in texts]
        batch = RewardBatch(
            texts=list(texts),
            prompts=prompts,
            references=self.references(rows),
            columns=offered,
            completion_ids=None if ids is None else list(ids),
            messages=messages,
        )
        return raw_values(self._part.name, self._part.reward, batch)
