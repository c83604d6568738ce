"""From a source to a plan in one step, so that what is wrong is told at once.

Where a configuration cannot be loaded, what is right of it is planned all the same: an unknown
reward is told beside a wrong type.
"""

from __future__ import annotations

from collections.abc import Sequence

from aligntune.config import RunConfig
from aligntune.config.assemble import Setting
from aligntune.config.loader import Kind, Source, read
from aligntune.errors import AlignTuneError, ConfigError, Problem
from aligntune.hardware import Hardware
from aligntune.plan.plan import Plan, make_plan

__all__ = ["load_plan"]

# What stands in for a required value that is missing, so that the rest can be planned.
_STAND_INS = {
    "model": "model.name_or_path",
    "model.name_or_path": "model.name_or_path",
    "datasets": "datasets.0.name",
    "datasets.0.name": "datasets.0.name",
}


def load_plan(
    source: Source | None,
    *,
    overrides: Sequence[Setting] = (),
    kind: Kind | None = None,
    hardware: Hardware | None = None,
) -> Plan:
    """Load a configuration, as `load_config` does, and plan its run, as `make_plan` does.

    Raises:
        AlignTuneError: with the problems of both.
    """
    settings, config = read(source, overrides, kind)
    try:
        loaded = config.of(settings)
    except ConfigError as error:
        raise ConfigError([*error.problems, *_further(error, settings, config, hardware)]) from None
    return make_plan(loaded, hardware=hardware)


def _further(
    error: ConfigError, settings: list[Setting], config: type[RunConfig], hardware: Hardware | None
) -> list[Problem]:
    """What would be wrong still, were the settings that are wrong not there.

    What is missing, or is not as a default is, may be so because of those: it is not told.
    """
    told = {problem.path for problem in error.problems}
    rest = [s for s in settings if s.problem is None and not any(_touch(s.path, p) for p in told)]
    missing = {_STAND_INS[path] for path in told if path in _STAND_INS}
    stand_ins = [Setting(path, "missing", "") for path in sorted(missing)]
    try:
        make_plan(config.of([*rest, *stand_ins]), hardware=hardware)
    except ConfigError as more:
        given = {setting.path for setting in rest}
        return [p for p in more.problems if p.path in given or not p.path]
    except AlignTuneError as more:
        return [Problem("", str(more))]
    return []


def _touch(one: str, other: str) -> bool:
    """Whether two paths are one value, or one of them lies in the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
