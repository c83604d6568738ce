"""What a reward is attacked with, and one case for each reward: `GROUP.py` has those of a group.

To add one, put a `Case` under the reward's name into `CASES` of its group's file. More
cases of one reward are `name/what`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aligntune.scoring import RewardBatch, RewardFunction

# Gives a fixture by its name: `get("bag")`, `get("language_model")`, `get("tmp_path")`.
Get = Callable[[str], Any]


@dataclass(frozen=True)
class Case:
    """A reward with an honest good completion and a poor or wrong one to one prompt.

    `build`: makes the reward; models come from fixtures (`lambda get: X(model=get("bag")())`).
    `honest`: a good answer. `poor`: one that earns less; the tricks are played on it.
    `keywords`: what a cheat would stuff in, beside the words of the reference and of the prompt.
    `at_most`: the most that a trick may earn, where that is less than the honest answer does. For
    what can be verified it is the lowest value; the tricks must not make wrong right.
    `exempt`: name (or beginning of the name) of a trick -> why it may earn more than that. An
    exemption that nothing needs is refused, and none lets a trick beat the honest answer, but for
    those that stuff in keywords.
    """

    build: Callable[[Get], RewardFunction]
    honest: str
    poor: str
    prompt: str = ""
    reference: Any = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()
    at_most: float | None = None
    exempt: Mapping[str, str] = field(default_factory=dict)


def batch_of(case: Case, texts: list[str]) -> RewardBatch:
    """These completions to the case's prompt, with a token for each word."""
    return RewardBatch(
        texts,
        prompts=[case.prompt] * len(texts),
        references=None if case.reference is None else [case.reference] * len(texts),
        columns={name: [value] * len(texts) for name, value in case.columns.items()},
        completion_ids=[[zlib.crc32(word.encode()) for word in text.split()] for text in texts],
    )
