"""Every hook that AlignTune calls, one sentence each; docs/plugins.md has examples that run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from aligntune.facts import AlgorithmFacts, BackendFacts, EvaluatorFacts, RewardFacts, TaskFacts
    from aligntune.plan import Plan
    from aligntune.plugins import Register
    from aligntune.run import RunDirectory

hookspec = pluggy.HookspecMarker("aligntune")
hookimpl = pluggy.HookimplMarker("aligntune")


@hookspec(historic=True)
def aligntune_register_backends(register: Register[BackendFacts]) -> None:
    """Register backends: `register("name", "module:Class", summary=..., priority=...)`."""


@hookspec(historic=True)
def aligntune_register_algorithms(register: Register[AlgorithmFacts]) -> None:
    """Register algorithms: `register("name", "module:Trainer", backend=..., kind=..., ...)`."""


@hookspec(historic=True)
def aligntune_register_rewards(register: Register[RewardFacts]) -> None:
    """Register rewards: `register("name", "module:function_or_class", summary=..., range=...)`."""


@hookspec(historic=True)
def aligntune_register_evaluators(register: Register[EvaluatorFacts]) -> None:
    """Register evaluators: `register("name", "module:Class", summary=..., needs=...)`."""


@hookspec(historic=True)
def aligntune_register_tasks(register: Register[TaskFacts]) -> None:
    """Register tasks: `register("name", "module:TASK", summary=..., category=...)`."""


@hookspec
def aligntune_config_resolved(plan: Plan) -> None:
    """A plan stands: look at it, or raise an `AlignTuneError` to stop before anything loads."""


@hookspec
def aligntune_trainer_callbacks(plan: Plan, run: RunDirectory) -> list[Any] | None:
    """Return callbacks of the backend's own kind (transformers' `TrainerCallback`) for this run."""


@hookspec
def aligntune_run_finished(run: RunDirectory) -> None:
    """A run has ended well and its directory is complete, but for the report, which comes after."""


@hookspec
def aligntune_cli_commands(app: Any) -> None:
    """Add commands to the command line, on the `typer.Typer` application given."""
