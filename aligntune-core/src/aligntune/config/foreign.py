"""Names of TRL's and transformers' arguments that are no parameters here, and what to do instead.

Most arguments have the same name here, or it is an alias. For the others, and for names that those
libraries renamed or removed, there is a sentence; `tests/trl/test_foreign_names.py` checks that no
argument of the installed versions is without one.
"""

from __future__ import annotations

from functools import cache

__all__ = ["foreign_name"]

# Name there -> what says the same here.
_RENAMED = {
    "lr": "train.learning_rate",
    "evaluation_strategy": "train.eval_strategy",
    "per_gpu_train_batch_size": "train.per_device_batch_size",
    "per_gpu_eval_batch_size": "train.per_device_eval_batch_size",
    "train_batch_size": "train.per_device_batch_size",
    "micro_batch_size": "train.per_device_batch_size",
    "push_to_hub_token": "logging.hub_token",
    "push_to_hub_model_id": "logging.hub_model_id",
    "activation_checkpointing": "model.gradient_checkpointing",
    "activation_checkpointing_kwargs": "train.gradient_checkpointing_kwargs",
    "half_precision_backend": "model.precision",
    "mixed_precision": "model.precision",
    "dtype": "model.precision",
    "torch_dtype": "model.precision",
    "load_in_4bit": "model.quantization",
    "load_in_8bit": "model.quantization",
    "use_liger": "train.use_liger_kernel",
    "model_id": "model.name_or_path",
    "pretrained_model_name_or_path": "model.name_or_path",
    "rank": "model.lora_rank",
    "r": "model.lora_rank",
    "num_sample_generations": "logging.sample_logging",
    "num_completions_to_print": "logging.sample_logging",
    "log_completions": "logging.sample_logging",
    "deepspeed": "distributed.deepspeed_config",
    "fsdp": "distributed.fsdp_config",
    "local_rank": "distributed.num_processes",
    "ddp_backend": "distributed.backend",
    "min_p": "train.generation_kwargs",
    "repetition_penalty": "train.generation_kwargs",
    "cache_implementation": "train.generation_kwargs",
    "chat_template_kwargs": "train.enable_thinking",
    "chat_template_path": "chat_template",
    "steps_per_generation": "train.rollout_batch_size",
    "use_vllm": "train.fast_inference",
    "vllm_mode": "train.fast_inference",
    "tracker_project_name": "logging.run_name",
    "num_proc": "datasets.dataset_num_proc",
    "reward_funcs": "rewards",
    "reward_clip_range": "rewards.N.clip",
    "do_eval": "train.eval_strategy",
    "evaluate_during_training": "train.eval_strategy",
    "eval_on_start": "evaluation.before_training",
    "train_sampling_strategy": "train.group_by_length",
}  # fmt: skip

