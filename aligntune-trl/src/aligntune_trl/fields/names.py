"""Names that transformers knows, so that a wrong one is told before anything loads.

The tuples are those of the installed libraries; a test compares them. They stand here because
reading them from the libraries takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from aligntune.errors import Problem, did_you_mean

if TYPE_CHECKING:
    from aligntune.config import RunConfig

__all__ = [
    "GENERATION",
    "LOGGERS",
    "OPTIMIZERS",
    "QUANTIZATION",
    "SCHEDULERS",
    "WITHOUT_WARMUP",
    "check_names",
]

_BITSANDBYTES = (
    "adamw_bnb_8bit",
    "adamw_8bit",
    "ademamix",
    "ademamix_8bit",
    "lion_8bit",
    "lion_32bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "paged_ademamix_32bit",
    "paged_ademamix_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "rmsprop_bnb",
    "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
)
_OF_PARTS = (
    "galore_adamw",
    "galore_adamw_8bit",
    "galore_adafactor",
    "galore_adamw_layerwise",
    "galore_adamw_8bit_layerwise",
    "galore_adafactor_layerwise",
    "apollo_adamw",
    "apollo_adamw_layerwise",
)
_PLAIN = ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop")
# Optimizer -> the module it needs beside torch; empty where it needs none.
OPTIMIZERS: Mapping[str, str] = {
    **dict.fromkeys(_PLAIN, ""),
    **dict.fromkeys(_BITSANDBYTES, "bitsandbytes"),
    **dict.fromkeys(_OF_PARTS, ""),
    "adamw_torch_xla": "torch_xla",
    "adamw_torch_npu_fused": "torch_npu",
    "adamw_anyprecision": "torchdistx",
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "lomo": "lomo_optim",
    "adalomo": "lomo_optim",
    "grokadamw": "grokadamw",
    "schedule_free_radam": "schedulefree",
    "schedule_free_adamw": "schedulefree",
    "schedule_free_sgd": "schedulefree",
    "stable_adamw": "optimi",
}
_WITH_EPSILON = tuple(
    name for name in OPTIMIZERS if re.search("adam|ademamix", name) and name != "grokadamw"
)
_WITH_BETAS = (*_WITH_EPSILON, *(name for name in OPTIMIZERS if "lion" in name))
# Field -> the optimizers that transformers hands it to.
_READERS = {
    "adam_beta1": _WITH_BETAS,
    "adam_beta2": _WITH_BETAS,
    "adam_epsilon": _WITH_EPSILON,
}
_WITH_ARGUMENTS = ("cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay")
_LAST_RATE = 1e-7  # where a polynomial schedule of transformers ends
_BY_EVALUATION = ("reduce_lr_on_plateau", "greedy")
WITHOUT_WARMUP = ("constant", *_BY_EVALUATION)
SCHEDULERS = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    *_BY_EVALUATION,
    *_WITH_ARGUMENTS,
)
# Experiment tracker -> the module it needs.
LOGGERS: Mapping[str, str] = {
    "azure_ml": "azureml",
    "clearml": "clearml",
    "codecarbon": "codecarbon",
    "comet_ml": "comet_ml",
    "dagshub": "dagshub",
    "dvclive": "dvclive",
    "flyte": "flytekit",
    "kubeflow": "",
    "mlflow": "mlflow",
    "neptune": "neptune",
    "swanlab": "swanlab",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}
# Arguments of `generate`.
GENERATION = (
    "assistant_confidence_threshold",
    "assistant_early_exit",
    "assistant_ensemble_weight",
    "assistant_lookbehind",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_config",
    "cache_implementation",
    "compile_config",
    "constraints",
    "continuous_batching_config",
    "decoder_start_token_id",
    "disable_compile",
    "diversity_penalty",
    "do_sample",
    "dola_layers",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_id",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "force_words_ids",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "guidance_scale",
    "is_assistant",
    "length_penalty",
    "low_memory",
    "max_cache_len",
    "max_length",
    "max_matching_ngram_size",
    "max_new_tokens",
    "max_time",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "pad_token_id",
    "penalty_alpha",
    "prefill_chunk_size",
    "prompt_lookup_num_tokens",
    "remove_invalid_values",
    "renormalize_logits",
    "repetition_penalty",
    "return_dict_in_generate",
    "sequence_bias",
    "speculation_type",
    "stop_strings",
    "suppress_tokens",
    "target_lookbehind",
    "temperature",
    "token_healing",
    "top_h",
    "top_k",
    "top_p",
    "typical_p",
    "use_cache",
    "use_mtp",
    "watermarking_config",
)
# Those that change what `generate` returns, which a trainer could not read.
_RETURNED = (
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "return_dict_in_generate",
)
# Arguments of BitsAndBytesConfig.
QUANTIZATION = (
    "load_in_8bit",
    "load_in_4bit",
    "llm_int8_threshold",
    "llm_int8_skip_modules",
    "llm_int8_enable_fp32_cpu_offload",
    "llm_int8_has_fp16_weight",
    "bnb_4bit_compute_dtype",
    "bnb_4bit_quant_type",
    "bnb_4bit_use_double_quant",
    "bnb_4bit_quant_storage",
)


def check_names(config: RunConfig) -> Iterator[Problem]:
    """Every name must be one that transformers knows, and must work with the fields there are."""
    train = config.train
    yield from _unknown("train.optimizer", [train.optimizer], OPTIMIZERS)
    yield from _unknown("train.lr_scheduler", [train.lr_scheduler], SCHEDULERS)
    yield from _unknown("logging.loggers", config.logging.loggers, LOGGERS)
    for name in train.generation_kwargs or {}:
        yield from _unknown(f"train.generation_kwargs.{name}", [name], GENERATION)
        if name in _RETURNED:
            message = "the trainer reads the tokens, and nothing else"
            yield Problem(f"train.generation_kwargs.{name}", message, hint="leave it out")
    for name in config.model.quantization:
        yield from _unknown(f"model.quantization.{name}", [name], QUANTIZATION)
    for field, readers in _READERS.items():
        changed = getattr(train, field) != type(train).model_fields[field].default
        if changed and train.optimizer not in readers:
            message = f"the optimizer {train.optimizer!r} does not read it"
            yield Problem(f"train.{field}", message, hint="leave it out")
    if train.optimizer in _OF_PARTS:
        message = f"{train.optimizer!r} needs to be told for which modules, which has no field"
        yield Problem("train.optimizer", message, hint="use another one, such as adamw_torch")
    if train.lr_scheduler in _WITH_ARGUMENTS:
        message = f"{train.lr_scheduler!r} needs arguments, which have no field"
        yield Problem("train.lr_scheduler", message, hint="use another one, such as cosine")
    if train.lr_scheduler == "polynomial" and train.learning_rate <= _LAST_RATE:
        message = f"'polynomial' ends at {_LAST_RATE:g}, and begins at {train.learning_rate:g}"
        yield Problem("train.lr_scheduler", message, hint="raise `train.learning_rate`")
    if train.lr_scheduler in _BY_EVALUATION and train.eval_strategy == "no":
        message = f"{train.lr_scheduler!r} goes by evaluations, and there are none"
        yield Problem("train.lr_scheduler", message, hint="set `eval_datasets`")


def _unknown(path: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"known: {', '.join(sorted(known))}"
            yield Problem(path, f"there is no {name!r}", hint=hint)
