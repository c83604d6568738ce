"""Where every field goes in GRPO on TRL's GRPOTrainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligntune.plan.parameters import Fixed, Ours, ParameterTable, Refused, To, Use, When
from aligntune_trl.fields import batch, checking, contradictions
from aligntune_trl.fields.bends import BENDS, data_seed, lora_dropout_stays, no_lora_dropout
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.rewards import REWARD_USES
from aligntune_trl.fields.training import trainer_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware

__all__ = ["GROUP_CHECKS", "GRPO_BENDS", "GRPO_CHECKS", "grpo_table", "grpo_uses"]


_SYNCED = When("train.sync_ref_model", (True,))


def grpo_uses(model: dict[str, Use], owner: str = "GRPOConfig") -> dict[str, Use]:
    """The rows of GRPO, which the other algorithms on groups of completions begin with.

    Args:
        model: the fields of the model section.
        owner: TRL's configuration class.
    """

    def to(argument: str, **more: Any) -> To:
        return To(argument, owner, **more)

    return trainer_uses(owner, model) | {
        "model.max_seq_length": Ours(
            "longest prompt and completion together; longer prompts are left out"
        ),
        "model.sft_path": Ours("what policy and reference are loaded from"),
        "model.disable_dropout": to("disable_dropout"),
        "model.use_logits_to_keep": Fixed((True,), "TRL computes no other logits"),
        "model.ref_model_init_kwargs": Refused("TRL loads the reference as it loads the policy"),
        "model.force_use_ref_model": Refused(
            "TRL loads a reference wherever switching the adapter off does not give one"
        ),
        "train.loss_type": to("loss_type"),
        "train.num_generations": to("num_generations"),
        "train.rollout_batch_size": to("generation_batch_size", drop_none=True),
        "train.num_ppo_epochs": to("num_iterations", convert=lambda value: value or 1),
        "train.kl_coef": to("beta"),
        "train.cliprange": to("epsilon"),
        "train.cliprange_high": to("epsilon_high"),
        "train.ent_coef": to("entropy_coef"),
        "train.scale_rewards": to("scale_rewards"),
        "train.mask_truncated_completions": to("mask_truncated_completions"),
        "train.temperature": to("temperature"),
        "train.top_p": to("top_p"),
        "train.top_k": to("top_k"),
        "train.max_prompt_length": Ours("longer prompts are left out, and counted"),
        "train.max_completion_length": to("max_completion_length"),
        "train.generation_kwargs": to("generation_kwargs"),
        "train.enable_thinking": Ours(
            "the chat template: GRPOConfig.chat_template_kwargs, samples and evaluations"
        ),
        "train.pad_to_multiple_of": to("pad_to_multiple_of"),
        "train.truncation_mode": Refused(
            "over-long prompts are left out (`train.max_prompt_length`), and completions end at "
            "`train.max_completion_length`"
        ),
        "train.group_by_length": Fixed((False,), "a batch holds whole groups of one prompt"),
        "train.remove_unused_columns": Fixed((False,), "rewards read the columns"),
        "train.beta": Refused("it belongs to DPO; the weight of the KL here is `train.kl_coef`"),
        "train.sync_ref_model": to("sync_ref_model"),
        "train.ref_model_mixup_alpha": to("ref_model_mixup_alpha", when=_SYNCED),
        "train.ref_model_sync_steps": to("ref_model_sync_steps", when=_SYNCED),
        "train.fast_inference": to("use_vllm"),
        "train.vllm_gpu_memory_utilization": to(
            "vllm_gpu_memory_utilization", when=When("train.fast_inference", (True,))
        ),
        "train.ds3_gather_for_generation": Fixed(
            (True,), "it is for DeepSpeed ZeRO-3, and this backend trains in one process"
        ),
        **REWARD_USES,
        "rewards.*": Ours("aligntune.scoring: the weighted sum"),
    }


UNCLIPPED = ("sapo", "vespo")  # losses without a bound on the ratio
CAP = 5.0  # of CISPO's ratio itself (Khatri et al. 2025, arXiv 2510.13786, "ScaleRL")


def _upper(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    """Said for every loss that has one: Unsloth has values of its own for some that are not."""
    train = config.train
    if train.loss_type == "cispo":
        return CAP, "the largest ratio of CISPO"
    if train.loss_type in UNCLIPPED or train.cliprange_high is not None:
        return None  # the second is the default of the algorithm's paper
    return train.cliprange, "`train.cliprange`"


GRPO_BENDS = (
    ("train.data_seed", data_seed),
    ("train.cliprange_high", _upper),
    ("model.disable_dropout", lora_dropout_stays),
    ("model.lora_dropout", no_lora_dropout),
    ("train.per_device_batch_size", batch.default_batch),
    ("train.num_generations", batch.default_group),
    ("train.per_device_eval_batch_size", batch.default_eval_batch),
    ("train.save_interval", batch.default_save_interval),
    *BENDS,
)
GROUP_CHECKS = (  # of every algorithm on groups of completions
    contradictions.check_reference,
    contradictions.check_adapter_reference,
    batch.check_groups,
    batch.check_eval_groups,
    batch.check_lengths,
    batch.check_resumable,
    batch.check_checkpoints,
    batch.check_processes,
)
GRPO_CHECKS = (
    *checking.checks(checking.GRPO_LOSSES),
    checking.check_clipping,
    *GROUP_CHECKS,
)


def grpo_table(model: dict[str, Use]) -> ParameterTable:
    """The table of GRPO, given the fields of the model section."""
    return ParameterTable(
        grpo_uses(model), GRPO_BENDS, GRPO_CHECKS, batch.grpo_lines, (check_machine,)
    )
