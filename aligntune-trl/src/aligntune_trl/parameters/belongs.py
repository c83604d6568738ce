"""Which algorithms a field is for. The others refuse it, each for the same reason.

An algorithm that uses a field has a row for it in its own table, and that row wins; so a new one
need not be added here, unless it brings the first use of a field.
"""

from __future__ import annotations

from aligntune.plan.parameters import Refused, Use

__all__ = ["elsewhere"]

_FIELDS = {
    "SFT": (
        "train.packing",
        "train.packing_strategy",
        "train.eval_packing",
        "train.padding_free",
        "train.completion_only_loss",
        "train.assistant_only_loss",
        "train.label_smoothing_factor",
        "train.dataset_kwargs",
    ),
    "SFT and DPO": (
        "train.truncation_mode",
        "train.dataset_num_proc",
        "train.activation_offloading",
        "train.remove_unused_columns",
        "train.group_by_length",
    ),
    "DPO": (
        "train.max_target_length",
        "train.beta",
        "train.label_smoothing",
        "train.loss_weights",
        "train.f_divergence_type",
        "train.f_alpha_divergence_coef",
        "train.reference_free",
        "train.use_weighting",
        "train.rpo_alpha",
        "train.ld_alpha",
        "train.discopop_tau",
        "train.precompute_ref_log_probs",
        "train.precompute_ref_batch_size",
        "model.ref_adapter_name",
        "evaluation.dpo_eval_enabled",
        "evaluation.dpo_eval_max_samples",
        "evaluation.dpo_zero_shot_max_samples",
        "evaluation.dpo_few_shot_max_samples",
        "evaluation.dpo_few_shot_examples_text",
    ),
    "DPO and GRPO": (
        "model.disable_dropout",
        "model.use_logits_to_keep",
        "model.ref_model_init_kwargs",
        "model.force_use_ref_model",
        "train.sync_ref_model",
        "train.ref_model_mixup_alpha",
        "train.ref_model_sync_steps",
    ),
    "DPO, GRPO and PPO": ("model.sft_path",),
    "GRPO": ("train.num_generations", "train.scale_rewards"),
    "GRPO and PPO": (
        "model.reward_model_name",
        "model.reward_model_source.*",
        "model.reward_model_source",
        "model.reward_model_quantization",
        "model.reward_device",
        "train.reward_weights",
        "train.kl_coef",
        "train.cliprange",
        "train.cliprange_high",
        "train.ent_coef",
        "train.mask_truncated_completions",
        "train.temperature",
        "train.top_p",
        "train.top_k",
        "train.max_prompt_length",
        "train.max_completion_length",
        "train.generation_kwargs",
        "train.rollout_batch_size",
        "train.num_ppo_epochs",
        "train.enable_thinking",
        "train.fast_inference",
        "train.vllm_gpu_memory_utilization",
        "train.ds3_gather_for_generation",
    ),
    "PPO": (
        "model.reward_value_model",
        "model.reward_value_loading_type",
        "model.value_model_quantization",
        "train.whiten_rewards",
        "train.kl_estimator",
        "train.target_kl",
        "train.init_kl_coef",
        "train.adap_kl_ctrl",
        "train.gamma",
        "train.lam",
        "train.vf_coef",
        "train.cliprange_value",
        "train.stop_token",
        "train.missing_eos_penalty",
    ),
}


def elsewhere() -> dict[str, Use]:
    """A refusal for each field that only some algorithms use, naming them; own rows go on top."""
    return {
        path: Refused(f"it belongs to {names}")
        for names, paths in _FIELDS.items()
        for path in paths
    }
