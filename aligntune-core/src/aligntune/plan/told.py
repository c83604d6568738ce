"""Problems of a plan as the user is told them: each with its place, and no secret in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aligntune.config import RunConfig, Section
from aligntune.config.environment import from_secret
from aligntune.config.problems import place
from aligntune.errors import AlignTuneError, NotRegisteredError, Problem
from aligntune.redact import REDACTED

__all__ = ["not_registered", "placed"]


def placed(problem: Problem, config: RunConfig) -> Problem:
    """The problem with the place of its value, without what comes from secret variables."""
    message, hint = problem.message, problem.hint
    for secret in _secrets(config):
        message, hint = message.replace(secret, REDACTED), hint.replace(secret, REDACTED)
    where = problem.where or place(problem.path, config.origins)
    return Problem(problem.path, message, where, hint)


def not_registered(path: str, error: AlignTuneError | str, config: RunConfig) -> NotRegisteredError:
    """The error for a name at `path` that nothing installed provides."""
    return NotRegisteredError(str(placed(Problem(path, str(error)), config)))


def _secrets(config: RunConfig) -> Iterator[str]:
    for setting in config.settings():
        if from_secret(setting.origin):
            yield from _texts(setting.value)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value; an empty one says nothing."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Section):
        yield from _texts(value.explicit())
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
