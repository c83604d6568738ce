"""Every argument of transformers' and TRL's trainers is a name here, or is answered with a hint."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest
import transformers
import trl

from aligntune.config import Section, UnifiedConfig, load_config
from aligntune.config.assemble import field_paths
from aligntune.config.foreign import _RENAMED
from aligntune.errors import ConfigError

CONFIGS = (
    transformers.TrainingArguments,
    trl.SFTConfig,
    trl.DPOConfig,
    trl.GRPOConfig,
    trl.KTOConfig,
    trl.RLOOConfig,
    trl.RewardConfig,
)
GONE = (
    "evaluation_strategy", "no_cuda", "overwrite_output_dir", "save_safetensors", "tokenizer",
    "half_precision_backend", "push_to_hub_token", "per_gpu_train_batch_size",
    "per_gpu_eval_batch_size", "push_to_hub_model_id", "torch_dtype",
)  # fmt: skip


def names(config: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(config)]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_argument_is_taken_or_answered(config: Any) -> None:
    unknown = [name for name in names(config) if name not in field_paths()]
    with pytest.raises(ConfigError) as caught:
        load_config({"model": "m", "dataset": "d", **dict.fromkeys(unknown, 1)})
    found = {problem.path: problem for problem in caught.value.problems}
    assert list(found) == unknown
    assert {p.message for p in found.values()} == {"unknown key"}
    assert [n for n, p in found.items() if not p.hint or p.hint.startswith("did you mean")] == []


@pytest.mark.parametrize("name", GONE)
def test_every_removed_argument_is_answered(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"model": "m", "dataset": "d", "train": {name: 1}})
    (problem,) = caught.value.problems
    assert problem.path == f"train.{name}"
    assert problem.hint
    assert not problem.hint.startswith(("did you mean", "known here"))


@pytest.mark.parametrize("path", sorted(set(_RENAMED.values())))
def test_a_replacement_that_is_named_exists(path: str) -> None:
    section: Any = UnifiedConfig
    for part in path.replace(".N", "").split("."):
        field = section.model_fields[part]
        section = next(iter(sections_in(field.annotation)), None)


def sections_in(annotation: Any) -> list[Any]:
    """The sections that an annotation names, also within a list or a union."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]
