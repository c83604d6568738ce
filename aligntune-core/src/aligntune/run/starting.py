"""What must hold before a run directory is taken over, so that nothing is lost or mixed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from aligntune.errors import RunError
from aligntune.plan import resolved_values
from aligntune.run.directory import RunDirectory

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.plan import Plan

__all__ = ["refuse_another_run", "refuse_inputs_inside"]

# What may change when a run goes on: how long it goes on, what it writes, what it measures.
_FREE = (
    "train.max_steps",
    "train.stop_after_steps",
    "train.epochs",
    "train.save_",
    "train.eval_",
    "train.logging_",
    "train.per_device_eval_batch_size",
    "logging.",
    "evaluation.",
    "eval_datasets",
    "plugins.",
    "meta_es.meta_iterations",
    "meta_es.patience",
    "meta_es.min_delta",
    "meta_es.debug_mode",
    "meta_es.num_workers",
    "meta_es.no_wandb",
    "meta_es.wandb_project",
    "meta_es.resume",
)


def refuse_inputs_inside(run: RunDirectory, config: RunConfig) -> None:
    """Refuse to overwrite a run whose directory holds what the new run starts from.

    Raises:
        RunError: names the model, data set or mirror map.
    """
    names = [
        config.model.name_or_path,
        *(d.name for d in (*config.datasets, *config.eval_datasets) if isinstance(d.name, str)),
        *filter(None, [config.train.mirror_map]),
    ]
    inside = run.path.resolve()
    for name in names:
        if Path(name).exists() and inside in Path(name).resolve().parents:
            raise RunError(
                f"{name} lies in {run.path}, which would be overwritten; choose another output_dir"
            )


def refuse_another_run(run: RunDirectory, plan: Plan, *, fixed: tuple[str, ...] = ()) -> None:
    """Refuse to resume a run with settings under which it would not be the same run.

    Args:
        run: that is to go on.
        plan: with which it is.
        fixed: beginnings of paths that may not change in this run, and may in others.

    Raises:
        RunError: names the settings that differ.
    """
    if not run.config.is_file():
        return
    before = _flat(yaml.safe_load(run.config.read_text(encoding="utf-8")))
    now = _flat(resolved_values(plan)[0])
    changed = [
        f"{path}: {before.get(path)!r} before, {now.get(path)!r} now"
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
        and (path.startswith(fixed) or not path.startswith(_FREE))
    ]
    if changed:
        lines = "\n    ".join(changed)
        raise RunError(
            f"{run.path} holds a run with other settings, which cannot go on so:\n    {lines}"
        )


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, dict) and node:
        items = node.items()
    elif isinstance(node, list) and node and isinstance(node[0], dict):
        items = ((str(index), item) for index, item in enumerate(node))  # type: ignore[assignment]
    else:
        return {path: node}
    found: dict[str, Any] = {}
    for name, value in items:
        found |= _flat(value, f"{path}.{name}" if path else str(name))
    return found
