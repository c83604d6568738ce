"""The names of a new plugin: its distribution, its module, its class, and what it registers."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from aligntune.errors import ConfigError
from aligntune.plugins import Plugins, normalised
from aligntune.registry import PROVIDERS, Registry
from aligntune.scoring.build import CUSTOM

__all__ = ["KINDS", "Kind", "Names"]

Kind = Literal["reward", "evaluator", "backend"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# A name of a distribution whose parts, joined by underscores, are a Python identifier.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*")
_SUFFIX = {"reward": "Reward", "evaluator": "Evaluator", "backend": "Backend"}


@dataclass(frozen=True)
class Names:
    """What a new plugin is called in each place, from the one name that was given.

    `distribution`: the normalised name of the package (PEP 503), `my-reward`. `module`, `name`: the
    module, and what is registered, `my_reward`. `cls`: the class, `MyReward`.
    """

    kind: Kind
    distribution: str

    @property
    def module(self) -> str:
        return self.distribution.replace("-", "_")

    @property
    def name(self) -> str:
        return self.module

    @property
    def cls(self) -> str:
        words = "".join(part.capitalize() for part in self.distribution.split("-"))
        suffix = _SUFFIX[self.kind]
        return words if words.endswith(suffix) else words + suffix

    @classmethod
    def checked(cls, kind: str, given: str, plugins: Plugins) -> Names:
        """The names that follow from the given one.

        Raises:
            ConfigError: if the kind or the name is none, or the name is taken; says by what.
        """
        found = next((known for known in KINDS if known == kind), None)
        if found is None:
            raise ConfigError(f"there is no template for a {kind!r}; there are {', '.join(KINDS)}")
        if _NAME.fullmatch(given) is None:
            raise ConfigError(
                f"{given!r} is no name for a package: write letters and digits in words joined by "
                "hyphens, beginning with a letter, such as my-reward"
            )
        names = cls(found, normalised(given))
        taken = names.taken(plugins)
        if taken is not None:
            raise ConfigError(f"{given!r} cannot be the name: {taken}; choose another")
        return names

    def taken(self, plugins: Plugins) -> str | None:
        """Why this name cannot be used, or None."""
        if keyword.iskeyword(self.module) or self.module in sys.stdlib_module_names:
            return f"{self.module} is a word or a module of Python"
        registry: Registry[Any] = getattr(plugins, f"{self.kind}s")
        if registered := registry.matching(self.name):
            return f"the {self.kind} {self.name!r} comes with {registered[0].owner}"
        for distribution, known in PROVIDERS[self.kind].items():
            if self.name in known:
                return f"the {self.kind} {self.name!r} comes with {distribution}"
        if self.kind == "reward" and self.name == CUSTOM:
            return f"the reward {CUSTOM!r} is a function that a configuration names"
        return self._installed()

    def _installed(self) -> str | None:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(self.distribution)
            return f"a package {self.distribution} {version} is installed"
        spec = importlib.util.find_spec(self.module)
        # Any folder of the working directory is found too, as a package without a loader's file.
        here = [str(Path.cwd() / self.module)]
        if spec is not None and (spec.origin or [*(spec.submodule_search_locations or ())] != here):
            return f"a module {self.module} is installed"
        return None
