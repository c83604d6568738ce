"""What a manifest imports, and whether it says what its reward or evaluator is."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from packaging.requirements import InvalidRequirement, Requirement

from aligntune import plugins
from aligntune.facts import EvaluatorFacts, RewardFacts
from aligntune.plugins import GROUP, normalised
from aligntune.registry import RUNTIME_OWNER, Entry
from aligntune.scoring.protocol import RewardFunction

__all__ = ["HEAVY", "Manifest"]

# Packages that take a noticeable time to import; a manifest is imported whenever AlignTune starts.
HEAVY = (
    "accelerate", "datasets", "httpx", "jax", "matplotlib", "nltk", "numpy", "pandas", "peft",
    "plotly", "requests", "sacrebleu", "scipy", "sentence_transformers", "sklearn", "spacy",
    "sympy", "tensorflow", "tokenizers", "torch", "transformers", "trl", "unsloth",
)  # fmt: skip

_CODE = """
import importlib, json, sys
importlib.import_module({module!r})
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(json.dumps(sorted(loaded & set({heavy!r}))))
"""


@dataclass(frozen=True)
class Manifest:
    """What a plugin registers under one name."""

    entry: Entry[RewardFacts] | Entry[EvaluatorFacts]

    @classmethod
    def of(cls, name: str) -> Manifest:
        """The manifest of a registered reward.

        Raises:
            AlignTuneError: if nothing or more than one plugin registers it.
        """
        return cls(plugins.get().find(plugins.get().rewards, name))

    def module(self) -> str | None:
        """The module that the entry point names; None for what was registered at run time."""
        owner = self.entry.owner
        if owner is RUNTIME_OWNER:
            return None
        for point in importlib.metadata.entry_points(group=GROUP, name=owner.name):
            if point.dist is not None and normalised(point.dist.name) == normalised(
                owner.distribution
            ):
                return point.module
        return None

    def heavy(self) -> list[str]:
        """The heavy packages that a fresh process has loaded once it has imported the manifest."""
        module = self.module()
        if module is None:
            return []
        code = _CODE.format(module=module, heavy=HEAVY)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{module} cannot be imported by itself:\n{done.stderr}"
        found: list[str] = json.loads(done.stdout.splitlines()[-1])
        return found

    def disagreements(self, reward: RewardFunction) -> list[str]:
        """In which points the manifest and the reward say different things."""
        return [*self.facts(), *self._against(reward)]

    def facts(self) -> Iterator[str]:
        """What is wrong with the manifest by itself."""
        facts, name = self.entry.facts, self.entry.name
        if not facts.summary.strip() or "\n" in facts.summary:
            yield f"the summary of {name!r} must be one line"
        if facts.packages and not facts.install:
            yield f"{name!r} needs packages and does not say what to install"
        for text in facts.packages:
            try:
                Requirement(text)
            except InvalidRequirement as error:
                yield f"{text!r} is no requirement: {error}"
        if not inspect.getdoc(self.entry.load()):
            yield f"{name!r} has no docstring, which tells people what it is"

    def _against(self, reward: RewardFunction) -> Iterator[str]:
        facts, name = cast("RewardFacts", self.entry.facts), self.entry.name
        if _declares(self.entry.load()):
            if reward.range != tuple(facts.range):
                yield f"the manifest says the range {facts.range}, the class {reward.range}"
            if reward.cost != facts.cost:
                yield f"the manifest says the cost {facts.cost!r}, the class {reward.cost!r}"
            if reward.name and reward.name.partition("[")[0] != name:
                yield f"the manifest says the name {name!r}, the class {reward.name!r}"
        if reward.needs != frozenset(facts.requires):
            yield (
                f"the manifest says that it requires {sorted(facts.requires)}, "
                f"the reward requires {sorted(reward.needs)}"
            )


def _declares(target: object) -> bool:
    """Whether a target is a class that says more about itself than a function can."""
    return isinstance(target, type) and issubclass(target, RewardFunction)
