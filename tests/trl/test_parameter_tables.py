"""No silent parameter: every field of a configuration has a row, and every row a real argument."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import peft
import pytest
import trl
from transformers import PreTrainedModel

from aligntune.config import RunConfig, Section, SFTConfig, UnifiedConfig, load_config
from aligntune.config.problems import _nested
from aligntune.errors import ConfigError
from aligntune.plan import make_plan
from aligntune.plan.parameters import ParameterTable, To
from aligntune.plugins import Plugins, Switches
from aligntune_trl.arguments import _RENAMED, argument_values, build_config
from aligntune_trl.parameters import GRPO, SFT

KINDS: dict[str, tuple[type[RunConfig], ParameterTable, type[Any]]] = {
    "sft": (SFTConfig, SFT, trl.SFTConfig),
    "grpo": (UnifiedConfig, GRPO, trl.GRPOConfig),
}
FALLBACK = ParameterTable({}).use("train.anything")

kinds = pytest.mark.parametrize("kind", KINDS)


def fields(section: type[Section], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Full path and declaration of every field; `datasets.name` stands for every data set."""
    for name, field in section.model_fields.items():
        nested = _nested(field.annotation)
        for argument in get_args(field.annotation):
            nested = nested or _nested(argument)
        if nested is None:
            yield f"{prefix}{name}", field
        else:
            yield from fields(nested, f"{prefix}{name}.")


def arguments_of(owner: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(owner)}


@kinds
def test_every_field_has_a_row_of_its_own(kind: str) -> None:
    config, table, _ = KINDS[kind]
    paths = [path for path, _ in fields(config)]
    assert len(paths) > 100
    assert [path for path in paths if table.use(path) == FALLBACK] == []


@kinds
def test_every_row_belongs_to_a_field(kind: str) -> None:
    config, table, _ = KINDS[kind]
    paths = {path for path, _ in fields(config)}
    heads = {f"{path.partition('.')[0]}.*" for path in paths}
    assert set(table.uses) <= paths | heads


@kinds
def test_every_row_of_a_backend_names_an_argument_that_is_there(kind: str) -> None:
    _, table, owner = KINDS[kind]
    there = {owner.__name__: arguments_of(owner), "LoraConfig": arguments_of(peft.LoraConfig)}
    # from_pretrained documents its further arguments and lists only some in its signature.
    documented = str(PreTrainedModel.from_pretrained.__doc__)
    for use in table.uses.values():
        if not isinstance(use, To):
            continue
        if use.owner == "model_init_kwargs":
            assert use.argument in documented
        else:
            names = there[use.owner]
            assert use.argument in names or _RENAMED.get(use.argument) in names, str(use)


@kinds
def test_no_two_fields_set_one_argument(kind: str) -> None:
    targets = [str(use) for use in KINDS[kind][1].uses.values() if isinstance(use, To)]
    assert len(targets) == len(set(targets))


# Values other than the default, where the type alone does not give one.
OTHER: dict[str, Any] = {
    "model.revision": "r1",
    "model.attn_implementation": "eager",
    "model.max_memory": {0: "1GB"},
    "model.device_map": "auto",
    "model.target_modules": ["q_proj"],
    "train.optimizer": "sgd",
    "train.lr_scheduler": "linear",
    "train.metric_for_best_model": "loss",
    "train.gradient_checkpointing_kwargs": {"use_reentrant": True},
    "train.loss_type": {"sft": "dft", "grpo": "bnpo"},
    "train.generation_kwargs": {"min_new_tokens": 1},
    "logging.loggers": ["wandb"],
    # These must fit the batch, or each other.
    "train.save_interval": 300,
    "train.rollout_batch_size": 16,
    "train.num_generations": 4,
    "train.per_device_batch_size": 4,
    "train.per_device_eval_batch_size": 16,
}
NEEDED: dict[str, Any] = {
    "model_name": "m",
    "dataset_name": "d",
    "eval_datasets": ["e"],
    "eval_strategy": "steps",
}
REWARDS = [{"type": "custom", "params": {"reward_function": "json:dumps"}}]


