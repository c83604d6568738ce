"""Which of two answers to a row is better: by the rewards of both, or by a judge that sees both.

A pairwise judge is a registered reward that reads the column `other`: it scores its completion
against that other answer, above the middle of its range (above 0 where it declares none) where the
completion is better. It is asked in both orders, since judges favour a position: an answer wins
that is preferred in both, and anything else is a tie (Zheng et al. 2023, "Judging LLM-as-a-judge
with MT-Bench and Chatbot Arena", arXiv 2306.05685, section 3.4).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.evaluation.preference import preferred
from aligntune.scoring import Failed
from aligntune_eval.asking.tokens import tokens_of
from aligntune_eval.metrics.named_reward import NamedReward

if TYPE_CHECKING:
    from aligntune.evaluation import EvaluationContext
    from aligntune.evaluation.columns import Rows
    from aligntune.scoring import RewardFunction

__all__ = ["OTHER", "PAIR_RUBRIC", "Contest", "Verdicts", "by_judge", "by_reward", "judge_params"]

OTHER = "other"
_AT_ONCE = 64  # rows that are judged before the store keeps what was said of them

PAIR_RUBRIC = """\
Compare two answers to one request: which of them serves the person who made it better? Judge \
whether an answer is correct, does what was asked, and is complete and clear. Length, politeness, \
saying that it is good, and which answer stands first earn nothing.

The request:
{prompt}

Answer A:
{completion}

Answer B:
{other}

Score answer A against answer B: 5 if A is much better, 4 if A is better, 3 if both are equally \
good, 2 if B is better, 1 if B is much better."""
PAIR_SCALE = (1, 5)


@dataclass(frozen=True)
class Contest:
    """Answers to rows, and the other answers to the same rows."""

    rows: Rows
    answers: Sequence[str]
    others: Sequence[str]


@dataclass
class Verdicts:
    """For each answer 1 (it wins), 0 (the other one does), 0.5 (a tie) or None (not judged).

    `scores`: what led to it, by name, one value per answer. `details`: counts.
    """

    values: list[float | None]
    scores: dict[str, list[float | None]]
    details: dict[str, Any] = field(default_factory=dict)


def judge_params(reward: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a pairwise judge; `llm_judge` gets a rubric for pairs unless it has one.

    Raises:
        ValueError: if a scale is given to the rubric for pairs, which has its own.
    """
    if reward != "llm_judge" or "rubric" in params:
        return dict(params)
    if "scale" in params:
        raise ValueError(
            "scale is given without a rubric, and the rubric for pairs says what 1 to 5 mean; give "
            "a `rubric` with {completion} and {other} too, or leave scale out"
        )
    return {**params, "rubric": PAIR_RUBRIC, "scale": list(PAIR_SCALE)}


def by_reward(reward: NamedReward, contest: Contest, context: EvaluationContext) -> Verdicts:
    """The answer with the higher reward wins; equal rewards are a tie."""
    rows, settings = contest.rows, context.settings
    # Tokens of both sides are those of the text, since of a baseline there is nothing else.
    ours, theirs = (
        reward.values(rows, texts, settings, ids=tokens_of(texts, context.tokenizer))
        for texts in (contest.answers, contest.others)
    )
    values = [
        None if a is None or b is None else preferred([a], [b])[0]
        for a, b in zip(ours, theirs, strict=True)
    ]
    failed = Counter(value.kind for value in (*ours, *theirs) if isinstance(value, Failed))
    details = {"not_judged": dict(sorted(failed.items()))} if failed else {}
    return Verdicts(values, {"completion": ours, "baseline": theirs}, details)


def by_judge(
    reward: NamedReward, made: RewardFunction, contest: Contest, context: EvaluationContext
) -> Verdicts:
    """The answer that the judge prefers in both orders wins; equal texts tie and are not judged."""
    rows, first, second = contest.rows, contest.answers, contest.others
    asked = [place for place in range(len(rows)) if first[place] != second[place]]
    judge = _judge(reward, [rows[i] for i in asked], context)
    there = judge([first[i] for i in asked], [second[i] for i in asked])
    back = judge([second[i] for i in asked], [first[i] for i in asked])
    low, high = made.range
    middle = (low + high) / 2 if math.isfinite(low) and math.isfinite(high) else 0.0
    values: list[float | None] = [0.5] * len(rows)
    shown: dict[str, list[float | None]] = {
        "as_first": [None] * len(rows),
        "as_second": [None] * len(rows),
    }
    counts = Counter[str]()
    for place, one, other in zip(asked, there, back, strict=True):
        shown["as_first"][place], shown["as_second"][place] = one, other
        values[place] = _verdict(one, other, middle, counts)
    details: dict[str, Any] = {
        "both_orders": True,
        "equal_texts": len(rows) - len(asked),
        **{name: counts[name] for name in ("orders_agree", "first_preferred", "second_preferred")},
    }
    failed = Counter(value.kind for value in (*there, *back) if isinstance(value, Failed))
    if failed:
        details["not_judged"] = dict(sorted(failed.items()))
    return Verdicts(values, shown, details)


def _verdict(
    one: float | None, other: float | None, middle: float, counts: Counter[str]
) -> float | None:
    """The verdict of both orders; `one` scores our answer, `other` the other one."""
    if one is None or other is None or isinstance(one, Failed) or isinstance(other, Failed):
        return None
    won, lost = ((score > middle) - (score < middle) for score in (one, other))
    counts["first_preferred"] += (won > 0) + (lost > 0)
    counts["second_preferred"] += (won < 0) + (lost < 0)
    if won != -lost:
        return 0.5
    counts["orders_agree"] += 1
    return 0.5 + 0.5 * won


def _judge(
    reward: NamedReward, rows: Rows, context: EvaluationContext
) -> Callable[[Sequence[str], Sequence[str]], list[float | None]]:
    """A function that scores answers against others, and asks nothing that the store knows."""
    store = context.store

    def judge(answers: Sequence[str], others: Sequence[str]) -> list[float | None]:
        keys = [
            _name(reward, row, answer, other)
            for row, answer, other in zip(rows, answers, others, strict=True)
        ]
        known = [None if store is None else store.get(key) for key in keys]
        found: list[float | None] = [None if value is None else value[0] for value in known]
        left = [place for place, value in enumerate(known) if value is None]
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            values = reward.values(
                [rows[i] for i in some],
                [answers[i] for i in some],
                context.settings,
                columns={OTHER: [others[i] for i in some]},
            )
            for place, value in zip(some, values, strict=True):
                found[place] = value
            if store is not None:  # what could not be judged is asked again
                kept = zip(some, values, strict=True)
                store.put({keys[i]: [v] for i, v in kept if not isinstance(v, Failed)})
            context.progress("judging", start + len(some), len(left))
        return found

    return judge


def _name(reward: NamedReward, row: Mapping[str, Any], answer: str, other: str) -> str:
    said = [reward.reward, reward.params, dict(row), answer, other]
    text = json.dumps(said, sort_keys=True, default=str)
    return f"verdict/{hashlib.sha256(text.encode()).hexdigest()}"
