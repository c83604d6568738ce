"""Digests: of JSON-like values, of metrics, and of all that the results of a task depend on."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict
from types import CellType, CodeType
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from aligntune_eval.metrics.named_reward import NamedReward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation import EvalTask, Prepared
    from aligntune.plugins import Plugins

__all__ = ["digest", "fingerprint"]

# Fields that say what a task is called or about, or that its rows already hold.
_SAID = {"name", "category", "description", "metadata", "dataset", "metrics", "max_samples"}


def digest(value: Any) -> str:
    """A digest of a JSON-like value; what JSON does not have counts as its `repr`."""
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError):  # keys of several kinds have no order; it may hold itself
        text = repr(value)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def fingerprint(task: EvalTask, prepared: Prepared, plugins: Plugins) -> str:
    """A digest that changes with whatever the results of a task rest on, but for the model.

    That is how the task is made, the rows as they are asked, how they are completed, and each
    metric: its parameters, its class, the version of its distribution and of its libraries, and
    the source of functions. The batch size is no part of it: no result depends on it.
    """
    made = {key: value for key, value in task.as_dict().items() if key not in _SAID}
    settings = {k: v for k, v in asdict(prepared.settings).items() if k != "batch_size"}
    metrics = [
        _metric(wanted, evaluator, plugins)
        for wanted, evaluator in zip(task.metrics, prepared.evaluators, strict=True)
    ]
    return digest([made, settings, metrics, [digest(dict(row)) for row in prepared.rows]])


def _metric(wanted: Any, evaluator: Any, plugins: Plugins) -> dict[str, Any]:
    kind = type(evaluator)
    found: dict[str, Any] = {
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "parameters": {k: v for k, v in vars(evaluator).items() if not k.startswith("_")},
    }
    name = wanted if isinstance(wanted, str) else None
    if isinstance(wanted, Mapping):
        name = wanted["type"]
        found["given"] = wanted.get("params") or {}
    if name is None:
        return found | {"source": _source(kind)}
    entry = plugins.find(plugins.evaluators, name)
    found["owner"] = str(entry.owner)
    found["libraries"] = _versions(entry.facts.packages)
    reward = getattr(evaluator, "reward", None)
    reward = reward.reward if isinstance(reward, NamedReward) else reward
    if isinstance(reward, str) and (matching := plugins.rewards.matching(reward)):
        found["reward"] = [str(matching[0].owner), _versions(matching[0].facts.packages)]
    return found


def _versions(requirements: Sequence[str]) -> list[str]:
    names = [Requirement(text).name for text in requirements]
    return [f"{name} {importlib.metadata.version(name)}" for name in names]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, (tuple, list)):
        return list(value)
    if callable(value):
        return _called(value)
    return repr(value) if _has_repr(value) else _source(type(value)).partition("\n")[0]


def _called(value: Any) -> Any:
    """The code of a function, class or object that is called, and all that it holds."""
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if inspect.ismethod(value):
        return [value.__func__, _held(value.__self__)]
    if inspect.isfunction(value):
        return [_source(value), value.__defaults__, value.__kwdefaults__, _enclosed(value)]
    return _source(value) if inspect.isroutine(value) else _held(value)


def _has_repr(value: Any) -> bool:
    """Whether a repr is the object's own; any other shows its address, new in each process."""
    return any("__repr__" in vars(each) for each in type(value).__mro__[:-1])


def _held(value: Any) -> Any:
    """A class, or the class of an object with what the object holds."""
    if isinstance(value, type):
        return _source(value)
    held = repr(value) if _has_repr(value) else getattr(value, "__dict__", {})
    return [_source(type(value)), held]


def _enclosed(function: Any) -> list[Any]:
    """What a function has from the one around it, but for itself."""
    cells = [cell for cell in function.__closure__ or () if cell != CellType()]
    return [cell.cell_contents for cell in cells if cell.cell_contents is not function]


def _source(value: Any) -> str:
    """The name and code of a function or class; the name alone where there is no code."""
    name = f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', type(value))}"
    try:
        return f"{name}\n{inspect.getsource(value)}"
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        return name if code is None else f"{name}\n{_compiled(code)}"


def _compiled(code: CodeType) -> list[Any]:
    """What a function does whose source is in no file, as of `python -c`."""
    constants = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), code.co_names, constants]
