"""Manifest of aligntune-trl: what it brings, said without importing torch or TRL."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aligntune.facts import AlgorithmFacts, BackendFacts
from aligntune.hookspecs import hookimpl
from aligntune.plugins import Register

if TYPE_CHECKING:
    import typer

__all__ = ["ALGORITHMS", "TRL", "Algorithm"]

# The releases whose trainers these subclasses were checked against; 1.15.0 cannot train on a CPU.
TRL = "trl>=1.14.2,!=1.15.0,<1.17"


@dataclass(frozen=True)
class Algorithm:
    """An algorithm whose trainer lives here; a backend that reuses it registers it for itself."""

    name: str
    target: str
    facts: dict[str, Any] = field(default_factory=dict)


ALGORITHMS = (
    Algorithm(
        "sft",
        "aligntune_trl.sft.trainer:SFTTrainer",
        {
            "summary": "supervised fine-tuning on prompts with completions, chats or text",
            "kind": "sft",
            "data": "language-modelling",
            "rewards": "none",
            "tasks": {
                "text_classification": "text_classification",
                "token_classification": "token_classification",
            },
        },
    ),
    Algorithm(
        "text_classification",
        "aligntune_trl.classification.text:TextClassificationTrainer",
        {
            "summary": "supervised fine-tuning of a classifier of texts",
            "kind": "sft",
            "data": "text-classification",
            "rewards": "none",
        },
    ),
    Algorithm(
        "token_classification",
        "aligntune_trl.classification.tokens:TokenClassificationTrainer",
        {
            "summary": "supervised fine-tuning of a classifier of the words of a text",
            "kind": "sft",
            "data": "token-classification",
            "rewards": "none",
        },
    ),
    Algorithm(
        "dpo",
        "aligntune_trl.dpo.trainer:DPOTrainer",
        {
            "summary": "direct preference optimization on pairs of completions",
            "kind": "rl",
            "data": "preference",
            "rewards": "optional",
            "paper": "DPO (Rafailov et al. 2023, arXiv 2305.18290)",
        },
    ),
    Algorithm(
        "kto",
        "aligntune_trl.kto.trainer:KTOTrainer",
        {
            "summary": "Kahneman-Tversky optimization on single completions, judged good or bad",
            "kind": "rl",
            "data": "unpaired-preference",
            "rewards": "optional",
            "paper": "KTO (Ethayarajh et al. 2024, arXiv 2402.01306)",
            # One row would have no other completion for the baseline.
            "defaults": {"train.per_device_batch_size": 4},
        },
    ),
    Algorithm(
        "orpo",
        "aligntune_trl.orpo.trainer:ORPOTrainer",
        {
            "summary": "odds ratio preference optimization on pairs, without a reference",
            "kind": "rl",
            "data": "preference",
            "rewards": "optional",
            "paper": "ORPO (Hong et al. 2024, arXiv 2403.07691)",
        },
    ),
    Algorithm(
        "simpo",
        "aligntune_trl.simpo.trainer:SimPOTrainer",
        {
            "summary": "simple preference optimization on pairs, without a reference",
            "kind": "rl",
            "data": "preference",
            "rewards": "optional",
            "paper": "SimPO (Meng et al. 2024, arXiv 2405.14734)",
            "defaults": {"train.beta": 2.0},
        },
    ),
    Algorithm(
        "online_dpo",
        "aligntune_trl.online_dpo.trainer:OnlineDPOTrainer",
        {
            "summary": "DPO on pairs that the policy makes itself, preferred by rewards",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "online DPO (Guo et al. 2024, arXiv 2402.04792)",
            "defaults": {
                "train.num_generations": 2,
                "train.per_device_batch_size": 8,
                "train.missing_eos_penalty": 0.0,
            },
        },
    ),
    Algorithm(
        "reward_modeling",
        "aligntune_trl.reward_modeling.trainer:RewardModelTrainer",
        {
            "summary": "a reward model from pairs of completions (Bradley-Terry)",
            "kind": "rl",
            "data": "preference",
            "paper": "Bradley-Terry (Ouyang et al. 2022, arXiv 2203.02155)",
            "aliases": ("reward_model", "rm"),
            "from_scores": "aligntune_trl.reward_modeling.texts:fit",
        },
    ),
    Algorithm(
        "grpo",
        "aligntune_trl.grpo.trainer:GRPOTrainer",
        {
            "summary": "group relative policy optimization from reward functions",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "default_reward": "accuracy",
            "paper": "GRPO (DeepSeekMath, arXiv 2402.03300)",
            "defaults": {"train.loss_type": "grpo"},
        },
    ),
    Algorithm(
        "gspo",
        "aligntune_trl.gspo.trainer:GSPOTrainer",
        {
            "summary": "group sequence policy optimization: GRPO with the ratio of a completion",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "GSPO (Zheng et al. 2025, arXiv 2507.18071)",
            "defaults": {
                "train.loss_type": "grpo",
                "train.kl_coef": 0.0,
                "train.cliprange": 3e-4,
                "train.cliprange_high": 4e-4,
            },
        },
    ),
    Algorithm(
        "dr_grpo",
        "aligntune_trl.grpo.trainer:GRPOTrainer",
        {
            "summary": "GRPO done right: without its biases of length and of difficulty",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "Dr. GRPO (Liu et al. 2025, arXiv 2503.20783)",
            "defaults": {
                "train.loss_type": "dr_grpo",
                "train.scale_rewards": "none",
                "train.kl_coef": 0.0,
            },
            "aliases": ("drgrpo",),
        },
    ),
    Algorithm(
        "rloo",
        "aligntune_trl.rloo.trainer:RLOOTrainer",
        {
            "summary": "REINFORCE with the mean of the other completions as a baseline",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "RLOO (Ahmadian et al. 2024, arXiv 2402.14740)",
            "defaults": {"train.scale_rewards": "none"},
        },
    ),
    Algorithm(
        "dapo",
        "aligntune_trl.dapo.trainer:DAPOTrainer",
        {
            "summary": "GRPO with decoupled clipping and dynamic sampling",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "DAPO (Yu et al. 2025, arXiv 2503.14476)",
            "defaults": {
                "train.loss_type": "dapo",
                "train.cliprange_high": 0.28,
                "train.kl_coef": 0.0,
                "train.mask_truncated_completions": True,
            },
        },
    ),
    Algorithm(
        "neural_mirror_grpo",
        "aligntune_trl.neural_mirror_grpo.trainer:NeuralMirrorGRPOTrainer",
        {
            "summary": "Dr. GRPO with the Bregman divergence of a neural mirror map",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "group-based mirror policy optimization (Yuan et al. 2026, arXiv 2602.04380)",
            "defaults": {
                "train.loss_type": "dr_grpo",
                "train.scale_rewards": "none",
                "train.kl_coef": 0.0,
            },
            "aliases": ("nmgrpo",),
        },
    ),
    Algorithm(
        "ppo",
        "aligntune_trl.ppo.trainer:PPOTrainer",
        {
            "summary": "proximal policy optimization from rewards, with a critic",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "PPO (Schulman et al. 2017, arXiv 1707.06347)",
            "defaults": {"train.num_ppo_epochs": 4},
        },
    ),
    Algorithm(
        "meta_es",
        "aligntune_trl.meta_es.trainer:MetaESTrainer",
        {
            "summary": "an evolution strategy over reward weights or a mirror map, around runs",
            "kind": "rl",
            "data": "prompt",
            "rewards": "required",
            "paper": "evolution strategies (Salimans et al. 2017, arXiv 1703.03864)",
            "aliases": ("metaes",),
        },
    ),
)


@hookimpl
def aligntune_register_backends(register: Register[BackendFacts]) -> None:
    register(
        "trl",
        "aligntune_trl.backend:TRLBackend",
        summary="TRL on transformers, peft and accelerate",
        priority=10,
        requires=(TRL, "torch", "transformers", "peft", "datasets", "accelerate"),
        check="aligntune_trl.checks:unusable",
    )


@hookimpl
def aligntune_register_algorithms(register: Register[AlgorithmFacts]) -> None:
    for algorithm in ALGORITHMS:
        register(
            algorithm.name,
            algorithm.target,
            backend="trl",
            parameters=f"aligntune_trl.parameters:{algorithm.name.upper()}",
            **algorithm.facts,
        )


@hookimpl
def aligntune_cli_commands(app: typer.Typer) -> None:
    """Add `aligntune merge`."""
    from aligntune_trl.cli import merge_command

    app.command("merge")(merge_command)
