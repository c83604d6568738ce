"""A task: which rows, how they become prompts, how they are completed, and what is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EvalTask", "TaskCategory"]


class TaskCategory(StrEnum):
    """What a task is about; lists and reports are grouped by it."""

    LANGUAGE_MODELING = "language_modeling"
    QUESTION_ANSWERING = "question_answering"
    MATH = "math"
    CODE = "code"
    REASONING = "reasoning"
    SUMMARIZATION = "summarization"
    TRANSLATION = "translation"
    INSTRUCTION_FOLLOWING = "instruction_following"
    PREFERENCE = "preference"
    SAFETY = "safety"
    CUSTOM = "custom"


@dataclass(frozen=True, kw_only=True)
class EvalTask:
    """One task of an evaluation.

    `dataset`: a hub name, a local file, or rows; with `split`, `subset` and `revision`. `prompt`,
    `reference`: Jinja templates over the columns of a row; unset, the columns of these names.
    """

    name: str
    category: TaskCategory = TaskCategory.CUSTOM
    description: str = ""
    dataset: str | Sequence[Mapping[str, Any]] = ()
    split: str = "train"
    subset: str | None = None
    revision: str | None = None
    prompt: str | None = None
    reference: str | None = None
    choices: str | None = None
    system_prompt: str | None = None
    chat: bool = False
    num_fewshot: int = 0
    fewshot_split: str | None = None
    fewshot_seed: int = 0
    fewshot_delimiter: str = "\n\n"
    metrics: Sequence[str | Mapping[str, Any]] = ()
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    num_samples: int = 1
    stop: tuple[str, ...] = ()
    seed: int = 0
    max_samples: int | None = None
    version: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)
