"""Manifest of aligntune-unsloth: a backend that loads models through Unsloth and brings no trainer.

The trainers are those of aligntune-trl, registered for this backend with a table of their own where
a parameter goes somewhere else.
"""

from __future__ import annotations

from aligntune.facts import AlgorithmFacts, BackendFacts
from aligntune.hookspecs import hookimpl
from aligntune.plugins import Register
from aligntune_trl.plugin import ALGORITHMS, TRL

__all__ = ["RUNS"]

# The algorithms of aligntune-trl that were seen to train through Unsloth.
RUNS = (
    "sft",
    "text_classification",
    "token_classification",
    "dpo",
    "kto",
    "orpo",
    "simpo",
    "online_dpo",
    "grpo",
    "gspo",
    "dr_grpo",
    "rloo",
    "dapo",
    "neural_mirror_grpo",
    "ppo",
    "meta_es",
    "reward_modeling",
)


@hookimpl
def aligntune_register_backends(register: Register[BackendFacts]) -> None:
    register(
        "unsloth",
        "aligntune_unsloth.backend:UnslothBackend",
        summary="models loaded and patched by Unsloth, trained by TRL",
        priority=20,
        requires=("unsloth>=2026.10.7", "unsloth_zoo", TRL),
        check="aligntune_unsloth.checks:unusable",
    )


@hookimpl
def aligntune_register_algorithms(register: Register[AlgorithmFacts]) -> None:
    for algorithm in ALGORITHMS:
        if algorithm.name in RUNS:
            register(
                algorithm.name,
                algorithm.target,
                backend="unsloth",
                parameters=f"aligntune_unsloth.parameters:{algorithm.name.upper()}",
                **algorithm.facts,
            )
