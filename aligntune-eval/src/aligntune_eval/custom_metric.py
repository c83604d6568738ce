"""A function of one's own as a metric of completions against references."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, Metric
from aligntune.registry import import_target
from aligntune_eval.reference_metric import ReferenceMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CustomMetric"]


class CustomMetric(ReferenceMetric):
    """What `function(predictions, references)` says: a number, or numbers by name.

    `function`: a function, or its importable name `"package.module:function"`. It gets two lists of
    equal length: completions, and references (a text each, or a list of texts where there are
    several). `name`: what the metric is called; unset, as the function. Numbers by name are called
    `<name>/<key>`.

    Raises:
        TypeError: if it is no function.
        PluginError: if it cannot be imported.
    """

    def __init__(self, function: Callable[..., Any] | str, name: str | None = None) -> None:
        function = import_target(function, "the custom metric")
        if not callable(function):
            raise TypeError(f"a custom metric is a function of predictions, not {function!r}")
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))

    def measure(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> list[Metric]:
        right = [each[0] if len(each) == 1 else list(each) for each in references]
        returned = self.function(list(predictions), right)
        found = {self.name: returned}
        if isinstance(returned, Mapping):
            found = {f"{self.name}/{key}": value for key, value in returned.items()}
        return [
            Metric(name, _number(name, value), len(predictions), details=details)
            for name, value in found.items()
        ]


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            f"custom metric {name!r} returned {value!r}; it must return a number, or numbers by "
            "name"
        ) from error
    if not math.isfinite(number):
        raise EvaluationError(f"custom metric {name!r} returned {number}, which is not finite")
    return number