def other(kind: str, path: str, field: Any) -> Any:
    """A valid value that is not the default of this field in this kind of run."""
    if path in OTHER:
        found = OTHER[path]
        return found.get(kind, found) if isinstance(found, dict) else found
    default = getattr(default_section(kind, path), path.rpartition(".")[2])
    types = (field.annotation, *get_args(field.annotation))
    if isinstance(default, bool) or bool in types:
        return not default
    if get_origin(field.annotation) is Literal:
        return next(value for value in get_args(field.annotation) if value != default)
    if int in types:
        return (default or 4) + 3
    return 0.75


def default_section(kind: str, path: str) -> Any:
    config = load_config({**NEEDED, "algorithm": kind}, kind="sft" if kind == "sft" else "rl")
    return getattr(config, path.partition(".")[0])


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins(Switches.make(only=["trl"]))


CASES = [
    (kind, path, use)
    for kind, (_, table, _) in KINDS.items()
    for path, use in table.uses.items()
    if isinstance(use, To)
]


@pytest.mark.parametrize(("kind", "path", "use"), CASES, ids=[f"{k}-{p}" for k, p, _ in CASES])
def test_a_value_that_is_set_reaches_its_argument(
    kind: str, path: str, use: To, plugins: Plugins
) -> None:
    field = dict(fields(KINDS[kind][0]))[path]
    value = other(kind, path, field)
    section, _, name = path.partition(".")
    given: dict[str, Any] = {**NEEDED, "algorithm": kind, section: {name: value}}
    given |= {"rewards": REWARDS} if kind == "grpo" else {}
    if path == "train.eval_strategy":
        given |= {"load_best_model_at_end": False}
        del given["eval_strategy"]
    if path == "train.save_strategy":
        given |= {"load_best_model_at_end": False}
    if use.when is not None and use.when.path != path:
        at, _, key = use.when.path.partition(".")
        given[at] = {**given.get(at, {}), key: use.when.values[0]}
    plan = make_plan(load_config(given), plugins=plugins)
    found = argument_values(plan, use.owner)
    expected = value if use.convert is None else use.convert(value)
    assert found[use.argument] == expected
    assert str(use) == next(v.destination for v in plan.values if v.path == path)


def test_an_argument_that_the_installed_release_calls_otherwise_gets_its_name() -> None:
    @dataclasses.dataclass
    class Newer:
        activation_checkpointing: bool = True
        max_steps: int = 1

    @dataclasses.dataclass
    class Older:
        gradient_checkpointing: bool = True

    assert build_config(Newer, {"gradient_checkpointing": False, "max_steps": 2}) == Newer(False, 2)
    assert build_config(Older, {"gradient_checkpointing": False}) == Older(False)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("sft", {"num_generations": 4}, "it belongs to GRPO"),
        ("sft", {"rewards": REWARDS}, "does not learn from rewards"),
        ("sft", {"packing_strategy": "wrapped"}, "only when `train.packing` is true"),
        ("sft", {"lora_rank": 4}, "only when `model.peft_enabled` is true"),
        ("grpo", {"packing": True}, "it belongs to SFT"),
        ("grpo", {"truncation_mode": "keep_start"}, "over-long prompts are left out"),
        ("grpo", {"group_by_length": True}, "whole groups of one prompt"),
        ("grpo", {"save_strategy": "epoch", "save_interval": 7}, "`train.save_strategy` is steps"),
    ],
    ids=range(8),
)
def test_what_is_refused_says_why(
    kind: str, given: dict[str, Any], says: str, plugins: Plugins
) -> None:
    rewards = {"rewards": REWARDS} if kind == "grpo" else {}
    config = load_config({"model": "m", "dataset": "d", "algorithm": kind, **rewards, **given})
    with pytest.raises(ConfigError) as caught:
        make_plan(config, plugins=plugins)
    assert says in str(caught.value)


def test_validating_a_run_on_trl_imports_no_library_of_it(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    config = {"algorithm": "grpo", "model": "m", "dataset": "d", "rewards": REWARDS}
    path.write_text(json.dumps(config))
    code = (
        f"import sys; sys.argv = ['aligntune', 'validate', {str(path)!r}]\n"
        "from aligntune.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'peft', 'accelerate'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ALIGNTUNE_PLUGINS": "trl"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "valid: grpo on trl" in done.stdout