# Why something is no parameter here -> the names of which that is true.
_NOT_SET = {
    "the tokenizer comes with the model": "tokenizer processing_class eos_token",
    "the device is chosen from what there is; CUDA_VISIBLE_DEVICES hides GPUs":
        "no_cuda use_cpu use_mps_device use_ipex place_model_on_device",
    "a run directory is never overwritten unasked; `aligntune train --overwrite` replaces it":
        "overwrite_output_dir",
    "`aligntune train --resume` goes on from the last checkpoint (Python: train(resume=True))":
        "resume_from_checkpoint ignore_data_skip restore_callback_states_from_checkpoint "
        "enable_jit_checkpoint",
    "checkpoints are safetensors and hold all that is needed to go on":
        "save_safetensors save_only_model save_on_each_node",
    "`aligntune train`, `aligntune eval` and `trainer.predict` say what is done":
        "do_train do_predict prediction_loss_only",
    "the evaluators of `evaluation` choose what is computed":
        "batch_eval_metrics include_for_metrics include_inputs_for_metrics eval_do_concat_batches "
        "eval_use_gather_object label_names bf16_full_eval fp16_full_eval eval_delay "
        "num_generations_eval",
    "AlignTune leaves it at the default of transformers":
        "accelerator_config average_tokens_across_devices auto_find_batch_size dataloader_in_order "
        "dataloader_multiprocessing_context dataloader_persistent_workers dataloader_pin_memory "
        "dataloader_prefetch_factor length_column_name lr_scheduler_kwargs neftune_noise_alpha "
        "optim_args optim_target_modules liger_kernel_config torch_empty_cache_steps tf32 "
        "torch_compile torch_compile_backend torch_compile_mode full_determinism use_cache debug "
        "skip_memory_metrics include_num_input_tokens_seen include_tokens_per_second "
        "parallelism_config jit_mode_eval torchdynamo fp16_opt_level fp16_backend past_index",
    "processes are set up by the launcher (torchrun, accelerate) and `distributed`":
        "ddp_broadcast_buffers ddp_bucket_cap_mb ddp_find_unused_parameters ddp_static_graph "
        "ddp_timeout fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap dispatch_batches "
        "split_batches sharded_ddp tpu_num_cores tpu_metrics_debug mp_parameters ray_scope",
    "the log is that of `logging.log_level`, and metrics are in the run directory":
        "log_level_replica log_on_each_node logging_first_step logging_nan_inf_filter "
        "log_completions_hub_repo log_multimodal log_unique_prompts",
    "trackers take their own settings from their environment variables":
        "wandb_api_key project trackio_bucket_id trackio_space_id trackio_static_space_id run_id",
    "the upload at the end of the run is private unless the repository exists":
        "hub_always_push hub_private_repo hub_revision hub_strategy hub_org "
        "push_to_hub_organization",
    "AlignTune leaves it at the default of TRL":
        "cast_lm_head_to_fp32 delta entropy_coef_delta entropy_coef_max entropy_coef_min "
        "entropy_target use_adaptive_entropy multi_objective_aggregation off_policy_mask_threshold "
        "router_aux_loss_coef sapo_temperature_neg sapo_temperature_pos top_entropy_quantile "
        "use_bias_correction_kl vespo_k_neg vespo_k_pos vespo_lambda_neg vespo_lambda_pos "
        "max_tool_calling_iterations normalize_advantages center_rewards_coefficient "
        "desirable_weight undesirable_weight is_encoder_decoder generate_during_eval "
        "dataset_batch_size skip_prepare_dataset model_init model_code_revision",
    "the algorithm says it: the ratios of GRPO are those of tokens":
        "importance_sampling_level",
    "data sets are shuffled by `train.data_seed`": "shuffle_dataset",
    "vLLM is switched on by `train.fast_inference`, with `train.vllm_gpu_memory_utilization`":
        "vllm_enable_sleep_mode vllm_group_port vllm_importance_sampling_cap "
        "vllm_importance_sampling_clip_max vllm_importance_sampling_clip_min "
        "vllm_importance_sampling_correction vllm_importance_sampling_mode vllm_max_model_length "
        "vllm_model_impl vllm_server_base_url vllm_server_host vllm_server_port "
        "vllm_server_timeout vllm_structured_outputs_regex vllm_guided_decoding_regex "
        "vllm_tensor_parallel_size vllm_device vllm_dtype vllm_max_model_len "
        "vllm_enable_prefix_caching",
    "completions are made by the model's own `generate`, or by vLLM (`train.fast_inference`)":
        "use_transformers_continuous_batching transformers_continuous_batching_config "
        "use_transformers_paged",
    "rows are packed by `train.packing`": "num_of_sequences chars_per_token",
    "transformers removed it and nothing replaces it": "adafactor xpu_backend",
    "a configuration file is named without a flag: `aligntune train FILE`": "config config_file",
    "a base belongs at the top level of a file (`base: other.yaml`)": "base",
}  # fmt: skip


@cache
def _sentences() -> dict[str, str]:
    reasons = {name: why for why, names in _NOT_SET.items() for name in names.split()}
    return reasons | {name: f"here it is `{path}`" for name, path in _RENAMED.items()}


def foreign_name(name: str) -> str:
    """What to do instead of setting `name`, or an empty string."""
    return _sentences().get(name, "")
