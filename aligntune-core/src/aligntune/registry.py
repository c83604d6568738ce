"""Names to implementations, for each kind of thing that a plugin can bring.

An `Entry` holds a target (`"module:attribute"`, or an object) that is imported when somebody asks
for it, and the facts that can be read without importing it. Names match exactly or through a
declared alias. Two owners of one name stay reachable as `owner:name`; the bare name then raises.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from aligntune.errors import (
    AlignTuneError,
    ConflictError,
    NotRegisteredError,
    PluginError,
    describe,
    did_you_mean,
)
from aligntune.facts import AlgorithmFacts, BackendFacts, EvaluatorFacts, RewardFacts, TaskFacts

__all__ = ["Entry", "Owner", "Registries", "Registry", "import_target"]

F = TypeVar("F", BackendFacts, AlgorithmFacts, RewardFacts, EvaluatorFacts, TaskFacts)

# The distribution that brings a name, for the hint in a look-up error. Core knows names only.
PROVIDERS: dict[str, dict[str, tuple[str, ...]]] = {
    "backend": {"aligntune-trl": ("trl",), "aligntune-unsloth": ("unsloth",)},
    "algorithm": {"aligntune-trl": ("sft", "grpo")},
    "reward": {
        "aligntune-rewards": (
            "accuracy",
            "math_accuracy",
            "length",
            "structure",
            "exact_match",
            "bleu",
            "chrf",
            "rouge",
            "meteor",
            "code_syntax",
            "sql_execution",
            "code_execution",
            "code_quality",
            "codebleu",
            "multiple_choice",
            "regex_match",
            "llm_judge",
            "json_schema",
            "readability",
            "diversity",
            "reward_ensemble",
            "sentiment",
            "tone",
            "formality",
            "bias",
            "profanity",
            "refusal",
            "overlong_penalty",
            "repetition_penalty",
            "conciseness",
            "cosine_length",
            "language",
            "bertscore",
            "semantic_similarity",
            "factual_correctness",
            "fluency",
            "relevance",
            "instruction_following",
            "privacy",
            "reward_model",
            "helpfulness",
            "toxicity",
            "coherence",
            "harmful_content",
            "safety",
        )
    },
    "evaluator": {
        "aligntune-eval": (
            "perplexity",
            "loss",
            "multiple_choice",
            "calibration",
            "runtime",
            "accuracy",
            "reward",
            "exact_match",
            "bleu",
            "chrf",
            "ter",
            "rouge",
            "meteor",
            "custom_metric",
            "f1",
            "math_accuracy",
            "bertscore",
            "semantic_similarity",
            "codebleu",
            "factual_accuracy",
            "toxicity",
            "bias",
            "refusal",
            "pass_at_k",
            "preference_accuracy",
            "reward_margin",
            "win_rate",
            "kl",
        )
    },
    "task": {
        "aligntune-eval": (
            "gsm8k",
            "math500",
            "humaneval",
            "mbpp",
            "arc_easy",
            "arc_challenge",
            "mmlu",
            "wikitext",
            "cnn_dailymail",
            "wmt16_en_de",
            "hh_rlhf",
        )
    },
}


@dataclass(frozen=True)
class Owner:
    """Who registered an entry: the entry point's name, and the distribution behind it."""

    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


RUNTIME_OWNER = Owner("runtime", "registered at run time", "")


def import_target(target: object, said_by: str) -> Any:
    """Import ``"module:attribute"``; any other object is returned as it is.

    Raises:
        PluginError: if it cannot be imported, whatever the reason; names `said_by`.
    """
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise PluginError(f"{said_by} is {target!r}; write it as 'package.module:name'")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except AlignTuneError:
        raise
    except (
        Exception,
        SystemExit,
    ) as error:  # another's code runs on import: the boundary that names it
        raise PluginError(
            f"{said_by} points at {target!r}, which cannot be imported: {describe(error)}"
        ) from error
    return found


@dataclass(frozen=True)
class Entry(Generic[F]):
    """One registered implementation: its name, where it is, and what its manifest says of it."""

    kind: str
    name: str
    target: object
    facts: F
    owner: Owner

    @property
    def qualified(self) -> str:
        return f"{self.owner.name}:{self.name}"

    def load(self) -> Any:
        """Import the target.

        Raises:
            PluginError: if it cannot be imported; names the distribution.
        """
        return import_target(self.target, f"{self.kind} {self.name!r} of {self.owner}")


