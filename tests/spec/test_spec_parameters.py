"""Every documented parameter is there, with the documented default, and is used or refused."""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from typing import Any

import pytest
from reading import ROOT, spec_folder
from rows import OPEN, REQUIRED, Row, read_rows

import aligntune
from aligntune import TaskType
from aligntune.config.assemble import field_paths
from aligntune.config.fields import Field, all_fields
from aligntune.config.section import Section, extra_of
from aligntune.plan.parameters import ParameterTable
from aligntune.plugins import get
from aligntune.registry import import_target

PAGES = ("parameters.md", "api_reference.md")
ROWS = [row for page in PAGES for row in read_rows(spec_folder() / page)]
FALLBACK = ParameterTable({}).use("train.anything")
TABLES = {
    f"{entry.name} on {entry.facts.backend}": import_target(entry.facts.parameters, entry.name)
    for entry in get().algorithms
}

# Where the default of a parameter is not the documented one, and why.
DECIDED = {
    "ModelConfig.trust_remote_code": "code of a model runs only where somebody said so",
    "ModelConfig.reward_value_model": "the documented model is gated, and fits few policies",
    "ModelConfig.device_map": "a trainer places the model itself, unless it is told otherwise",
    "TrainingConfig.mask_truncated_completions": "each algorithm has its paper's; DAPO's is true",
    "TrainingConfig.gradient_checkpointing": "it is `model.gradient_checkpointing`, whose row wins",
    "TrainingConfig.max_length": "it is `model.max_seq_length`, whose row wins",
    "TrainingConfig.response_length": "it is `max_completion_length`, whose row wins",
    "TrainingConfig.rollout_batch_size": "one completion is no group; unset, those of one step",
    "TrainingConfig.target_kl": "it belongs to the adaptive KL coefficient",
    "TrainingConfig.init_kl_coef": "it belongs to the adaptive KL coefficient",
    "TrainingConfig.adap_kl_ctrl": "PPO's own table describes a constant KL coefficient",
    "DistributedConfig.backend": "a run of one process needs no section about processes",
    "DAPO / DRGRPO.kl_coef": "neither paper has a KL divergence",
    "DAPO / DRGRPO.grpo_beta": "neither paper has a KL divergence",
    "DAPO / DRGRPO.scale_rewards": "Dr. GRPO divides advantages by no deviation",
    "GSPO.kl_coef": "the paper has no KL divergence",
    "GSPO.cliprange": "the ratio of a completion is clipped at the paper's 3e-4",
    "DPO.loss_type": "unset it is sigmoid, unless `loss_weights` names the losses",
    "LoggingConfig.report_to": "it is another name of `loggers`, whose row wins",
    "LoggingConfig.logging_dir": "logs are a part of the run directory",
}
# The heading of an algorithm's table -> the algorithms that it is about.
ALGORITHMS = {
    "PPO": ("ppo",),
    "DPO": ("dpo",),
    "GRPO": ("grpo",),
    "DAPO": ("dapo", "dr_grpo"),
    "GSPO": ("gspo",),
    "Meta-ES": ("meta_es",),
}

rows = pytest.mark.parametrize("row", ROWS, ids=str)


def label(row: Row) -> str:
    """What `DECIDED` knows a row by."""
    return f"{row.owner if row.of_class else row.owner.partition(' (')[0]}.{row.names[0]}"


def owner_of(row: Row) -> type[Section]:
    found: type[Section] = getattr(aligntune, row.owner)
    return found


def path_in(owner: type[Section], name: str) -> str | None:
    """Full path of the field that a name sets in a section, or None."""
    if name in owner.elsewhere:
        return owner.elsewhere[name]
    name = owner.aliases().get(name, name)
    found = [f.path for f in all_fields() if f.owner is owner and f.name == name]
    return found[0] if found else None


@cache
def paths_of(row: Row) -> list[str]:
    """Full path of each name of a row; a section that is a field stands for its fields."""
    if not row.of_class:
        return [field_paths()[name] for name in row.names]
    owner = owner_of(row)
    found = [path_in(owner, name) for name in row.names]
    inner = [f.path for f in all_fields() for n in row.names if f.path.split(".")[-2:-1] == [n]]
    return [path for path in found if path is not None] or inner


