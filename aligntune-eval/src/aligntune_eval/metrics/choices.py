"""Questions with answers to choose from: which one the model finds likeliest, and how sure it is.

Each choice is scored as what follows the prompt; the model is right if the likeliest is the right
one. The numbers are those of lm-eval's `output_type: multiple_choice`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Evaluator, Metric
from aligntune.evaluation.columns import Rows, reference_column
from aligntune_eval.asking.likelihood import check_requests, loglikelihoods
from aligntune_eval.asking.tokens import Target, continuation_of, prompts_of
from aligntune_eval.statistics import Floats, mean_metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aligntune.plugins import Plugins

__all__ = ["ChoiceEvaluator", "MultipleChoice", "Question"]

_MEMO = "aligntune_eval.metrics.choices"


@dataclass(frozen=True)
class Question:
    """A row: its choices, which of them is right, and the log-likelihood of each, in nats."""

    choices: list[str]
    right: int
    logprobs: Floats


@dataclass(frozen=True)
class _Asked:
    """One choice of a row: the prompt as the model reads it, what follows, whether it is text."""

    row: int
    context: str
    text: str
    plain: bool


class ChoiceEvaluator(Evaluator):
    """What evaluators of choices have in common.

    Rows need a prompt, `choices` (a list of two texts or more), and a reference: the right choice
    as its text, or as its place in the list, counted from 0.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt", "choices", "reference")

    def __init__(self, delimiter: str | None, name: str) -> None:
        self.delimiter = delimiter
        self.name = name

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Check the choices of every row.

        Raises:
            EvaluationError: naming the first row that has no choices, or no right one among them.
        """
        super().prepare(rows, settings, plugins)
        column = reference_column(rows, settings)
        for index, row in enumerate(rows):
            _right(self.name, index, row, column)

    def questions(self, context: EvaluationContext) -> list[Question]:
        """The rows with the likelihoods of their choices, computed once for each delimiter."""
        key = (_MEMO, self.delimiter)
        if key not in context.memo:
            context.memo[key] = self._ask(context)
        shared: list[Question] = context.memo[key]
        return shared

    def check(self, context: EvaluationContext) -> None:
        """See that every prompt with each of its choices fits into the model."""
        asked, targets = self._targets(context)
        check_requests(targets, context.model, _describe(asked))

    def _targets(self, context: EvaluationContext) -> tuple[list[_Asked], list[Target]]:
        """What is asked for each choice of each row, and as tokens; made once for each context."""
        key = (_MEMO, "targets", self.delimiter)
        if key not in context.memo:
            asked = self._asked(context)
            context.memo[key] = (
                asked,
                [
                    continuation_of(one.context, one.text, context.tokenizer, special=one.plain)
                    for one in asked
                ],
            )
        shared: tuple[list[_Asked], list[Target]] = context.memo[key]
        return shared

    def _asked(self, context: EvaluationContext) -> list[_Asked]:
        settings = context.settings
        asked = []
        prompts = prompts_of(context.rows, context.tokenizer, settings)
        for index, (row, prompt) in enumerate(zip(context.rows, prompts, strict=True)):
            plain = isinstance(row[settings.prompt_column], str)
            between = self.delimiter if self.delimiter is not None else " " * plain
            asked += [
                _Asked(index, prompt.text, between + choice, plain) for choice in row["choices"]
            ]
        return asked

    def _ask(self, context: EvaluationContext) -> list[Question]:
        rows = context.rows
        column = reference_column(rows, context.settings)
        right = [_right(self.name, index, row, column) for index, row in enumerate(rows)]
        asked, targets = self._targets(context)
        found = loglikelihoods(context, targets, describe=_describe(asked))
        requests: list[list[dict[str, Any]]] = [[] for _ in rows]
        for one, answer in zip(asked, found, strict=True):
            requests[one.row].append(
                {
                    "context": one.context,
                    "continuation": one.text,
                    "logprob": answer.logprob,
                    "greedy": answer.greedy,
                }
            )
        context.note("requests", requests)
        context.note("reference", [row["choices"][at] for row, at in zip(rows, right, strict=True)])
        return [
            Question(list(row["choices"]), at, np.array([one["logprob"] for one in each]))
            for row, at, each in zip(rows, right, requests, strict=True)
        ]


class MultipleChoice(ChoiceEvaluator):
    """Share of questions whose right choice the model finds likeliest, 0 to 1; higher is better.

    `acc`: argmax log p(choice | prompt). `acc_norm`: argmax of that over the characters of the
    choice, as lm-eval 0.4.13 divides. `acc_bytes`: over its bytes of UTF-8, which is the same for
    ASCII. Interval: Wilson's. Source: Brown et al. 2020, section 2.4; lm-eval.

    `delimiter`: what stands between prompt and choice; unset, a space after a text and nothing
    after chat messages. `name`: unless it is `multiple_choice`, it stands before the metrics' names
    with a slash.
    """

    def __init__(self, delimiter: str | None = None, name: str = "multiple_choice") -> None:
        super().__init__(delimiter, name)

    def measures(self) -> dict[str, bool | None]:
        return {self._named(metric): True for metric in ("acc", "acc_norm", "acc_bytes")}

    def evaluate(self, context: EvaluationContext) -> list[Metric]:
        questions = self.questions(context)
        made = []
        for metric, size in (("acc", None), ("acc_norm", _characters), ("acc_bytes", _bytes)):
            hits = [_hit(question, size(question) if size else None) for question in questions]
            name = self._named(metric)
            context.score(name, hits)
            details = {
                "divided_by": {"acc": "nothing", "acc_norm": "characters"}.get(metric, "bytes")
            }
            made.append(mean_metric(name, hits, seed=context.settings.seed, details=details))
        chosen = [q.choices[int(np.argmax(q.logprobs))] for q in questions]
        context.note("chosen", chosen)
        return made

    def _named(self, metric: str) -> str:
        return metric if self.name == "multiple_choice" else f"{self.name}/{metric}"


def _describe(asked: list[_Asked]) -> Callable[[int], str]:
    return lambda place: f"row {asked[place].row} with its choice {asked[place].text!r}"


def _hit(question: Question, sizes: Floats | None) -> float:
    values = question.logprobs if sizes is None else question.logprobs / sizes
    return float(np.argmax(values) == question.right)


def _characters(question: Question) -> Floats:
    return np.array([float(len(choice)) for choice in question.choices])


def _bytes(question: Question) -> Floats:
    return np.array([float(len(choice.encode())) for choice in question.choices])


def _right(who: str, index: int, row: Mapping[str, Any], column: str) -> int:
    """The place of the right choice.

    Raises:
        EvaluationError: if the row has no choices, or the reference is none of them.
    """
    choices, answer = row["choices"], row[column]
    where = f"evaluator {who!r}: row {index}"
    if not isinstance(choices, list | tuple) or len(choices) < 2:
        raise EvaluationError(
            f"{where}: choices must be a list of two or more, not {choices!r:.80}"
        )
    wrong = [each for each in choices if not isinstance(each, str) or not each]
    if wrong:
        raise EvaluationError(
            f"{where}: a choice must be a text that is not empty, not {wrong[0]!r}"
        )
    if isinstance(answer, str) and answer in choices:
        if choices.count(answer) > 1:
            raise EvaluationError(
                f"{where}: {answer!r} stands more than once among its choices; give its place"
            )
        return choices.index(answer)
    place = _place(answer)
    if place is None or not 0 <= place < len(choices):
        raise EvaluationError(
            f"{where}: {column!r} is {answer!r:.80}; it must be one of the choices, or the place "
            f"of one from 0 to {len(choices) - 1}; the choices are {list(choices)!r:.200}"
        )
    return place


def _place(answer: Any) -> int | None:
    if isinstance(answer, str) and answer.isascii() and answer.isdigit():
        return int(answer)
    return answer if isinstance(answer, int) and not isinstance(answer, bool) else None
