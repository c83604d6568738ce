"""Runs evaluators: names to objects, checks before anything loads, then one pass over each.

`prepare(...)` does all that needs no model, so that a mistake shows before one is loaded;
`Prepared.run(model, tokenizer)` measures, as often and with as many models as wanted;
`evaluate(...)` does both.
"""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aligntune.errors import AlignTuneError, EvaluationError, UnavailableError, did_you_mean
from aligntune.evaluation.protocol import CUSTOM, EvaluationContext, EvaluationSettings, Evaluator
from aligntune.evaluation.state import undisturbed
from aligntune.plugins import get as installed_plugins
from aligntune.scoring.build import missing_packages

if TYPE_CHECKING:
    from aligntune.evaluation.columns import Rows
    from aligntune.evaluation.metric import Metric
    from aligntune.evaluation.protocol import Progress, Store
    from aligntune.plugins import Plugins

__all__ = ["Evaluation", "Evaluators", "Prepared", "evaluate", "prepare", "refuse_twice", "resolve"]

T = TypeVar("T")


class _Entry(Protocol):
    """What an entry of the configuration's list of evaluators looks like."""

    type: str
    params: dict[str, Any]


Function = Callable[[list[str], list[Any]], Any]
"""What the evaluator `custom_metric` measures with: of completions and their references."""

Evaluators = Sequence[str | Mapping[str, Any] | _Entry | Evaluator | Function]
"""Registered names, `{type, params}` (a mapping or the configuration's own object), objects, or
functions of completions and references."""


