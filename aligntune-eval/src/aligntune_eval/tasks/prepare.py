"""From a task to rows with prompts and evaluators that are checked: all that needs no model."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from aligntune.errors import DataError, EvaluationError, UnavailableError, did_you_mean
from aligntune.evaluation import EvalTask, EvaluationSettings, Prepared, prepare
from aligntune.scoring.conversation import is_conversation
from aligntune_eval.tasks.digests import fingerprint
from aligntune_eval.tasks.fewshot import Examples
from aligntune_eval.tasks.find import HARNESS, HarnessTask
from aligntune_eval.tasks.prompts import Prompter
from aligntune_eval.tasks.reading import processed, rows_of

if TYPE_CHECKING:
    from aligntune.evaluation import Evaluation, Store
    from aligntune.evaluation.columns import Rows
    from aligntune.evaluation.protocol import Progress
    from aligntune.plugins import Plugins
    from aligntune_eval.tasks.find import Task
    from aligntune_eval.tasks.reading import Row

__all__ = ["PreparedTask", "Runnable", "prepare_task"]

# Fields of a task that only matter where completions are generated.
_OF_GENERATION = ("max_new_tokens", "temperature", "top_p", "top_k", "num_samples", "stop")
# Fields that say what stands around a prompt.
_OF_PROMPTS = ("chat", "num_fewshot", "system_prompt", "chat_template_kwargs")
# Fields that can be set for a task of lm-eval.
_OF_HARNESS = ("num_fewshot", "max_samples", "seed", "chat", "system_prompt")


class Runnable(Protocol):
    """What a runner runs: one task, whoever measures it.

    `task`: its description. `rows`: the rows that are measured, of `available`. `settings`: how.
    `fingerprint`: changes when anything does that the results could depend on, but for the model.
    """

    @property
    def task(self) -> EvalTask: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def available(self) -> int: ...
    @property
    def settings(self) -> EvaluationSettings: ...
    @property
    def fingerprint(self) -> str: ...

    def run(
        self,
        model: Any,
        tokenizer: Any,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Evaluation:
        """Measure a model."""


@dataclass(frozen=True)
class PreparedTask:
    """A task whose rows are read and whose evaluators are checked."""

    task: EvalTask
    prepared: Prepared
    available: int
    fingerprint: str

    @property
    def rows(self) -> Rows:
        """The rows that are measured, with their prompts."""
        return self.prepared.rows

    @property
    def settings(self) -> EvaluationSettings:
        """How they are completed."""
        return self.prepared.settings

    def run(
        self,
        model: Any,
        tokenizer: Any,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Evaluation:
        """Measure a model; see `aligntune.evaluation.Prepared.run`.

        Raises:
            EvaluationError: if a prompt is a chat and the tokenizer has no chat template, or as
                `Prepared.run` says.
        """
        chat = is_conversation(self.rows[0].get("prompt"))
        if chat and getattr(tokenizer, "chat_template", None) is None:
            why = "has `chat: true`" if self.task.chat else "asks in chat messages"
            raise EvaluationError(
                f"task {self.task.name!r} {why}, and the tokenizer of this model has no chat "
                "template; save one with the model, or ask without a chat"
            )
        return self.prepared.run(model, tokenizer, progress, store)


def prepare_task(
    task: Task,
    plugins: Plugins,
    *,
    batch_size: int = 16,
    changes: Mapping[str, Any] = MappingProxyType({}),
    trust_remote_code: bool = False,
) -> Runnable:
    """Read the rows of a task, make their prompts, and check what its metrics need.

    Args:
        task: one that `find_tasks` found, or an `EvalTask` made on the spot.
        plugins: where metrics are looked up.
        batch_size: rows at once.
        changes: fields of `EvalTask` that are set otherwise than the task says.
        trust_remote_code: run Python code that a file of a task of lm-eval names.

    Raises:
        AlignTuneError: for whatever would fail later, but for what only the model shows.
    """
    if isinstance(task, HarnessTask):
        return _of_harness(task, batch_size, changes, trust_remote_code)
    _refuse_unknown(changes)
    task = replace(task, **changes)
    try:
        return _prepared(task, plugins, batch_size)
    except (EvaluationError, DataError) as error:
        begins = f"task {task.name!r}"
        if str(error).startswith(begins):
            raise
        raise type(error)(f"{begins}: {error}") from error


def _refuse_unknown(changes: Mapping[str, Any]) -> None:
    known = [each.name for each in fields(EvalTask)]
    for name in changes:
        if name not in known:
            hint = did_you_mean(name, known) or f"it has: {', '.join(known)}"
            raise EvaluationError(f"a task has no field {name!r}; {hint}")


def _prepared(task: EvalTask, plugins: Plugins, batch_size: int) -> PreparedTask:
    read = rows_of(task, task.split)
    settings = _settings(task, batch_size)
    prompter = Prompter.of(task)
    rows = processed(task, read[: task.max_samples])
    rows = [prompter.columns(row, index) for index, row in enumerate(rows)]
    _refuse_useless(task, rows, plugins)
    if rows[0].get("prompt") is not None:
        rows = _asked(task, read, rows, prompter)
    prepared = prepare(rows, task.metrics, settings, plugins)
    return PreparedTask(task, prepared, len(read), fingerprint(task, prepared, plugins))


def _asked(task: EvalTask, read: list[Row], rows: list[Row], prompter: Prompter) -> list[Row]:
    """The rows with what stands before each question."""
    missing = next((i for i, row in enumerate(rows) if row.get("prompt") is None), None)
    if missing is not None:
        raise EvaluationError(f"row {missing} has no prompt, and the first one has")
    if not task.num_fewshot:
        return [prompter.ask(row, index, ()) for index, row in enumerate(rows)]
    pool = read if task.fewshot_split is None else rows_of(task, task.fewshot_split)
    asked = [prompter.columns(row, i) for i, row in enumerate(processed(task, pool))]
    examples = Examples(task, asked, prompter)
    return [prompter.ask(row, index, examples.of(row, index)) for index, row in enumerate(rows)]


def _settings(task: EvalTask, batch_size: int) -> EvaluationSettings:
    return EvaluationSettings(
        batch_size=batch_size,
        max_new_tokens=task.max_new_tokens,
        temperature=task.temperature,
        top_p=task.top_p,
        top_k=task.top_k,
        num_samples=task.num_samples,
        stop=tuple(task.stop),
        seed=task.seed,
        max_samples=task.max_samples,
        reference_column=None if task.reference is None else "reference",
        chat_template_kwargs=task.chat_template_kwargs,
    )


def _refuse_useless(task: EvalTask, rows: list[Row], plugins: Plugins) -> None:
    """Refuse settings that nothing would use.

    Raises:
        EvaluationError: names the field.
    """
    plain = {each.name: each.default for each in fields(EvalTask)}
    plain |= {"stop": (), "chat_template_kwargs": {}}

    def is_set(name: str) -> bool:
        return bool(getattr(task, name) != plain[name])

    if rows[0].get("prompt") is None:
        for name in filter(is_set, _OF_PROMPTS):
            raise EvaluationError(
                f"`{name}` has no effect, because the rows have no prompt: set `prompt` to a "
                f"template; the columns there are: {', '.join(rows[0])}"
            )
    elif is_set("chat_template_kwargs") and not (task.chat or is_conversation(rows[0]["prompt"])):
        raise EvaluationError("`chat_template_kwargs` has no effect without `chat: true`")
    names = [each if isinstance(each, str) else each["type"] for each in _named(task)]
    entries = [plugins.find(plugins.evaluators, name) for name in names]
    if len(entries) == len(task.metrics) and not any(e.facts.generates for e in entries):
        for name in filter(is_set, _OF_GENERATION):
            raise EvaluationError(
                f"`{name}` has no effect: no completion is generated for {', '.join(names)}"
            )


def _named(task: EvalTask) -> list[Any]:
    return [each for each in task.metrics if isinstance(each, (str, Mapping))]


def _of_harness(
    task: HarnessTask, batch_size: int, changes: Mapping[str, Any], trust_remote_code: bool
) -> Runnable:
    shown = task.path or f"{HARNESS}{task.name}"
    for name in changes:
        if name not in _OF_HARNESS:
            raise EvaluationError(
                f"`{name}` cannot be set for {shown}: a task of lm-eval says it itself; what can be"
                f" set is {', '.join(_OF_HARNESS)}"
            )
    try:
        importlib.metadata.version("lm-eval")
    except importlib.metadata.PackageNotFoundError:
        raise UnavailableError(
            f"{shown} is a task of lm-eval, which is not installed: "
            'pip install "aligntune-eval[lm-eval]"'
        ) from None
    from aligntune_eval.harness import harness_task

    return harness_task(
        shown, batch_size=batch_size, trust_remote_code=trust_remote_code, **changes
    )
