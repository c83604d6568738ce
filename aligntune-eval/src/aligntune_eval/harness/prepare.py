"""From a name or a YAML file to tasks of lm-eval that are checked and have their data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aligntune.errors import AlignTuneError, EvaluationError, describe
from aligntune.evaluation import EvalTask, EvaluationSettings, TaskCategory
from aligntune_eval.harness.find import PREFIX, Found, find
from aligntune_eval.harness.library import installed_version, load_tasks, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligntune.evaluation import Evaluation, Store
    from aligntune.evaluation.columns import Rows
    from aligntune.evaluation.protocol import Progress

__all__ = ["How", "PreparedHarness", "harness_task"]

_SEED = 1234  # lm-eval's own, but for Python's generator
_SEED_OF_PYTHON = 0


@dataclass(frozen=True)
class How:
    """What is asked of lm-eval's evaluator."""

    num_fewshot: int | None
    max_samples: int | None
    batch_size: int
    seed: int | None
    chat: bool
    system_prompt: str | None

    @property
    def seeds(self) -> tuple[int, int]:
        """The seed of Python's generator, and of everything else."""
        return (_SEED_OF_PYTHON, _SEED) if self.seed is None else (self.seed, self.seed)


@dataclass(frozen=True)
class PreparedHarness:
    """Tasks of lm-eval whose data are there; see `aligntune_eval.tasks.prepare.Runnable`.

    `loaded`: what lm-eval's `TaskManager.load` gave. `how`: what is asked of its evaluator.
    """

    task: EvalTask
    rows: Rows
    available: int
    settings: EvaluationSettings
    fingerprint: str
    loaded: Mapping[str, Any]
    how: How

    def run(
        self,
        model: Any,
        tokenizer: Any,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Evaluation:
        """Measure a model with lm-eval's evaluator; the global random state is left as it was.

        Args:
            model: a transformers causal language model.
            tokenizer: its tokenizer.
            progress: told how far the work is.
            store: keeps answers of the model, and gives back those that are there already.

        Raises:
            EvaluationError: if lm-eval fails; names the task.
        """
        from aligntune_eval.harness.run import measure

        return measure(self, model, tokenizer, progress, store)


def harness_task(
    name_or_path: str,
    *,
    num_fewshot: int | None = None,
    max_samples: int | None = None,
    batch_size: int = 16,
    seed: int | None = None,
    chat: bool = False,
    system_prompt: str | None = None,
    trust_remote_code: bool = False,
) -> PreparedHarness:
    """Find tasks of lm-eval, load their data and check them; no model is needed.

    Args:
        name_or_path: the name of a task, a group or a tag of lm-eval (with or without `lm_eval:`),
            a YAML file in lm-eval's form, or a folder of such files.
        num_fewshot: examples before each question; unset, as many as the task says.
        max_samples: the first so many rows of each task.
        batch_size: requests in one forward pass.
        seed: of the choice of examples and of sampling; unset, lm-eval's own (1234, and 0 for
            Python's generator).
        chat: make prompts with the model's chat template, examples as turns, as lm-eval's
            `--apply_chat_template` does.
        system_prompt: put before each question.
        trust_remote_code: run Python code that a YAML file names, and metrics that come as code.

    Raises:
        UnavailableError: if lm-eval is not installed.
        NotRegisteredError: for a name that lm-eval does not have.
        EvaluationError: for a file that is wrong, or asks for what is not allowed.
    """
    version = installed_version()
    how = How(num_fewshot, max_samples, batch_size, seed, chat, system_prompt)
    _check_numbers(how)
    found = find(name_or_path, trust_remote_code=trust_remote_code)
    with quiet():
        loaded = _load(found)
        tasks: dict[str, Any] = loaded["tasks"]
        _set_fewshot(tasks, how)
        rows = [dict(doc) for task in tasks.values() for _, doc in _docs(task, how.max_samples)]
        for name, task in tasks.items():
            _check_task(name, task, how)
        _refuse_useless(found, tasks, how)
    asked = {"lm_eval": version, "how": vars(how) | {"batch_size": None}}
    configs = {name: task.dump_config() for name, task in tasks.items()}
    return PreparedHarness(
        _description(found, tasks, how, version),
        rows,
        sum(len(task.eval_docs) for task in tasks.values()),
        _settings(tasks, how),
        _digest([asked, configs, rows, _examples(tasks)]),
        loaded,
        how,
    )


def _check_numbers(how: How) -> None:
    for name, least in (("num_fewshot", 0), ("max_samples", 1), ("batch_size", 1)):
        value = getattr(how, name)
        if value is not None and value < least:
            raise EvaluationError(f"{name} must be at least {least}, not {value}")


def _load(found: Found) -> dict[str, Any]:
    """Let lm-eval make the tasks, which fetches their data."""
    try:
        return load_tasks(found.wanted, found.listed)
    except AlignTuneError:
        raise
    except Exception as error:  # lm-eval's, its libraries' and the tasks' own: named here once
        raise EvaluationError(f"{_where(found)} cannot be loaded: {describe(error)}") from error


def _where(found: Found) -> str:
    paths = [document.path for document in found.documents.values()]
    return f"{found.name} ({paths[0]})" if len(paths) == 1 else f"{found.name} of lm-eval"


def _set_fewshot(tasks: Mapping[str, Any], how: How) -> None:
    """Set the number of examples as lm-eval does, but never leave one out that was asked for."""
    for name, task in tasks.items():
        own = task.get_config("num_fewshot")
        if how.num_fewshot is not None and own == 0 and how.num_fewshot != 0:
            raise EvaluationError(
                f"num_fewshot is {how.num_fewshot}, and {name} says itself that it has none, which "
                "lm-eval does not change; leave num_fewshot out"
            )
        wanted = own if how.num_fewshot is None else how.num_fewshot
        task.set_config(key="num_fewshot", value=wanted or 0)


def _check_task(name: str, task: Any, how: How) -> None:
    """Refuse what lm-eval would refuse, or stumble over, once the model is loaded."""
    if getattr(task, "MULTIMODAL", False):
        raise EvaluationError(f"{name} needs a model that reads images or sound; these read text")
    if getattr(task, "UNSAFE_CODE", False):
        raise EvaluationError(
            f"{name} runs code that the model wrote, and lm-eval does so outside any sandbox; the "
            "tasks humaneval and mbpp of AlignTune and the metric pass_at_k run it in one"
        )
    docs = _docs(task, 1)
    if not docs:
        raise EvaluationError(f"{name} has no rows to measure on")
    task.set_fewshot_seed(seed=how.seeds[1])
    count = task.get_config("num_fewshot")
    try:
        task.fewshot_context(docs[0][1], num_fewshot=count, system_instruction=how.system_prompt)
    except Exception as error:  # templates and functions of the task: named here once
        raise EvaluationError(
            f"the first prompt of {name}, with {count} examples, cannot be made: {describe(error)}"
        ) from error


def _refuse_useless(found: Found, tasks: Mapping[str, Any], how: How) -> None:
    """Refuse what lm-eval takes and puts nowhere: nothing stands before running text."""
    from lm_eval.api.task import ConfigurableTask

    if all(
        isinstance(task, ConfigurableTask) and task.OUTPUT_TYPE == "loglikelihood_rolling"
        for task in tasks.values()
    ):
        for name in ("num_fewshot", "chat", "system_prompt"):
            if getattr(how, name):
                raise EvaluationError(
                    f"`{name}` has no effect: {found.name} scores running text as it is; leave it "
                    "out"
                )


def _docs(task: Any, count: int | None) -> list[tuple[int, Any]]:
    return list(task.doc_iterator(limit=count))


def _examples(tasks: Mapping[str, Any]) -> list[Any]:
    """The rows that examples are drawn from, of tasks that have any."""
    return [
        [dict(row) for row in task.sampler.df or ()]
        for task in tasks.values()
        if task.get_config("num_fewshot") and hasattr(task, "sampler")
    ]


def _settings(tasks: Mapping[str, Any], how: How) -> EvaluationSettings:
    """How the first of the tasks that generate does so."""
    from lm_eval.models.utils import normalize_gen_kwargs

    asked: dict[str, Any] = {}
    repeats = 1
    for task in tasks.values():
        if task.OUTPUT_TYPE == "generate_until":
            asked = normalize_gen_kwargs(task.get_config("generation_kwargs") or {})
            repeats = task.get_config("repeats") or 1
            break
    sampled = bool(asked.get("do_sample"))
    return EvaluationSettings(
        batch_size=how.batch_size,
        max_new_tokens=asked.get("max_gen_toks", 256),
        temperature=float(asked.get("temperature") or 1.0) if sampled else 0.0,
        top_p=float(asked.get("top_p", 1.0)) if sampled else 1.0,
        top_k=int(asked.get("top_k", 0)) if sampled else 0,
        num_samples=repeats if sampled else 1,
        stop=tuple(text for text in asked.get("until", ()) if text),
        seed=how.seeds[1],
        max_samples=how.max_samples,
    )


def _description(found: Found, tasks: Mapping[str, Any], how: How, version: str) -> EvalTask:
    kinds = {task.OUTPUT_TYPE for task in tasks.values()}
    shots = {int(task.get_config("num_fewshot")) for task in tasks.values()}
    versions = {name: task.VERSION for name, task in tasks.items()}
    only = next(iter(versions.values())) if len(versions) == 1 else None
    return EvalTask(
        name=found.name,
        category=TaskCategory.LANGUAGE_MODELING
        if kinds == {"loglikelihood_rolling"}
        else TaskCategory.CUSTOM,
        description=f"{found.name} of lm-eval {version}",
        dataset=f"{PREFIX}{found.name}",
        split="test",
        # Names of lm-eval's; those of a task in Python show when it has run.
        metrics=list(dict.fromkeys(m for t in tasks.values() for m in t.aggregation())) or ["acc"],
        num_fewshot=max(shots),
        fewshot_seed=how.seeds[1],
        seed=how.seeds[1],
        chat=how.chat,
        system_prompt=how.system_prompt,
        max_samples=how.max_samples,
        version=int(only) if isinstance(only, (int, float)) and only >= 1 else 1,
        metadata={
            "lm_eval": version,
            **_own_form(tasks),
            "versions": versions,
            "output_types": sorted(map(str, kinds)),
            "files": [str(document.path) for document in found.documents.values()],
        },
    )


def _own_form(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Version and configuration of a single task, as lm-eval writes them."""
    if len(tasks) != 1:
        return {}
    (task,) = tasks.values()
    config = json.loads(json.dumps(task.dump_config(), default=str))
    return {"version": task.VERSION, "config": config}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
