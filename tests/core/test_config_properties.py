"""Whatever is given ends in a configuration or in an error of our family.

What is valid means the same after it was written down, and an editor that has the schema agrees.

`ALIGNTUNE_EXAMPLES` is the number of cases of all tests together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aligntune.cli.configured import config_of
from aligntune.cli.flags import read_flags
from aligntune.config import RunConfig, load_config
from aligntune.config.assemble import Setting, collect, field_paths, merge
from aligntune.config.fields import all_fields, find, names
from aligntune.config.foreign import _sentences
from aligntune.config.run_config import UnifiedConfig
from aligntune.config.schema import json_schema
from aligntune.errors import AlignTuneError
from aligntune.plan import make_plan
from aligntune.plan.resolved import resolved_yaml
from aligntune.plugins import Plugins

TESTS = 7
EXAMPLES = max(int(os.environ.get("ALIGNTUNE_EXAMPLES", "500")) // TESTS, 1)
some = settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

GOOD = {"model": "m", "dataset": "d"}
ROOT = [*UnifiedConfig.model_fields, *UnifiedConfig.aliases(), "dataset", "base", "type"]
ODD = ["self", "", ".", "0", "datasets.0", "datasets.0.name", "datasets.x.name", "/x", "<<"]
NAMES = sorted(
    {
        *field_paths(),
        *ROOT,
        *_sentences(),
        *(name for field in all_fields() for name in names(field)),
        *("reward_functions", "reward_function_weights", "training_type", "eval_dataset"),
        *("params", "name"),
        *ODD,
    }
)
REAL = st.sampled_from(NAMES)


@st.composite
def misspelt(draw: st.DrawFn) -> str:
    """A real name with a letter too many, too few, or another."""
    name = draw(REAL)
    at = draw(st.integers(0, len(name)))
    return name[:at] + draw(st.text(max_size=1)) + name[at + draw(st.integers(0, 2)) :]


KEYS = REAL | misspelt() | st.text(max_size=8)
WORDS = st.sampled_from(
    [
        *("sft", "rl", "grpo", "auto", "none", "true", "no", "2e-4", "1e3", "1e400", "nan", "-inf"),
        *("bf16", "trl", "ddp", "a.yaml", "hf_0123456789abcdefABCDEF", "ß", "\u0663"),
        *("${HOME}", "${X:-1}", "${"),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=8)
    | WORDS
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
)
ANY = st.recursive(
    SCALARS | st.binary(max_size=3) | st.dates() | st.builds(object) | st.just(load_config),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(KEYS | SCALARS, inner, max_size=4)
    ),
    max_leaves=6,
)


def ends_well(load: Callable[[], Any]) -> None:
    with suppress(AlignTuneError):
        config = load()
        assert isinstance(config, RunConfig)
        repr(config)


@pytest.mark.usefixtures("no_plugins")
@some
@given(
    st.dictionaries(KEYS | SCALARS, ANY, max_size=4),
    st.dictionaries(KEYS, ANY, max_size=3),
    st.booleans(),
)
def test_any_mapping(data: dict[Any, Any], more: dict[str, Any], good: bool) -> None:
    ends_well(lambda: load_config({**GOOD, **data} if good else data))
    ends_well(lambda: load_config(GOOD, overrides=collect(more, "flag")))
    ends_well(lambda: UnifiedConfig(**{str(key): value for key, value in data.items()}))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """YAML, JSON or neither, with something in it that does not belong there."""
    data = draw(st.dictionaries(KEYS, JSON, max_size=5))
    good = GOOD if draw(st.booleans()) else {}
    form = draw(st.sampled_from(["json", "yaml", "neither"]))
    text = ""
    if form != "neither":
        text = str((json.dumps if form == "json" else yaml.safe_dump)({**good, **data}))
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.text(max_size=12) | WORDS) + text[at + draw(st.integers(0, 3)) :]


@pytest.mark.usefixtures("no_plugins")
@some
@given(texts(), st.sampled_from([".yaml", ".json", ".yml", ".txt", ""]), st.binary(max_size=20))
def test_any_file(tmp_path: Path, text: str, suffix: str, noise: bytes) -> None:
    path = tmp_path / f"config{suffix}"
    (tmp_path / "a.yaml").write_text("model: m\nbase: config.yaml\n")
    for content in (text.encode("utf-8", "surrogatepass"), noise):
        path.write_bytes(content)
        ends_well(lambda: load_config(path))


@pytest.mark.usefixtures("no_plugins")
@some
@given(st.lists(st.tuples(KEYS, JSON | st.text(), st.sampled_from([" ", "=", "only"])), max_size=6))
def test_any_flags(given_flags: list[tuple[str, Any, str]]) -> None:
    arguments = ["--model", "m", "--dataset", "d"]
    for name, value, form in given_flags:
        text = value if isinstance(value, str) else json.dumps(value)
        arguments += {" ": [f"--{name}", text], "=": [f"--{name}={text}"]}.get(form, [f"--{name}"])
    ends_well(lambda: config_of(None, read_flags(arguments, {})))


@cache
def values_of(path: str) -> st.SearchStrategy[Any]:
    """Values that the field may take, or nearly."""
    (field, *_) = find(path)
    numbers = st.integers(0, 70_000) | st.floats(0, 1) | st.sampled_from(["2e-4", "1e3", "16"])
    by_type = {
        "whole number": st.integers(0, 70_000) | st.sampled_from(["1e3", "16"]),
        "number": numbers,
        "true or false": st.booleans() | st.sampled_from(["true", "no"]),
        "text": st.text(min_size=1, max_size=6) | WORDS,
        "keys with values": st.dictionaries(st.text(max_size=4), SCALARS, max_size=2),
        "list of text": st.lists(st.text(max_size=4), max_size=2),
        "null": st.none(),
    }
    arms = [by_type[part] for part in field.type.split(" or ") if part in by_type]
    words = st.sampled_from([w.strip() for p in field.type.split(" or ") for w in p.split(",")])
    return st.one_of(arms) if arms else words


FLAT = [name for name in sorted(field_paths()) if find(name)]
USED_BY_TOYS = [
    name
    for name in FLAT
    if find(name)[0].section in ("datasets", "evaluation")
    or name in ("lora_r", "use_peft", "learning_rate", "seed", "run_name", "model_init_kwargs")
]


@st.composite
def settings_of_fields(draw: st.DrawFn, known: list[str] = FLAT) -> dict[str, Any]:
    """Values of some fields, by any of the names that work at the top level."""
    flat = draw(st.lists(st.sampled_from(known), max_size=5, unique=True))
    return {**GOOD, **{name: draw(values_of(name)) for name in flat}}


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


@pytest.mark.usefixtures("no_plugins")
@some
@given(settings_of_fields())
def test_what_loads_is_valid_for_editors(data: dict[str, Any]) -> None:
    try:
        load_config(data)
    except AlignTuneError:
        assume(False)
    assert [error.message for error in validator().iter_errors(data)] == []


@some
@given(settings_of_fields(USED_BY_TOYS), st.sampled_from(["toy-sft", "toy-rl"]))
def test_a_resolved_configuration_is_a_fixed_point(
    toy: Plugins, tmp_path: Path, data: dict[str, Any], algorithm: str
) -> None:
    rewards = {"rewards": ["praise"]} if algorithm == "toy-rl" else {}
    # A named backend: looking for the best one asks for the versions of what is installed.
    data |= {"algorithm": algorithm, "backend": "slow", "batch_size": 2, **rewards}
    try:
        plan = make_plan(load_config(data))
    except AlignTuneError:
        assume(False)
    first = resolved_yaml(plan)
    assume("# Left out as secrets" not in first)
    (tmp_path / "resolved.yaml").write_text(first, encoding="utf-8")
    again = make_plan(load_config(tmp_path / "resolved.yaml"))
    assert resolved_yaml(again) == first
    assert again.flat().keys() >= {"model.name_or_path", "train.seed"}


@pytest.mark.usefixtures("no_plugins")
@some
@given(settings_of_fields(), settings_of_fields(), st.randoms())
def test_the_order_of_names_says_nothing_and_the_order_of_sources_everything(
    one: dict[str, Any], two: dict[str, Any], random: Any
) -> None:
    shuffled = list(one.items())
    random.shuffle(shuffled)
    problems: list[Any] = []
    first, _ = merge(collect(one, "one"), problems)
    assume(not problems)
    assert merge(collect(dict(shuffled), "one"))[0] == first
    both, origins = merge([*collect(one, "one"), *collect(two, "two")], problems)
    assume(not problems)
    assert merge([*collect(one, "one"), *collect(one, "one"), *collect(two, "two")])[0] == both
    later = {s.path: s.value for s in collect(two, "two") if s.problem is None}
    for path, value in later.items():
        assert origins[path] == "two"
        assert _at(both, path) == value or value == []


def _at(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree


@some
@given(st.lists(st.tuples(REAL, JSON), max_size=6))
def test_settings_of_any_path_merge_or_say_why(pairs: list[tuple[str, Any]]) -> None:
    problems: list[Any] = []
    tree, origins = merge((Setting(path, value, "x") for path, value in pairs), problems)
    assert isinstance(tree, dict)
    assert set(origins) <= {path for path, _ in pairs}
    assert all(str(problem) for problem in problems)
