"""No silent parameter on Unsloth: every field has a row, every row a field, and a real argument."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
from collections.abc import Iterator
from typing import Any

import peft
import pytest
import transformers
from parameter_walk import (
    FALLBACK,
    KINDS,
    arguments_of,
    other,
    owners,
    paths,
    planned,
    rows_without_a_field,
    sent,
    settings,
    table_of,
)
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.training_args import OptimizerNames
from unsloth import FastLanguageModel

from aligntune.config import load_config
from aligntune.errors import ConfigError
from aligntune.plan import make_plan
from aligntune.plan.parameters import To
from aligntune.plugins import Plugins, Switches
from aligntune_trl.arguments import _RENAMED, argument_values
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.names import GENERATION, LOGGERS, OPTIMIZERS, SCHEDULERS
from aligntune_unsloth.plugin import RUNS

TABLES = {algorithm: table_of(algorithm, "aligntune_unsloth") for algorithm in RUNS}

each_algorithm = pytest.mark.parametrize("algorithm", RUNS)


@each_algorithm
def test_every_field_has_a_row_and_every_row_a_field(algorithm: str) -> None:
    table = TABLES[algorithm]
    assert [path for path in paths(algorithm) if table.use(path) == FALLBACK] == []
    assert rows_without_a_field(algorithm, table) == set()
    assert check_machine in table.here


@each_algorithm
def test_every_row_of_a_backend_names_an_argument_that_is_there(algorithm: str) -> None:
    loads, adapts = FastLanguageModel.from_pretrained, FastLanguageModel.get_peft_model
    there = {
        "model_init_kwargs": set(inspect.signature(loads).parameters),
        # What it has no name for goes to peft; tests/unsloth/test_lora.py sees it arrive.
        "get_peft_model": {*inspect.signature(adapts).parameters, *arguments_of(peft.LoraConfig)},
        # Unsloth's own configuration classes subclass TRL's.
        **{name: arguments_of(owner) for name, owner in owners().items()},
    }
    for _, use in sent(algorithm, TABLES[algorithm]):
        names = there[use.owner]
        assert use.argument in names or _RENAMED.get(use.argument) in names, str(use)


@pytest.fixture(scope="module")
def plugins() -> Iterator[Plugins]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "version", functools.cache(importlib.metadata.version))
        yield Plugins(Switches.make(only=["trl", "unsloth"]))


CASES = [(a, path, use) for a, table in TABLES.items() for path, use in sent(a, table)]


@pytest.mark.parametrize(
    ("algorithm", "path", "use"), CASES, ids=[f"{algorithm}-{path}" for algorithm, path, _ in CASES]
)
def test_a_value_that_is_set_reaches_its_argument(
    algorithm: str, path: str, use: To, plugins: Plugins
) -> None:
    value = other(algorithm, path)
    plan = planned(settings(algorithm, path, value, use), plugins, "unsloth")
    expected = value if use.convert is None else use.convert(value)
    assert argument_values(plan, use.owner)[use.argument] == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"device_map": "auto"}, "Unsloth places the model itself"),
        ({"max_memory": {0: "1GB"}}, "Unsloth places the model itself"),
        ({"use_liger_kernel": True}, "Unsloth brings kernels of its own"),
        (
            {
                "peft_enabled": True,
                "quantization": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            },
            "Unsloth quantizes by settings of its own",
        ),
    ],
)
def test_what_is_refused_says_why(given: dict[str, Any], says: str, plugins: Plugins) -> None:
    config = load_config({"model": "m", "dataset": "d", "backend": "unsloth", **given})
    with pytest.raises(ConfigError, match=says):
        make_plan(config, plugins=plugins)


def test_every_algorithm_of_trl_runs_here_or_is_left_out_on_purpose() -> None:
    assert set(RUNS) <= set(KINDS)


def test_names_are_those_of_the_installed_release() -> None:
    assert set(OPTIMIZERS) == {name.value for name in OptimizerNames}
    assert set(SCHEDULERS) == {name.value for name in transformers.SchedulerType}
    assert set(LOGGERS) == set(INTEGRATION_TO_CALLBACK)
    generation: Any = transformers.GenerationConfig
    there = set(vars(generation())) - {"transformers_version"}
    assert set(GENERATION) == {name for name in there if not name.startswith("_")}
