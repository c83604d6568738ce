"""Which algorithm trains on the task that the data is for, and the task where none is said.

`algo: sft` with `task_type: text_classification` is run by the algorithm that SFT's facts name for
that task, with a table, a data contract and a trainer of its own.
"""

from __future__ import annotations

from aligntune.config import RunConfig
from aligntune.data.contract import CONTRACTS
from aligntune.errors import ConfigError, Problem
from aligntune.facts import AlgorithmFacts
from aligntune.plugins import Plugins

__all__ = ["algorithm_of_task", "default_tasks"]


def algorithm_of_task(config: RunConfig, plugins: Plugins) -> str:
    """The name of the algorithm that runs: `config.algo`, or the one that it leaves the task to.

    A data set without a `task_type` goes by the others.

    Raises:
        ConfigError: if tasks are set that different algorithms train on.
    """
    owner, _, _ = config.algo.rpartition(":")
    tasks = {
        task: f"{owner}:{name}" if owner else name
        for run in plugins.algorithms.matching(config.algo)
        for task, name in run.facts.tasks.items()
    }
    chosen: dict[str, str] = {}
    for path, task in _tasks(config):
        chosen.setdefault(tasks.get(task, config.algo), f"{path} is {task}")
    if len(chosen) > 1:
        said = " and ".join(f"`{where}`" for where in chosen.values())
        last = [*chosen.values()][-1].partition(" ")[0]
        message = f"{said}, which are not trained on together"
        where = config.origins.get(last, "")
        raise ConfigError(Problem(last, message, where, "give all data sets one task"))
    return next(iter(chosen), config.algo)


def _tasks(config: RunConfig) -> list[tuple[str, str]]:
    """The path and value of every `task_type` that is set."""
    return [
        (f"{part}.{index}.task_type", data.task_type.value)
        for part, some in (("datasets", config.datasets), ("eval_datasets", config.eval_datasets))
        for index, data in enumerate(some)
        if "task_type" in data.model_fields_set
    ]


def default_tasks(config: RunConfig, facts: AlgorithmFacts) -> dict[str, str]:
    """Give data sets without a `task_type` one that the algorithm trains on; say why, by path."""
    contract = CONTRACTS.get(facts.data)
    why: dict[str, str] = {}
    if contract is None:
        return why
    for part, some in (("datasets", config.datasets), ("eval_datasets", config.eval_datasets)):
        for index, data in enumerate(some):
            if "task_type" not in data.model_fields_set and data.task_type not in contract.tasks:
                data.__dict__["task_type"] = contract.tasks[0]
                why[f"{part}.{index}.task_type"] = "default, what the algorithm trains on"
    return why
