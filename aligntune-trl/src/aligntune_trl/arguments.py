"""From a plan to the arguments of a trainer: what the parameter table says, and nothing else."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from aligntune.enums import PrecisionType
from aligntune.errors import ConfigError, Problem
from aligntune.plan.parameters import To

if TYPE_CHECKING:
    from aligntune.plan import Plan
    from aligntune.run import RunDirectory

__all__ = ["argument_values", "build_config", "check_arguments", "trainer_arguments"]


def argument_values(plan: Plan, owner: str) -> dict[str, Any]:
    """The arguments of `owner` (such as `GRPOConfig`), as the table of the plan maps them."""
    arguments: dict[str, Any] = {}
    for value in plan.values:
        use = plan.table.use(value.path)
        if not isinstance(use, To) or use.owner != owner or not value.used:
            continue
        converted = value.value if use.convert is None else use.convert(value.value)
        if converted is None and use.drop_none:
            continue
        arguments[use.argument] = getattr(converted, "value", converted)
    return arguments


# Arguments that newer releases of transformers call otherwise: old name -> new name.
_RENAMED = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}


# Values that newer releases of TRL call otherwise and mean the same by: (argument, value) -> value.
_SAME: dict[tuple[str, Any], str] = {("loss_type", "chunked_nll"): "nll"}


def build_config(config_class: Any, arguments: dict[str, Any]) -> Any:
    """Build a trainer's configuration, by the installed release's names for arguments."""
    present = {field.name for field in dataclasses.fields(config_class)}
    named = {
        _RENAMED[name] if _RENAMED.get(name) in present else name: value
        for name, value in arguments.items()
    }
    return config_class(**named)


def check_arguments(plan: Plan, config: Any) -> None:
    """Refuse to go on where a library underneath changed what somebody set, as Unsloth does.

    Args:
        plan: what was set.
        config: the configuration of the trainer, once that was made.

    Raises:
        ConfigError: names every setting, and what became of it.
    """
    there, problems = {field.name for field in dataclasses.fields(config)}, []
    for value in plan.values:
        use = plan.table.use(value.path)
        if not isinstance(use, To) or not value.used or value.path not in plan.config.origins:
            continue
        renamed = _RENAMED.get(use.argument)
        name = renamed if renamed in there else use.argument
        asked = value.value if use.convert is None else use.convert(value.value)
        asked = getattr(asked, "value", asked)
        if name not in there or not isinstance(asked, (bool, int, float, str)):
            continue
        found = getattr(config, name)
        found = getattr(found, "value", found)
        if found not in (asked, _SAME.get((name, asked))):
            message = f"{asked}, and {plan.backend.name} made it {found}: it cannot do that here"
            where = plan.config.origins[value.path]
            problems.append(Problem(value.path, message, where, "leave it out"))
    if problems:
        raise ConfigError(problems)


def _library_log_level(level: str) -> str:
    """Transformers prints whole configurations at INFO; AlignTune's own log says what matters."""
    return "warning" if level == "INFO" else level.lower()


def trainer_arguments(plan: Plan, owner: str, run: RunDirectory, device: str) -> dict[str, Any]:
    """Every argument of the trainer's configuration class.

    The three precision switches are always set: TRL reads an unset bf16 as True. Progress is shown
    by our own callback, so transformers' bar stays off.
    """
    train, precision = plan.config.train, plan.config.model.precision
    return {
        **argument_values(plan, owner),
        "output_dir": str(run.checkpoints),
        "run_name": plan.config.logging.run_name or run.path.name,
        "warmup_steps": train.warmup_steps or train.warmup_ratio,
        "bf16": precision is PrecisionType.BF16,
        "fp16": precision is PrecisionType.FP16,
        "use_cpu": device == "cpu",
        "disable_tqdm": True,
        "log_level": _library_log_level(plan.config.logging.log_level),
    }
