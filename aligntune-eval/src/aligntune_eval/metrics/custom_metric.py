"""A function of one's own as a metric of completions against references."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationContext, EvaluationSettings, Metric
from aligntune.registry import import_target
from aligntune_eval.metrics.reference_metric import ReferenceMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligntune.evaluation.columns import Rows
    from aligntune.plugins import Plugins

__all__ = ["CustomMetric"]


class CustomMetric(ReferenceMetric):
    """What `function(predictions, references)` says of all rows.

    It gets two lists of equal length: completions, and references (a text each, or a list of texts
    where there are several). It returns a number, or a list of one number for each completion, or
    either by name. A list is averaged over rows and gets a standard error, an interval and a place
    in paired comparisons; of a number there is only the number. Which is better is not known. Rows
    need a prompt and a reference or `completion`. Of rows with several completions, those of a row
    stand one after the other.

    `function`: a function, or its importable name `"package.module:function"`. `name`: what the
    metric is called; unset, as the function. What is returned by name is called `<name>/<key>`.
    `higher_is_better`: whether more is better; unset, not known.

    Raises:
        TypeError: if it is no function.
        PluginError: if it cannot be imported.
    """

    def __init__(
        self,
        function: Callable[..., Any] | str,
        name: str | None = None,
        higher_is_better: bool | None = None,
    ) -> None:
        function = import_target(function, "the custom metric")
        if not callable(function):
            raise TypeError(f"a custom metric is a function of predictions, not {function!r}")
        if higher_is_better not in (None, True, False):
            raise ValueError(
                f"higher_is_better is {higher_is_better!r}; it is true, false or unset"
            )
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.higher_is_better = higher_is_better

    def prepare(self, rows: Rows, settings: EvaluationSettings, plugins: Plugins) -> None:
        """Check also that the function takes two arguments.

        Raises:
            EvaluationError: if it does not, or a row has no reference.
        """
        super().prepare(rows, settings, plugins)
        try:
            signature = inspect.signature(self.function)
        except ValueError:  # some functions written in C do not say
            return
        try:
            signature.bind([], [])
        except TypeError as error:
            raise EvaluationError(
                f"custom metric {self.name!r} is {self.name}{signature}, and is called with two "
                f"lists, the completions and the references: {error}"
            ) from error

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
            if not found:
                raise EvaluationError(
                    f"custom metric {self.name!r} returned nothing: an empty dict"
                )
        return [
            self._metric(name, value, len(predictions), details, context)
            for name, value in found.items()
        ]

    def _metric(
        self,
        name: str,
        returned: Any,
        count: int,
        details: dict[str, Any],
        context: EvaluationContext,
    ) -> Metric:
        listed = _listed(returned)
        if listed is None:
            return Metric(
                name,
                _number(name, returned),
                len(context.rows),
                details=details,
                higher_is_better=self.higher_is_better,
            )
        if len(listed) != count:
            raise EvaluationError(
                f"custom metric {name!r} returned {len(listed)} values for {count} completions; it "
                "must return a number, or one for each completion"
            )
        return self.mean(name, [_number(name, value) for value in listed], details, context)

    def measures(self) -> dict[str, bool | None]:
        return {}

    def direction(self, name: str) -> bool | None:
        return self.higher_is_better


def _listed(value: Any) -> list[Any] | None:
    """The items of a list, an array or a tensor; None for a single number."""
    if isinstance(value, str | bytes | Mapping):
        return None
    if not isinstance(value, list | tuple):
        to_list = getattr(value, "tolist", None)  # of numpy and torch, which list themselves
        value = to_list() if callable(to_list) else value
    return list(value) if isinstance(value, list | tuple) else None


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            f"custom metric {name!r} returned {value!r}; it must return a number, or a list of one "
            "number for each completion, or either by name"
        ) from error
    if not math.isfinite(number):
        raise EvaluationError(f"custom metric {name!r} returned {number}, which is not finite")
    return number
