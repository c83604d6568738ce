"""A walk over every field of every algorithm: what its table says, and a value to try it with.

Used by the tests of both backends, for every algorithm that aligntune-trl has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin

import transformers
import trl

from aligntune.config import RunConfig, Section, SFTConfig, UnifiedConfig, load_config
from aligntune.config.problems import _nested
from aligntune.hardware import Hardware
from aligntune.plan import Plan, make_plan
from aligntune.plan.parameters import ParameterTable, To
from aligntune.plugins import Plugins
from aligntune.registry import import_target
from aligntune_trl.experimental import experimental
from aligntune_trl.plugin import ALGORITHMS

KINDS = {algorithm.name: algorithm.facts["kind"] for algorithm in ALGORITHMS}
REWARDED = {a.name for a in ALGORITHMS if a.facts.get("rewards", "none") != "none"}
FALLBACK = ParameterTable({}).use("train.anything")
GPU = Hardware("cuda", "a GPU", 1, True)
REWARDS = [{"type": "custom", "params": {"reward_function": "json:dumps"}}]
NEEDED: dict[str, Any] = {
    "model_name": "m",
    "dataset_name": "d",
    "eval_datasets": ["e"],
    "eval_strategy": "steps",
}

# Values other than the default, where the type alone does not give one; a dict of algorithms where
# they differ.
OTHER: dict[str, Any] = {
    "model.revision": "r1",
    "model.attn_implementation": "eager",
    "model.max_memory": {0: "1GB"},
    "model.device_map": "auto",
    "model.target_modules": ["q_proj"],
    "model.init_lora_weights": "gaussian",
    "train.optimizer": "sgd",
    "train.lr_scheduler": "linear",
    "train.metric_for_best_model": "loss",
    "train.gradient_checkpointing_kwargs": {"use_reentrant": True},
    "train.loss_type": {
        "sft": "dft",
        "grpo": "bnpo",
        "meta_es": "bnpo",
        "kto": "apo_zero_unpaired",
    },
    "train.generation_kwargs": {"min_new_tokens": 1},
    "train.dataset_kwargs": {"skip_prepare_dataset": False},
    "train.f_divergence_type": "forward_kl",
    "train.label_smoothing": 0.25,
    "logging.loggers": ["wandb"],
    # These must fit the batch, or each other.
    "train.save_interval": 300,
    "train.rollout_batch_size": 16,
    "train.num_generations": 4,
    "train.per_device_batch_size": 4,
    "train.per_device_eval_batch_size": 16,
}
# What else must be set for a value to be valid.
BESIDE: dict[str, dict[str, Any]] = {
    "train.eval_strategy": {"eval_strategy": None, "load_best_model_at_end": False},
    "train.save_strategy": {"load_best_model_at_end": False},
    "train.padding_free": {"packing": True},
    "train.sync_ref_model": {"peft_enabled": False},
    "train.ref_model_mixup_alpha": {"peft_enabled": False},
    "train.ref_model_sync_steps": {"peft_enabled": False},
    "train.precompute_ref_batch_size": {"peft_enabled": False},
    "train.f_alpha_divergence_coef": {"f_divergence_type": "alpha_divergence"},
    "train.discopop_tau": {"loss_type": ["discopop"]},
}
# The same for one algorithm.
BESIDE_OF: dict[tuple[str, str], dict[str, Any]] = {
    ("grpo", "model.bias"): {"kl_coef": 0.0},
    ("dapo", "train.sync_ref_model"): {"kl_coef": 0.1},
    ("dapo", "train.ref_model_mixup_alpha"): {"kl_coef": 0.1},
    ("dapo", "train.ref_model_sync_steps"): {"kl_coef": 0.1},
    ("neural_mirror_grpo", "model.bias"): {"mirror_coef": 0.0},
    ("ppo", "model.bias"): {"kl_coef": 0.0},
    ("rloo", "model.bias"): {"kl_coef": 0.0},
    **{
        (algorithm, f"train.{name}"): {"kl_coef": 0.1}
        for algorithm in ("gspo", "dr_grpo")
        for name in ("sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps")
    },
    ("meta_es", "model.bias"): {"kl_coef": 0.0},
}


def config_class(algorithm: str) -> type[RunConfig]:
    return SFTConfig if KINDS[algorithm] == "sft" else UnifiedConfig


def table_of(algorithm: str, package: str) -> ParameterTable:
    found: ParameterTable = import_target(f"{package}.parameters:{algorithm.upper()}", algorithm)
    return found


@cache
def owners() -> dict[str, Any]:
    """The configuration classes of TRL, by name."""
    return {
        **{name: getattr(trl, name) for name in ("SFTConfig", "DPOConfig", "KTOConfig")},
        "GRPOConfig": trl.GRPOConfig,
        "RLOOConfig": trl.RLOOConfig,
        "RewardConfig": trl.RewardConfig,
        "TrainingArguments": transformers.TrainingArguments,
        "ORPOConfig": experimental("orpo").ORPOConfig,
        "CPOConfig": experimental("cpo").CPOConfig,
    }


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


def paths(algorithm: str) -> list[str]:
    return [path for path, _ in fields(config_class(algorithm))]


def rows_without_a_field(algorithm: str, table: ParameterTable) -> set[str]:
    """Rows of the table that no field of the configuration reads."""
    there = set(paths(algorithm))
    for path in list(there):
        while path := path.rpartition(".")[0]:
            there |= {path, f"{path}.*"}
    return set(table.uses) - there


def arguments_of(owner: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(owner)}


def sent(algorithm: str, table: ParameterTable) -> list[tuple[str, To]]:
    """The fields that become an argument."""
    return [(path, use) for path in paths(algorithm) if isinstance(use := table.use(path), To)]


def other(algorithm: str, path: str) -> Any:
    """A valid value that is not the default of this field in a run of this algorithm."""
    if path in OTHER:
        found = OTHER[path]
        return found.get(algorithm, found) if isinstance(found, dict) else found
    annotation = dict(fields(config_class(algorithm)))[path].annotation
    config: Any = load_config({**NEEDED, "algorithm": algorithm}, kind=KINDS[algorithm])
    for name in path.split("."):
        config = getattr(config, name)
    default = config
    types = (annotation, *get_args(annotation))
    if isinstance(default, bool) or bool in types:
        return not default
    if get_origin(annotation) is Literal:
        return next(value for value in get_args(annotation) if value != default)
    if int in types:
        return (default or 4) + 3
    return 0.75


def settings(algorithm: str, path: str, value: Any, use: To) -> dict[str, Any]:
    """A configuration in which this field has this value, and is used."""
    section, _, name = path.partition(".")
    given: dict[str, Any] = {**NEEDED, "algorithm": algorithm}
    given |= {"rewards": REWARDS} if algorithm in REWARDED else {}
    given |= {"rewards": [*REWARDS, *REWARDS]} if algorithm == "meta_es" else {}
    given |= BESIDE.get(path, {}) | BESIDE_OF.get((algorithm, path), {})
    given = {key: item for key, item in given.items() if item is not None}
    given[section] = {name: value}
    if use.when is not None and use.when.path != path:
        at, _, key = use.when.path.partition(".")
        given[at] = {**given.get(at, {}), key: use.when.values[0]}
    return given


def planned(given: dict[str, Any], plugins: Plugins, backend: str) -> Plan:
    return make_plan(
        load_config({**given, "backend": backend}, kind=KINDS[given["algorithm"]]), plugins=plugins
    )
