"""Training: optimization, and what each algorithm is told."""

from __future__ import annotations

from typing import Any, Literal

from aligntune.config.section import Section, setting
from aligntune.config.sections.evaluation import EvaluationConfig
from aligntune.config.sections.meta_es import MetaESConfig

__all__ = ["TrainingConfig"]


class TrainingConfig(Section):
    """How the model is trained."""

    elsewhere = {
        "max_length": "model.max_seq_length",
        "gradient_checkpointing": "model.gradient_checkpointing",
        "use_gradient_checkpointing": "model.gradient_checkpointing",
        **{
            name: f"evaluation.{name}"
            for name in EvaluationConfig.model_fields
            if name.startswith("dpo_")
        },
        **{name: f"meta_es.{name}" for name in MetaESConfig.model_fields},
    }

    per_device_batch_size: int = setting(
        1, ge=1, aliases=("batch_size", "per_device_train_batch_size")
    )
    """Rows (RL: completions) per device in one forward pass."""
    per_device_eval_batch_size: int = setting(1, ge=1, aliases=("eval_batch_size",))
    """The same in evaluation."""
    gradient_accumulation_steps: int = setting(1, ge=1)
    """Forward passes whose gradients are summed into one step."""
    max_steps: int | None = setting(None, ge=1)
    """Stop after so many optimizer steps; overrides `epochs`."""
    stop_after_steps: int | None = setting(None, ge=1)
    """Stop there if the run is not over; the learning rate stays that of the whole run."""
    epochs: float | None = setting(3.0, rl=None, gt=0, aliases=("num_epochs", "num_train_epochs"))
    """Passes over the data; unset in RL, 1."""
    learning_rate: float = setting(1e-5, ge=0)
    """Peak learning rate."""
    weight_decay: float = setting(0.01, ge=0)
    """Weight decay of AdamW."""
    warmup_steps: int = setting(0, ge=0)
    """Steps over which the learning rate rises from 0; wins over `warmup_ratio`."""
    warmup_ratio: float = setting(0.1, rl=0.0, ge=0, lt=1)
    """The same as a fraction of all steps."""
    max_grad_norm: float = setting(1.0, ge=0)
    """Gradients are scaled down to this norm; 0 leaves them as they are."""
    optimizer: str = setting("adamw_torch", aliases=("optim",))
    """Optimizer, by the name transformers gives it."""
    adam_beta1: float = setting(0.9, ge=0, lt=1)
    """Decay of AdamW's mean of gradients."""
    adam_beta2: float = setting(0.999, ge=0, lt=1)
    """Decay of AdamW's mean of squared gradients."""
    adam_epsilon: float = setting(1e-8, gt=0)
    """AdamW's epsilon."""
    lr_scheduler: str = setting("cosine", aliases=("lr_scheduler_type",))
    """Learning-rate schedule, by the name transformers gives it."""
    seed: int = setting(42, ge=0)
    """Seed of weights, dropout, data order and sampling."""
    data_seed: int | None = setting(None, rl=47, ge=0)
    """Seed of the data order alone."""
    eval_strategy: Literal["no", "steps", "epoch"] = setting("steps", rl="no")
    """When to evaluate during training; unset, never where there is no evaluation data."""
    eval_interval: int = setting(100, ge=1, aliases=("eval_steps",))
    """Steps between evaluations."""
    save_strategy: Literal["no", "steps", "epoch"] = setting("steps")
    """When to write checkpoints."""
    save_interval: int = setting(500, ge=1, aliases=("save_steps",))
    """Steps between checkpoints."""
    save_total_limit: int | None = setting(None, ge=1)
    """Keep at most so many checkpoints."""
    load_best_model_at_end: bool = setting(True, rl=False)
    """End with the best checkpoint; unset, only where there is evaluation data."""
    metric_for_best_model: str | None = setting("eval_loss", rl=None)
    """The metric of an evaluation that says which checkpoint is best, such as rougeL."""
    greater_is_better: bool = setting(False)
    """Whether more of that metric is better; unset, as the metric itself says."""
    logging_steps: int = setting(10, ge=1, aliases=("log_interval",))
    """Steps between lines of metrics."""
    logging_strategy: Literal["no", "steps", "epoch"] = setting("steps")
    """When to write metrics."""
    group_by_length: bool = setting(False, rl=True)
    """Put rows of similar length into one batch; unset, only where the trainer can."""
    dataloader_num_workers: int = setting(0, ge=0)
    """Processes that load batches."""
    dataloader_drop_last: bool = setting(False)
    """Leave out the last batch of an epoch when it is not full."""
    gradient_checkpointing_kwargs: dict[str, Any] = setting({}, rl={"use_reentrant": False})
    """Arguments of gradient checkpointing."""
    fp16: bool = setting(False)
    """The same as `model.precision: fp16`."""
    bf16: bool = setting(False)
    """The same as `model.precision: bf16`."""
    use_trl: bool = setting(False)
    """The same as `backend: trl`."""
    use_flash_attention_2: bool | None = setting(None)
    """True is the same as `model.attn_implementation: flash_attention_2`."""
    remove_unused_columns: bool = setting(False)
    """Drop columns that the model does not take."""
    eval_accumulation_steps: int | None = setting(None, ge=1)
    """Evaluation steps after which predictions move to the CPU."""
    early_stopping_patience: int | None = setting(None, ge=1)
    """Stop after so many evaluations without a better `metric_for_best_model`."""
    early_stopping_threshold: float = setting(0.0, ge=0)
    """How much better counts as better."""
    dataset_num_proc: int | None = setting(None, ge=1)
    """Processes that tokenize."""
    dataset_kwargs: dict[str, Any] = setting({})
    """SFT: arguments of TRL's preparation of the data."""
    padding_free: bool = setting(False)
    """SFT: put the rows of a batch into one sequence instead of padding them."""
    activation_offloading: bool = setting(False)
    """Keep activations on the CPU until the backward pass; GPU only."""
    use_liger_kernel: bool = setting(False)
    """Use Liger's kernels in the model."""
    use_liger_loss: bool | None = setting(None)
    """Use Liger's fused loss."""
    fast_inference: bool = setting(False)
    """Generate with vLLM."""
    vllm_gpu_memory_utilization: float = setting(0.7, gt=0, le=1)
    """Share of the GPU's memory for vLLM."""
    ds3_gather_for_generation: bool = setting(True)
    """DeepSpeed ZeRO-3: gather the weights for generation; faster, with more memory."""
    label_smoothing_factor: float = setting(0.0, ge=0, lt=1)
    """Label smoothing of the SFT loss."""
    loss_type: str | list[str] | None = setting("nll", rl=None)
    """SFT: nll or dft. GRPO: how the loss is averaged. DPO: sigmoid, hinge, ipo, ..., or several;
    unset, the algorithm's own."""
    packing: bool = setting(False)
    """SFT: put several rows into one sequence of `max_seq_length` tokens."""
    packing_strategy: Literal["bfd", "wrapped"] = setting("bfd")
    """SFT: how rows are packed; `bfd` keeps rows whole, `wrapped` cuts them."""
    eval_packing: bool | None = setting(None)
    """SFT: pack the evaluation rows too; unset, as `packing`."""
    pad_to_multiple_of: int | None = setting(None, ge=1)
    """Pad sequences to a multiple of so many tokens."""
    completion_only_loss: bool | None = setting(None)
    """SFT: train on the completion alone; unset, yes where rows have one. ORPO: the likelihood loss
    is that of the completion alone; unset, yes."""
    assistant_only_loss: bool = setting(False)
    """SFT: train on assistant turns alone; needs `{% generation %}` in the chat template."""
    truncation_mode: Literal["keep_end", "keep_start"] = setting("keep_start", rl="keep_end")
    """Which end of an over-long row stays."""
    num_generations: int | None = setting(None, ge=2)
    """GRPO: completions per prompt (the group); unset, the largest number that fits the batch."""
    rollout_batch_size: int | None = setting(None, ge=1, aliases=("generation_batch_size",))
    """GRPO: completions made at once over all devices; unset, those of one step."""
    num_ppo_epochs: int | None = setting(None, ge=1, aliases=("ppo_epochs", "num_iterations"))
    """GRPO: updates per batch of completions; unset, 1."""
    kl_coef: float = setting(0.1, ge=0, aliases=("grpo_beta",))
    """Weight of the KL divergence to the reference model; 0 needs no reference model."""
    whiten_rewards: bool = setting(False)
    """PPO: scale the rewards of a rollout's tokens to variance 1; their mean stays."""
    kl_estimator: Literal["k1", "k2", "k3"] = setting("k1")
    """PPO: estimator of the KL divergence (Schulman 2020): k1 = log r, k2 = (log r)^2 / 2, k3."""
    target_kl: float | None = setting(None, gt=0)
    """PPO: end the updates of a batch once the KL divergence to the sampling policy exceeds this;
    with `adap_kl_ctrl`, what the KL divergence to the reference is steered to."""
    init_kl_coef: float | None = setting(None, ge=0)
    """PPO: what the adaptive KL coefficient starts from; unset, `kl_coef`."""
    adap_kl_ctrl: bool = setting(False)
    """PPO: adapt the KL coefficient to `target_kl` (Ziegler et al. 2019, section 2.2)."""
    gamma: float = setting(1.0, ge=0, le=1)
    """PPO: discount factor."""
    lam: float = setting(0.95, ge=0, le=1)
    """PPO: lambda of generalized advantage estimation."""
    vf_coef: float = setting(0.1, ge=0)
    """PPO: weight of the value loss."""
    cliprange_value: float = setting(0.2, gt=0)
    """PPO: the value moves at most so far from the old one before its loss is clipped."""
    stop_token: str | None = setting("eos")
    """PPO: a completion ends at this token; `eos` is the tokenizer's end-of-sequence token."""
    missing_eos_penalty: float = setting(1.0, ge=0)
    """PPO: taken from the reward of a completion that has no stop token."""
    mirror_coef: float = setting(0.001, ge=0)
    """Neural Mirror GRPO: weight of the divergence to the reference model; 0 needs no reference."""
    mirror_divergence: Literal["neural", "squared_log_probability", "squared_probability"] = (
        setting("neural")
    )
    """Neural Mirror GRPO: the divergence of a neural mirror map, (log y - log y0)^2 / 2, or
    (y - y0)^2 / 2, of a token's probability y and the reference's y0."""
    mirror_init_scale: float = setting(0.01, ge=0)
    """Neural Mirror GRPO: standard deviation of the mirror map's numbers, drawn from `seed`."""
    mirror_map: str | None = setting(None, min_length=1)
    """Neural Mirror GRPO: a safetensors file with the 380 numbers of a mirror map; unset, random
    ones."""
    reward_weights: list[float] | None = setting(None)
    """Weights of the rewards, in their order; instead of `rewards.N.weight`."""
    grpo_alpha: float = setting(0.1)
    """Kept for configurations that name it: no paper defines it, and only 0.1 is accepted."""
    gspo_gamma: float = setting(0.1)
    """Kept for configurations that name it: no paper defines it, and only 0.1 is accepted."""
    gspo_delta: float = setting(0.1)
    """Kept for configurations that name it: no paper defines it, and only 0.1 is accepted."""
    beta: float = setting(0.1, ge=0)
    """DPO, KTO: how closely the policy is held to the reference (inverse temperature). ORPO: weight
    of the odds ratio. SimPO: scale of the rewards; 2.0 there."""
    simpo_gamma: float = setting(1.0, ge=0)
    """SimPO: margin by which the chosen completion's reward is to exceed the rejected one's."""
    desirable_weight: float = setting(1.0, ge=0)
    """KTO: weight of the loss of completions whose label is true."""
    undesirable_weight: float = setting(1.0, ge=0)
    """KTO: weight of the loss of completions whose label is false."""
    label_smoothing: float = setting(0.0, ge=0, lt=0.5)
    """DPO: assumed share of preferences that are the wrong way round (conservative DPO)."""
    loss_weights: list[float] | dict[str, float] | None = setting(None)
    """DPO: weights of several losses, in the order of `loss_type` or by name."""
    f_divergence_type: str = setting("reverse_kl", min_length=1)
    """DPO: divergence to the reference: reverse_kl, forward_kl, js_divergence, alpha_divergence."""
    f_alpha_divergence_coef: float = setting(1.0)
    """DPO: alpha of `alpha_divergence`."""
    reference_free: bool = setting(False)
    """DPO: hold the policy to a uniform reference, without a reference model."""
    use_weighting: bool = setting(False)
    """DPO: weight pairs by their probability under the policy (WPO)."""
    rpo_alpha: float | None = setting(None, ge=0)
    """DPO: weight of an additional SFT loss on the chosen completion (RPO)."""
    ld_alpha: float | None = setting(None, ge=0, le=1)
    """DPO: weight of what a completion is longer than the other (LD-DPO)."""
    discopop_tau: float = setting(0.05, gt=0)
    """DPO: temperature of the `discopop` loss."""
    sync_ref_model: bool = setting(False)
    """Move the reference towards the policy every `ref_model_sync_steps` steps (TR-DPO)."""
    ref_model_mixup_alpha: float = setting(0.6, ge=0, le=1)
    """Share of the policy in the reference at each such move."""
    ref_model_sync_steps: int = setting(512, ge=1)
    """Steps between such moves."""
    precompute_ref_log_probs: bool = setting(False)
    """DPO: compute the reference's log-probabilities once, before training."""
    precompute_ref_batch_size: int | None = setting(None, ge=1)
    """DPO: rows per forward pass then; unset, `per_device_batch_size`."""
    center_rewards_coefficient: float | None = setting(None, ge=0)
    """Reward models: weight of (r(chosen) + r(rejected))^2, which holds them around 0; unset, 0."""
    label_pad_token_id: int = setting(-100)
    """Label of tokens that are not trained on; it is -100."""
    max_target_length: int | None = setting(None, ge=1)
    """Longest completion of the data, in tokens; longer ones are cut, and counted."""
    cliprange: float = setting(0.2, gt=0, aliases=("epsilon",))
    """The policy ratio is clipped to 1 - cliprange from below."""
    cliprange_high: float | None = setting(None, gt=0, aliases=("epsilon_high",))
    """The policy ratio is clipped to 1 + cliprange_high from above; unset, `cliprange`."""
    ent_coef: float = setting(0.0, aliases=("entropy_coef",))
    """Weight of the entropy bonus."""
    scale_rewards: Literal["group", "batch", "none"] = setting("group")
    """GRPO: divide advantages by the standard deviation of the group, of the batch, or not."""
    mask_truncated_completions: bool = setting(False)
    """GRPO: leave completions without an end-of-sequence token out of the loss."""
    max_resampling: int = setting(10, ge=0)
    """DAPO: rounds in which groups whose completions are all equally right are replaced by those of
    further prompts, at most; 0 replaces none."""
    overlong_cache_length: int | None = setting(None, ge=0)
    """DAPO: the last tokens of a completion, over which its soft overlong punishment grows to 1;
    unset, a fifth of `max_completion_length`; 0 punishes none."""
    temperature: float = setting(0.6, gt=0)
    """Sampling temperature."""
    top_p: float = setting(0.95, gt=0, le=1)
    """Sample from the smallest set of tokens whose probability reaches this."""
    top_k: int = setting(0, ge=0)
    """Sample from the so many likeliest tokens; 0 means all."""
    max_prompt_length: int | None = setting(512, ge=1)
    """Longest prompt, in tokens; longer ones are left out, and counted."""
    max_completion_length: int = setting(256, ge=1, aliases=("response_length", "max_new_tokens"))
    """Longest completion, in tokens."""
    generation_kwargs: dict[str, Any] | None = setting(None)
    """GRPO: further arguments of the model's `generate`."""
    enable_thinking: bool = setting(False)
    """GRPO: let the chat template of a Qwen3 model open a thinking block."""
