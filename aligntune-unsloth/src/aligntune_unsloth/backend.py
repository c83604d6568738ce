"""The Unsloth backend: imports Unsloth before what it patches, and loads the policy through it."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligntune.errors import UnavailableError
from aligntune_unsloth.checks import unusable
from aligntune_unsloth.parameters import BITS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from aligntune.plan import Plan
    from aligntune_trl.backend import Head, Policy

__all__ = ["UnslothBackend"]


class UnslothBackend:
    """Models loaded through `FastLanguageModel`.

    Unsloth patches TRL, transformers and peft for the whole process, so one process runs one
    backend.
    """

    name = "unsloth"

    def prepare(self, plan: Plan) -> None:
        """Import Unsloth, first of all.

        Raises:
            UnavailableError: if a library that it patches was imported before it.
        """
        if (reason := unusable()) is not None:
            raise UnavailableError(f"the backend 'unsloth' cannot work here: {reason}")
        # Unless told otherwise, Unsloth writes its generated trainers below the working directory.
        cache = Path(tempfile.gettempdir()) / f"aligntune-unsloth-{getpass.getuser()}"
        os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(cache))
        import unsloth  # noqa: F401

    def load(self, plan: Plan, tokenizer: PreTrainedTokenizerBase, head: Head) -> Policy:
        """Load the policy through Unsloth, with its LoRA adapter if one is trained.

        Unsloth changes what it is not told (4-bit loading, gradient checkpointing, sequence
        length), so everything is said.
        """
        if head.task != "CAUSAL_LM":
            return _load_with_head(plan, tokenizer, head)
        import torch
        from unsloth import FastLanguageModel

        from aligntune_trl.arguments import argument_values
        from aligntune_trl.backend import Policy, lora_arguments, start, torch_dtype

        settings, train = plan.config.model, plan.config.train
        vllm: dict[str, Any] = {}
        if train.fast_inference:
            memory = train.vllm_gpu_memory_utilization
            vllm = {"fast_inference": True, "gpu_memory_utilization": memory}
        checkpointing = settings.gradient_checkpointing
        model, _ = FastLanguageModel.from_pretrained(
            model_name=start(plan),
            max_seq_length=settings.max_seq_length,
            dtype=getattr(
                torch, torch_dtype(settings.precision, trained=not settings.peft_enabled)
            ),
            **{name: settings.quantization.get(name, False) for name in BITS},
            full_finetuning=not settings.peft_enabled,
            trust_remote_code=settings.trust_remote_code,
            use_gradient_checkpointing=checkpointing,
            **vllm,
            **argument_values(plan, "model_init_kwargs"),
            **settings.model_init_kwargs,
        )
        if settings.peft_enabled:
            model = FastLanguageModel.get_peft_model(
                model,
                random_state=train.seed,
                use_gradient_checkpointing=checkpointing,
                **lora_arguments(plan, "get_peft_model"),
            )
        arguments: dict[str, Any] = {"gradient_checkpointing": checkpointing}
        return Policy(model, tokenizer, arguments=arguments)


def _load_with_head(plan: Plan, tokenizer: PreTrainedTokenizerBase, head: Head) -> Policy:
    """Let transformers load a model that gives labels; Unsloth's trainer trains it.

    Without a GPU Unsloth's own loader makes language models and nothing else.
    """
    from peft import LoraConfig

    from aligntune_trl.backend import Policy, load_with_head, lora_arguments

    peft = None
    if plan.config.model.peft_enabled:
        peft = LoraConfig(task_type=head.task, **lora_arguments(plan, "get_peft_model"))
    model = load_with_head(plan, tokenizer, head)
    arguments = {"gradient_checkpointing": plan.config.model.gradient_checkpointing}
    return Policy(model, tokenizer, None, peft, arguments)