@dataclass(frozen=True)
class Evaluation:
    """What came out: the metrics in the order of the evaluators, one sample per row, the time."""

    metrics: tuple[Metric, ...]
    samples: list[dict[str, Any]]
    seconds: float

    def metric(self, name: str) -> Metric:
        """The metric called `name`.

        Raises:
            EvaluationError: if there is none; names those there are.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        known = ", ".join(metric.name for metric in self.metrics)
        raise EvaluationError(f"no metric {name!r} was measured; there are: {known}")

    def values(self, prefix: str = "") -> dict[str, float]:
        """Metric names, with `prefix` put before each, to values."""
        return {prefix + metric.name: metric.value for metric in self.metrics}

    def as_dict(self) -> dict[str, Any]:
        """Metrics and time as JSON values; the samples are left out."""
        return {"metrics": [m.as_dict() for m in self.metrics], "seconds": self.seconds}


@dataclass(frozen=True)
class Prepared:
    """Evaluators that are resolved, and rows that bring what they need."""

    evaluators: tuple[Evaluator, ...]
    rows: Rows
    settings: EvaluationSettings
    plugins: Plugins

    def run(
        self,
        model: Any,
        tokenizer: Any,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Evaluation:
        """Measure `model`, which keeps its mode; the global random state is left as it was found.

        Args:
            model: a transformers causal language model.
            tokenizer: its tokenizer.
            progress: told how far the work is.
            store: keeps what was generated and scored, and gives back what is there already.

        Raises:
            EvaluationError: if an evaluator raises; names it.
        """
        begin = time.perf_counter()
        context = EvaluationContext(
            model, tokenizer, self.rows, self.settings, self.plugins, store=store
        )
        if progress is not None:
            context.progress = progress
        with undisturbed(model):
            for evaluator in self.evaluators:
                _guarded(evaluator, evaluator.check, context)
            found = {
                evaluator.name: _guarded(evaluator, evaluator.evaluate, context)
                for evaluator in sorted(self.evaluators, key=lambda evaluator: evaluator.last)
            }
        metrics = [metric for evaluator in self.evaluators for metric in found[evaluator.name]]
        refuse_twice("metric", [metric.name for metric in metrics])
        return Evaluation(tuple(metrics), context.samples, time.perf_counter() - begin)


def prepare(
    rows: Rows, evaluators: Evaluators, settings: EvaluationSettings, plugins: Plugins
) -> Prepared:
    """Resolve the evaluators and check that the rows bring what they need.

    Raises:
        NotRegisteredError: for an unknown evaluator.
        UnavailableError: for one that needs a package which is not installed.
        EvaluationError: for wrong parameters, missing columns, no rows, or one name twice.
    """
    rows = rows[: settings.max_samples]
    if not rows:
        raise EvaluationError("there are no rows to evaluate on")
    if not evaluators:
        raise EvaluationError("no evaluators are named")
    resolved = tuple(resolve(wanted, plugins) for wanted in evaluators)
    refuse_twice("evaluator", [evaluator.name for evaluator in resolved])
    for evaluator in resolved:
        evaluator.prepare(rows, settings, plugins)
    return Prepared(resolved, rows, settings, plugins)


def evaluate(
    model: Any,
    tokenizer: Any,
    rows: Rows,
    evaluators: Evaluators,
    *,
    settings: EvaluationSettings | None = None,
    plugins: Plugins | None = None,
) -> Evaluation:
    """Measure `model` on `rows` with each of the evaluators; see `prepare` and `Prepared.run`.

    `settings` are the default ones, and `plugins` those of the process, unless given.
    """
    if plugins is None:
        plugins = installed_plugins()
    prepared = prepare(rows, evaluators, settings or EvaluationSettings(), plugins)
    return prepared.run(model, tokenizer)


def resolve(
    wanted: str | Mapping[str, Any] | _Entry | Evaluator | Function, plugins: Plugins
) -> Evaluator:
    """The evaluator that an entry of a configuration names.

    Raises:
        NotRegisteredError, UnavailableError, EvaluationError: as `prepare` says.
    """
    if isinstance(wanted, Evaluator):
        return wanted
    name, params = _name_and_params(wanted)
    entry = plugins.find(plugins.evaluators, name)
    if missing := missing_packages(entry.facts):
        command = f': pip install "{entry.facts.install}"' if entry.facts.install else ""
        raise UnavailableError(
            f"evaluator {name!r} needs {', '.join(missing)}, which is not installed{command}"
        )
    make = entry.load()
    who = f"evaluator {name!r} of {entry.owner}"
    if not callable(make) or (isinstance(make, type) and not issubclass(make, Evaluator)):
        raise EvaluationError(f"{who} is no Evaluator: {make!r}")
    signature = inspect.signature(make)
    try:
        signature.bind(**params)
    except TypeError as error:
        known = [parameter for parameter in signature.parameters if parameter != "self"]
        hints = filter(None, (did_you_mean(p, known) for p in params if p not in known))
        accepted = f"it accepts: {', '.join(known)}" if known else "it accepts no parameters"
        raise EvaluationError("; ".join([f"{who}: {error}", *hints, accepted])) from error
    try:
        evaluator = make(**params)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{who}: {error}") from error
    if not isinstance(evaluator, Evaluator):
        raise EvaluationError(f"{who} made no Evaluator: {evaluator!r}")
    return evaluator


def _name_and_params(
    wanted: str | Mapping[str, Any] | _Entry | Function,
) -> tuple[str, dict[str, Any]]:
    if isinstance(wanted, str):
        return wanted, {}
    if isinstance(wanted, type) and issubclass(wanted, Evaluator):
        raise EvaluationError(
            f"{wanted.__name__} is a class of evaluators; give an object of it: "
            f"{wanted.__name__}(...)"
        )
    if callable(wanted):
        return CUSTOM, {"function": wanted}
    if not isinstance(wanted, Mapping):
        return wanted.type, wanted.params
    unknown = sorted(set(wanted) - {"type", "params"})
    if unknown or not isinstance(wanted.get("type"), str):
        raise EvaluationError(
            f"an evaluator is a name or a mapping of `type` and `params`, not {dict(wanted)!r}"
        )
    return wanted["type"], dict(wanted.get("params") or {})


def _guarded(
    evaluator: Evaluator, method: Callable[[EvaluationContext], T], context: EvaluationContext
) -> T:
    try:
        return method(context)
    except AlignTuneError:
        raise
    except Exception as error:  # the boundary that names the evaluator
        raise EvaluationError(
            f"evaluator {evaluator.name!r} raised {type(error).__name__}: {error}"
        ) from error


def refuse_twice(kind: str, names: list[str]) -> None:
    """Raise EvaluationError if a name of evaluators or metrics would stand for two of them."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise EvaluationError(
            f"{kind} {twice[0]!r} appears twice; give one of them another `name` parameter"
        )