class Registry(Generic[F]):
    """The entries of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: list[Entry[F]] = []

    def add(self, entry: Entry[F]) -> None:
        """Add an entry.

        Raises:
            PluginError: if the same owner registers the same name twice.
        """
        if entry.owner is RUNTIME_OWNER:
            self._entries = [e for e in self._entries if e.qualified != entry.qualified]
        elif any(_claim(e) == _claim(entry) for e in self):
            raise PluginError(f"{entry.owner} registers the {self.kind} {entry.name!r} twice")
        self._entries.append(entry)

    def remove_owner(self, owner: Owner) -> None:
        self._entries = [entry for entry in self._entries if entry.owner != owner]

    def __iter__(self) -> Iterator[Entry[F]]:
        return iter(self._entries)

    def names(self) -> list[str]:
        return sorted({entry.name for entry in self})

    def owned_by(self, owner: Owner) -> list[str]:
        return sorted({entry.name for entry in self if entry.owner == owner})

    def matching(self, name: str) -> list[Entry[F]]:
        """All entries that `name` (bare, alias or `owner:name`) refers to."""
        owner, _, bare = name.rpartition(":")
        return [
            entry
            for entry in self
            if (not owner or owner in (entry.owner.name, entry.owner.distribution))
            and (bare == entry.name or bare in getattr(entry.facts, "aliases", ()))
        ]

    def get(self, name: str, *, backend: str | None = None) -> Entry[F]:
        """Return the entry called `name` (for algorithms: on `backend`).

        Raises:
            NotRegisteredError: names what is available and the install command that would help.
            ConflictError: if two distributions claim the bare name.
        """
        found = self.matching(name)
        if backend is not None:
            found = [entry for entry in found if _variant(entry) == backend]
        if not found:
            raise NotRegisteredError(self.missing(name))
        if len(found) > 1:
            same = len({entry.qualified for entry in found}) < len(found)
            names = [f"{e.owner.distribution}:{e.name}" if same else e.qualified for e in found]
            claims = " and ".join(
                f"{e.owner} (as {n!r})" for e, n in zip(found, names, strict=True)
            )
            raise ConflictError(
                f"{self.kind} {name!r} is claimed by {claims}; write the one you mean in full"
            )
        return found[0]

    def missing(self, name: str, silent: Mapping[str, str] = MappingProxyType({})) -> str:
        """The message for a name that is not there.

        `silent`: installed distributions that provide nothing -> why, in words.
        """
        known: list[str] = self.names()
        bare = name.rpartition(":")[2]
        parts = [f"unknown {self.kind} {name!r}"]
        brings = [d for d, names in PROVIDERS[self.kind].items() if bare in names]
        install = [distribution for distribution in brings if distribution not in silent]
        close = did_you_mean(
            bare, {*known, *(n for ns in PROVIDERS[self.kind].values() for n in ns)}
        )
        if install:
            parts.append(f"it comes with {install[0]}: pip install {install[0]}")
        elif close and not brings:
            parts.append(close)
        parts.extend(silent[distribution] for distribution in brings if distribution in silent)
        parts.append(f"available: {', '.join(known)}" if known else f"no {self.kind} is installed")
        if not known and not brings:
            parts.append(" or ".join(f"pip install {d}" for d in PROVIDERS[self.kind]))
        elif not close and not brings:
            parts.append(
                f"a {self.kind} of another package is there once that is installed "
                "(pip install PACKAGE; `aligntune plugins` lists what is)"
            )
        notes = [why for distribution, why in silent.items() if distribution not in brings]
        if notes:
            parts.append(f"note: {'; '.join(notes)}")
        return "; ".join(parts)


def _variant(entry: Entry[Any]) -> str:
    return entry.facts.backend if isinstance(entry.facts, AlgorithmFacts) else ""


def _claim(entry: Entry[Any]) -> tuple[Owner, str, str]:
    return entry.owner, entry.name, _variant(entry)


class Registries:
    """The registries side by side, one for each kind of thing."""

    def __init__(self) -> None:
        self.backends: Registry[BackendFacts] = Registry("backend")
        self.algorithms: Registry[AlgorithmFacts] = Registry("algorithm")
        self.rewards: Registry[RewardFacts] = Registry("reward")
        self.evaluators: Registry[EvaluatorFacts] = Registry("evaluator")
        self.tasks: Registry[TaskFacts] = Registry("task")

    def all(self) -> tuple[Registry[Any], ...]:
        return (self.backends, self.algorithms, self.rewards, self.evaluators, self.tasks)

    def remove_owner(self, owner: Owner) -> None:
        for registry in self.all():
            registry.remove_owner(owner)
