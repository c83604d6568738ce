"""What can be wrong with a task, field by field, without looking at its rows.

The same checks serve tasks made in Python and those of files, where each problem gets its line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aligntune.config.sections.dataset import is_data
from aligntune.errors import Problem, did_you_mean
from aligntune.evaluation.templates import template_problem

__all__ = ["task_problems", "wrong_row"]

Check = Callable[[Any], str]

_MOST = 100  # characters of a name, which file names hold


def task_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with the values of fields of `EvalTask`; fields that are not given are fine.

    A problem's path is the field, or what is wrong within it, such as `metrics.1.params`.
    """
    found: list[Problem] = []
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is not None and (what := check(value)):
            found.append(Problem(name, what))
    if "metrics" in values:
        found.extend(_metrics(values["metrics"]))
    if "columns" in values:
        found.extend(_columns(values["columns"]))
    return found or _together(values)


def _together(values: Mapping[str, Any]) -> list[Problem]:
    """What is wrong between fields that are fine one by one."""
    found: list[Problem] = []
    if values.get("temperature", 0) == 0:
        for name, nothing in (("top_p", 1), ("top_k", 0)):
            if values.get(name, nothing) != nothing:
                said = f"{values[name]} has no effect at temperature 0, which takes the likeliest"
                found.append(Problem(name, f"{said} token; set `temperature` above 0"))
        if (count := values.get("num_samples", 1)) > 1:
            said = f"{count} completions are all the same at temperature 0"
            found.append(Problem("num_samples", f"{said}; set `temperature` above 0"))
    dataset = values.get("dataset", "")
    if not isinstance(dataset, str):
        of_hub = {"subset": None, "revision": None}
        of_both = {} if is_data(dataset) else {"split": "train", "fewshot_split": None}
        found.extend(
            Problem(name, "rows that are given as they are have none; leave it out")
            for name, nothing in (of_hub | of_both).items()
            if values.get(name, nothing) != nothing
        )
    return found


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        return f"expected a name, not {value!r}"
    if re.search(r"[/\\,:\x00-\x1f]", value) or value != value.strip() or value.startswith("."):
        return (
            f"{value!r} cannot be a name: it stands in file names and lists, so it holds no slash, "
            "comma, colon or line break, and begins with no dot or space"
        )
    return "" if len(value) <= _MOST else f"it has {len(value)} characters; {_MOST} are possible"


def _category(value: Any) -> str:
    from aligntune.evaluation.task import TaskCategory

    known = [category.value for category in TaskCategory]
    if value in known:
        return ""
    hint = did_you_mean(str(value).lower(), known)
    return "; ".join(
        filter(None, (f"unknown category {value!r}", hint, f"known: {', '.join(known)}"))
    )


def _dataset(value: Any) -> str:
    wanted = "a hub name, a local file, rows, or a function that returns rows"
    if isinstance(value, str):
        return "" if value.strip() else f"expected {wanted}, not an empty text"
    if callable(value) or is_data(value):
        return ""
    if not isinstance(value, Sequence):
        return f"expected {wanted}, not a {type(value).__name__}"
    return wrong_row(value) if len(value) else f"there are no rows; give {wanted}"


def wrong_row(rows: Sequence[Any]) -> str:
    """Which row is no dict of named columns, in words; empty if all are."""
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            return f"row {index} is no dict of columns, but {row!r:.60}"
        if wrong := [name for name in row if not isinstance(name, str)]:
            return f"row {index} has the column {wrong[0]!r}, whose name is no text"
    return ""


def _function(value: Any) -> str:
    if value is None or callable(value):
        return ""
    if isinstance(value, str) and re.fullmatch(r"[\w.]+:[\w.]+", value):
        return ""
    return f'expected a function, or its importable name "package.module:name", not {value!r}'


def _template(value: Any) -> str:
    return "" if value is None else template_problem(value)


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else f"expected text, not {value!r}"


