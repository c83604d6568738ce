"""Draws the examples that stand before a row's question.

What is drawn depends on the seed, on what the row asks, and on what the examples ask; not on the
order of the rows, on how many are measured, or on the model. A row that asks the same as another is
never its example.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune_eval.tasks.digests import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aligntune.evaluation import EvalTask
    from aligntune_eval.tasks.prompts import Prompter
    from aligntune_eval.tasks.reading import Row

__all__ = ["Examples"]

Example = tuple[Any, str]


class Examples:
    """The questions that may be examples, with their answers.

    Raises:
        EvaluationError: if a row has no prompt, or not the column of `fewshot_group`.
    """

    def __init__(self, task: EvalTask, rows: Sequence[Row], prompter: Prompter) -> None:
        self.task = task
        self.prompter = prompter
        self._rows = rows
        self._made: dict[int, Example] = {}
        first = task.fewshot_sampler == "first"
        groups: dict[str, dict[str, int]] = defaultdict(dict)
        for index, row in enumerate(rows):
            if row.get("prompt") is None:
                raise EvaluationError(f"row {index} of those that may be examples has no prompt")
            members = groups[self._group(row, index)]
            known = members.setdefault(digest(row.get("prompt")), index)
            # Of rows that ask the same, the content decides which one answers, not their order.
            if known != index and not first and digest(row) < digest(rows[known]):
                members[digest(row.get("prompt"))] = index
        # Asked question -> row; sorted, so that the order of the rows decides nothing.
        self._groups = {
            group: list(members.items()) if first else sorted(members.items())
            for group, members in groups.items()
        }

    def _group(self, row: Row, index: int) -> str:
        name = self.task.fewshot_group
        if name is None:
            return ""
        if name not in row:
            raise EvaluationError(
                f"fewshot_group names the column {name!r}, which row {index} does not have; "
                f"the columns there are: {', '.join(row)}"
            )
        return str(row[name])

    def of(self, row: Row, index: int) -> list[Example]:
        """The examples of a row with its columns.

        Raises:
            EvaluationError: if there are too few; says how many there are.
        """
        count = self.task.num_fewshot
        asked = digest(row["prompt"])
        pool = self._groups.get(self._group(row, index), [])
        order: Iterable[int] = range(len(pool))
        if self.task.fewshot_sampler == "random":
            order = _drawn(len(pool), f"{self.task.fewshot_seed}:{asked}")
        found: list[Example] = []
        for place in order:
            if len(found) == count:
                break
            key, other = pool[place]
            if key != asked:
                found.append(self._example(other))
        if len(found) < count:
            split = self.task.fewshot_split or self.task.split
            where = f"split {split!r}" if isinstance(self.task.dataset, str) else "the rows"
            among = f" with its {self.task.fewshot_group}" if self.task.fewshot_group else ""
            raise EvaluationError(
                f"num_fewshot is {count}, and row {index} finds {len(found)} other questions"
                f"{among} in {where}; lower num_fewshot, or set `fewshot_split`"
            )
        return found

    def _example(self, place: int) -> Example:
        if place not in self._made:
            row = self._rows[place]
            self._made[place] = (row["prompt"], self.prompter.answer_of(row, place))
        return self._made[place]


def _drawn(size: int, seed: str) -> Iterator[int]:
    """Numbers below `size` in an order that the seed alone decides, as Fisher and Yates shuffle.

    Python's own generator may give others in another version.
    """
    moved: dict[int, int] = {}
    for place in range(size):
        noise = hashlib.sha256(f"{seed}:{place}".encode()).digest()
        other = place + int.from_bytes(noise[:8]) % (size - place)
        yield moved.get(other, other)
        moved[other] = moved.get(place, place)
