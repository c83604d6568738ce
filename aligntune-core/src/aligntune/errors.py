"""The one family of errors that a user can mend.

Every mistake in a configuration, a data set, a plugin or a reward ends in an `AlignTuneError`,
whose message says what was given, what is wrong, where, and what would be right. The command line
prints such a message without a traceback; anything else that escapes is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = [
    "AlignTuneError",
    "ConfigError",
    "ConflictError",
    "DataError",
    "EvaluationError",
    "NotRegisteredError",
    "PluginError",
    "Problem",
    "RewardError",
    "RunError",
    "UnavailableError",
    "describe",
    "did_you_mean",
]


class AlignTuneError(Exception):
    """Base of everything that a user can mend; catching it catches all of them."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration: where it stands, what is wrong, what would be right."""

    path: str
    message: str
    where: str = ""
    hint: str = ""
    given: str = ""
    """The wrong value, as it is shown."""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        key = f"{self.path}: " if self.path else ""
        hint = f"\n    {self.hint}" if self.hint else ""
        given = f", not {self.given}" if self.given else ""
        return f"{place}{key}{self.message}{given}{hint}"


class ConfigError(AlignTuneError):
    """A configuration that cannot be honoured; holds every problem found, not only the first."""

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem("", problems)
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        lines = [str(problem) for problem in self.problems]
        head = "" if len(lines) == 1 else f"{len(lines)} problems in the configuration\n"
        super().__init__(head + "\n".join(lines if not head else (f"- {line}" for line in lines)))


class DataError(AlignTuneError):
    """Data that does not meet the column contract of the algorithm, or cannot be read."""


class PluginError(AlignTuneError):
    """A plugin that cannot be used, with the reason and the distribution it comes from."""


class NotRegisteredError(AlignTuneError):
    """A name that nothing installed provides."""


class ConflictError(AlignTuneError):
    """A bare name that two distributions claim."""


class UnavailableError(AlignTuneError):
    """A backend or reward that is known but cannot work here, with the reason and the fix."""


class RewardError(AlignTuneError):
    """A reward function that raised, or returned something that is no reward."""


class EvaluationError(AlignTuneError):
    """An evaluation that cannot be carried out as asked."""


class RunError(AlignTuneError):
    """A run directory that is missing, incomplete or in the way."""


def describe(error: BaseException) -> str:
    """One line that names an exception and what it says."""
    if isinstance(error, AlignTuneError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the closest known name, or an empty string."""
    close = get_close_matches(given, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""
