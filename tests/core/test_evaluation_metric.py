"""What a metric and the settings accept."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from aligntune.errors import EvaluationError
from aligntune.evaluation import EvaluationSettings, Metric


def test_a_metric_is_json() -> None:
    metric = Metric("m", 0.5, 10, 0.1, 0.3, 0.7, unit="s", details={"interval": "wilson"})
    assert json.loads(json.dumps(metric.as_dict()))["details"] == {"interval": "wilson"}
    assert metric.interval == (0.3, 0.7)
    assert Metric("m", 0.5, 1).interval is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((math.nan, 1), "value of the metric 'm' is nan"),
        ((math.inf, 1), "value of the metric 'm' is inf"),
        ((0.5, 0), "rests on 0 rows"),
        ((0.5, 2, math.nan), "stderr of the metric"),
        ((0.5, 2, 0.1, 0.7, 0.3), "interval of the metric"),
    ],
)
def test_what_is_no_measurement_is_refused(values: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Metric("m", *values)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_samples": 0}, "max_samples must be at least 1"),
        ({"temperature": -1}, "temperature must be 0 or more"),
        ({"top_p": 1.5, "max_new_tokens": 0}, "max_new_tokens must be .*; top_p must be"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        EvaluationSettings(**wrong)