def _filled(value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() else f"expected text, not {value!r}"


def _optional(check: Check) -> Check:
    return lambda value: "" if value is None else check(value)


def _bool(value: Any) -> str:
    return "" if isinstance(value, bool) else f"expected true or false, not {value!r}"


def _whole(least: int | None) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            return f"expected a whole number, not {value!r}"
        return "" if least is None or value >= least else f"must be at least {least}, not {value}"

    return check


def _number(fits: Callable[[float], bool], wanted: str) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"expected a number, not {value!r}"
        return "" if math.isfinite(value) and fits(value) else f"must be {wanted}, not {value}"

    return check


def _sampler(value: Any) -> str:
    return "" if value in ("random", "first") else f"expected 'random' or 'first', not {value!r}"


def _stop(value: Any) -> str:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        return f"expected a list of texts, not {value!r}"
    return "it holds an empty text, which would end every completion at once" * ("" in value)


def _json(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"expected keys with values, not {value!r}"
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"it must hold JSON values: {error}"
    return ""


def _metrics(value: Any) -> list[Problem]:
    from aligntune.evaluation.protocol import Evaluator

    given = (value,) if isinstance(value, (str, Mapping, Evaluator)) or callable(value) else value
    if not isinstance(given, Sequence):
        return [Problem("metrics", f"expected a list of metrics, not {value!r}")]
    if not given:
        hint = "name at least one, such as `exact_match`; `aligntune eval list` lists them"
        return [Problem("metrics", "a task without metrics measures nothing", hint=hint)]
    return [p for index, metric in enumerate(given) if (p := _metric(index, metric)) is not None]


def _metric(index: int, metric: Any) -> Problem | None:
    from aligntune.evaluation.protocol import Evaluator

    path = f"metrics.{index}"
    function = callable(metric) and not isinstance(metric, type)
    if isinstance(metric, Evaluator) or function or (isinstance(metric, str) and metric.strip()):
        return None
    if isinstance(metric, Mapping):
        for key in metric:
            if key not in ("type", "params"):
                hint = f"parameters stand under `params`: {{type: ..., params: {{{key}: ...}}}}"
                return Problem(
                    f"{path}.{key}", "a metric has the keys `type` and `params`", hint=hint
                )
        if not isinstance(metric.get("type"), str):
            return Problem(path, "`type` is required: the name of the metric")
        if not isinstance(metric.get("params") or {}, Mapping):
            return Problem(f"{path}.params", f"expected keys with values, not {metric['params']!r}")
        return None
    what = f"a metric is a name, or `type` and `params`, not {metric!r}"
    return Problem(path, what)


def _columns(value: Any) -> list[Problem]:
    if not isinstance(value, Mapping):
        return [Problem("columns", f"expected names of columns with templates, not {value!r}")]
    found = {str(name): template_problem(source) for name, source in value.items()}
    return [Problem(f"columns.{name}", what) for name, what in found.items() if what]


_CHECKS: dict[str, Check] = {
    "name": _name,
    "category": _category,
    "description": _text,
    "dataset": _dataset,
    "split": _filled,
    "subset": _optional(_filled),
    "revision": _optional(_filled),
    "processing_fn": _function,
    "prompt": _template,
    "reference": _template,
    "choices": _template,
    "system_prompt": lambda value: _optional(_filled)(value) or _template(value),
    "chat": _bool,
    "chat_template_kwargs": _json,
    "num_fewshot": _whole(0),
    "fewshot_split": _optional(_filled),
    "fewshot_sampler": _sampler,
    "fewshot_group": _optional(_filled),
    "fewshot_seed": _whole(0),
    "fewshot_answer": _template,
    "fewshot_delimiter": _text,
    "target_delimiter": _text,
    "max_new_tokens": _whole(1),
    "temperature": _number(lambda value: value >= 0, "0 or more"),
    "top_p": _number(lambda value: 0 < value <= 1, "above 0 and at most 1"),
    "top_k": _whole(0),
    "num_samples": _whole(1),
    "stop": _stop,
    "seed": _whole(0),
    "max_samples": _optional(_whole(1)),
    "version": _whole(1),
    "metadata": _json,
}
