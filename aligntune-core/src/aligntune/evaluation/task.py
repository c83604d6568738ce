"""A task: which rows, how they become prompts, how they are completed, and what is measured.

A task is data: it is checked when it is made, it never changes, and the same task gives every model
the same prompts. `dataclasses.replace(task, num_fewshot=3)` makes another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from aligntune.errors import EvaluationError

__all__ = ["EvalTask", "TaskCategory", "TaskRows"]


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


TaskRows = str | Sequence[Mapping[str, Any]] | Callable[[], Sequence[Mapping[str, Any]]]
"""A hub name or a local file, rows (a list of dicts or a `datasets.Dataset`), or a function without
arguments that returns rows."""

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class EvalTask:
    """One task of an evaluation.

    Templates are Jinja templates over the columns of a row, in a sandbox; a column that is not
    there is an error. A template that is one expression alone gives its value, such as a list.

    Args:
        name: what the task is called in results, files and on the command line.
        category: what it is about, a `TaskCategory` or its value.
        description: one sentence for lists of tasks.
        dataset: hub name, local file, rows, a `datasets.Dataset`, or a function that returns rows.
        split: split that is measured.
        subset: subset of a data set on the hub.
        revision: branch, tag or commit of a data set on the hub.
        processing_fn: function of a row (a dict), or its importable name `"package.module:name"`;
            the columns that it returns are added to the row, or replace those of the same name.
        prompt: template of what the model reads: text, or chat messages. Unset, the column
            `prompt`.
        reference: template of the right answer, or of a list of them. Unset, the first column of
            reference, answer, solution, ground_truth, response, target.
        choices: template of the list of answers to choose from. Unset, the column `choices`.
        columns: templates of further columns, by name, such as `{"text": "{{ page }}"}`.
        system_prompt: template of what stands before everything else: the system message of a
            chat, or else text.
        chat: put prompts, which are text, into the chat template of the model as a user's message.
        chat_template_kwargs: further arguments of the chat template, such as
            `{"enable_thinking": False}`.
        num_fewshot: how many other rows, with their answers, stand before each prompt.
        fewshot_split: split that they come from. Unset, `split`. Never the row itself, nor its
            twin.
        fewshot_sampler: `random`, drawn for each row from `fewshot_seed` and the row's content; or
            `first`, the first ones of the split.
        fewshot_group: column in which examples agree with the row, such as `subject`.
        fewshot_seed: another seed draws other examples.
        fewshot_answer: template of the answer of an example. Unset, the reference.
        fewshot_delimiter: stands between examples, unless they are turns of a chat.
        target_delimiter: stands between the prompt of an example and its answer, likewise.
        metrics: evaluators by name, as `{"type": name, "params": {...}}`, as objects, or
            functions of completions and references.
        max_new_tokens: longest completion, in tokens.
        temperature: 0 takes the likeliest token; above, tokens are sampled.
        top_p: nucleus sampling, above 0 and at most 1.
        top_k: sample from so many likeliest tokens; 0 for all.
        num_samples: completions of each prompt.
        stop: texts that end a completion, which does not contain them.
        seed: seed of sampling and of bootstrap intervals.
        max_samples: measure the first so many rows.
        version: count it up when the task changes in a way that changes results.
        metadata: whatever else is worth keeping in the results, as JSON values.

    Raises:
        EvaluationError: if a value is wrong; names every such field, what was given, and what would
            be right.
    """

    name: str
    category: TaskCategory = TaskCategory.CUSTOM
    description: str = ""
    dataset: TaskRows = ()
    split: str = "train"
    subset: str | None = None
    revision: str | None = None
    processing_fn: Callable[[dict[str, Any]], Mapping[str, Any]] | str | None = None
    prompt: str | None = None
    reference: str | None = None
    choices: str | None = None
    columns: Mapping[str, str] = field(default_factory=lambda: _NONE)
    system_prompt: str | None = None
    chat: bool = False
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    num_fewshot: int = 0
    fewshot_split: str | None = None
    fewshot_sampler: Literal["random", "first"] = "random"
    fewshot_group: str | None = None
    fewshot_seed: int = 0
    fewshot_answer: str | None = None
    fewshot_delimiter: str = "\n\n"
    target_delimiter: str = " "
    metrics: Sequence[Any] = ()
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    num_samples: int = 1
    stop: Sequence[str] = ()
    seed: int = 0
    max_samples: int | None = None
    version: int = 1
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        from aligntune.evaluation.task_checks import task_problems

        values = {each.name: getattr(self, each.name) for each in fields(self)}
        if problems := task_problems(values):
            said = [f"{p.path}: {p.message}" + (f" ({p.hint})" if p.hint else "") for p in problems]
            raise EvaluationError(f"task {self.name!r}: {'; '.join(said)}")
        kept: dict[str, Any] = {
            "category": TaskCategory(self.category),
            "metrics": tuple(map(_metric, _listed(self.metrics))),
            "stop": _listed(self.stop),
            "columns": dict(self.columns),
            "chat_template_kwargs": dict(self.chat_template_kwargs),
            "metadata": dict(self.metadata),
        }
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """The task as JSON values; rows are counted, and functions and objects named."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found["dataset"] = _described(self.dataset)
        found["category"] = self.category.value
        found["processing_fn"] = _described(self.processing_fn)
        found["stop"] = list(self.stop)
        found["metrics"] = [_described_metric(metric) for metric in self.metrics]
        return found


def _listed(value: Any) -> tuple[Any, ...]:
    """Several values as a tuple; a value that is no sequence, or a text, is one."""
    many = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(value) if many else (value,)


def _metric(metric: Any) -> Any:
    """A function as the evaluator that measures with it."""
    from aligntune.evaluation.protocol import CUSTOM

    return {"type": CUSTOM, "params": {"function": metric}} if callable(metric) else metric


def _described(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if callable(value):
        where = getattr(value, "__module__", ""), getattr(value, "__qualname__", repr(type(value)))
        return ":".join(filter(None, where))
    return {"type": type(value).__name__, "rows": len(value)}


def _described_metric(metric: Any) -> Any:
    if isinstance(metric, str):
        return metric
    if not isinstance(metric, Mapping):
        return {"type": f"{type(metric).__module__}:{type(metric).__qualname__}"}
    params = {
        key: value if isinstance(value, (str, int, float, list, dict)) else _described(value)
        for key, value in (metric.get("params") or {}).items()
    }
    return {"type": metric["type"], "params": params}