def field(path: str) -> Field:
    (found,) = [one for one in all_fields() if one.path == path]
    return found


def plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def test_the_tables_were_found() -> None:
    assert len(ROWS) > 250
    assert {row.owner for row in ROWS if row.of_class} >= {
        "ModelConfig",
        "DatasetConfig",
        "TrainingConfig",
        "EvaluationConfig",
        "LoggingConfig",
        "SampleLoggingConfig",
        "RewardConfig",
        "RewardModelTrainingConfig",
        "RewardModelSourceConfig",
        "DistributedConfig",
    }


@rows
def test_it_is_there_by_each_of_its_names(row: Row) -> None:
    for name in row.names:
        if row.of_class:
            owner = owner_of(row)
            assert {name, owner.aliases().get(name)} & {*owner.model_fields, *owner.elsewhere}
        else:
            assert name in field_paths()


def default_of(row: Row) -> list[Any]:
    """The default of a row's parameter; one for each algorithm, where it is about algorithms."""
    name = row.names[0]
    if not row.of_class:
        (path,) = paths_of(row)[:1]
        facts = [
            e.facts for e in get().algorithms if e.name in ALGORITHMS[row.owner.partition(" ")[0]]
        ]
        return [one.defaults.get(path, field(path).rl) for one in facts] or [field(path).rl]
    owner = owner_of(row)
    own = path_in(owner, name)
    if own is not None:
        return [field(own).rl if row.kind == "rl" else field(own).sft]
    spec = owner.model_fields[owner.aliases().get(name, name)]
    if spec.is_required():
        return ["required"]
    declared = spec.get_default(call_default_factory=True)
    return [extra_of(spec).get("rl", declared) if row.kind == "rl" else declared]


def differs(row: Row) -> bool:
    """Whether a default is not the documented one; where pages differ, parameters.md wins."""
    wins = row.page != PAGES[0] and any(
        other.page == PAGES[0] and other.owner == row.owner and paths_of(other) == paths_of(row)
        for other in ROWS
    )
    if row.default is OPEN or wins:
        return False
    wanted = "required" if row.default is REQUIRED else row.default
    found = [str(one) if row.default is REQUIRED else plain(one) for one in default_of(row)]
    return any(one != wanted for one in found)


@rows
def test_its_default_is_the_documented_one(row: Row) -> None:
    if label(row) not in DECIDED:
        assert not differs(row), f"documented: {row.default!r}; here: {default_of(row)!r}"


@pytest.mark.parametrize("one", DECIDED)
def test_every_decided_difference_is_one(one: str) -> None:
    assert any(differs(row) for row in ROWS if label(row) == one)


@pytest.mark.parametrize("table", TABLES)
def test_every_algorithm_uses_or_refuses_every_row(table: str) -> None:
    paths = dict.fromkeys(path for row in ROWS for path in paths_of(row))
    assert [path for path in paths if TABLES[table].use(path) == FALLBACK] == []


@cache
def reference() -> dict[str, set[str]]:
    """Full path of each parameter of the project's own page -> its names, without sections."""
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for part in page.split("\n## ")[1:]:
        section = part.partition("\n")[0].partition(",")[0]
        prefix = "" if section == "Top level" else f"{section}."
        for line in re.findall(r"^\| (`.*?) \|", part, re.MULTILINE):
            names = re.findall(r"`([\w.]+)`", line)
            found[prefix + names[0]] = {name.rpartition(".")[2] for name in names}
    return found


@rows
def test_the_reference_page_has_it(row: Row) -> None:
    for path in paths_of(row):
        names = reference()[path]
        assert path.split(".")[-2] in row.names or set(row.names) & names
    if len(paths_of(row)) == len(row.names):
        assert set(row.names) <= reference()[paths_of(row)[0]]


def test_every_task_type_is_there() -> None:
    text = (spec_folder() / "parameters.md").read_text(encoding="utf-8")
    table = text.partition("## Task Types")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert len(documented) == 6
    assert {TaskType[name] for name in documented} <= set(TaskType)
