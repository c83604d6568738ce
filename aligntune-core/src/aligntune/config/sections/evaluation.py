"""Evaluation: what is measured, on what, and how completions are made for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field, field_validator

from aligntune.config.section import Section, setting

__all__ = ["EvaluationConfig", "EvaluatorConfig"]


class EvaluatorConfig(Section):
    """One evaluator and its parameters."""

    type: str = setting(..., min_length=1)
    """Name of a registered evaluator."""
    params: dict[str, Any] = setting({})
    """Its parameters."""


class EvaluationConfig(Section):
    """What is measured on the evaluation data, before, during and after training."""

    evaluators: list[EvaluatorConfig] = Field(default_factory=list)
    """Registered evaluators, by name or as `{type, params}`."""
    tasks: list[str] = Field(default_factory=list)
    """Evaluation tasks, by name or file, measured before and after training and when asked."""
    before_training: bool = setting(False)
    """Measure the model as it was loaded, too."""
    max_samples: int | None = setting(None, ge=1)
    """Evaluate on at most so many rows."""
    batch_size: int = setting(16, ge=1)
    """Rows per forward pass or generation."""
    max_new_tokens: int = setting(256, ge=1)
    """Longest completion, in tokens."""
    temperature: float = setting(0.0, ge=0)
    """Sampling temperature; 0 takes the likeliest token."""
    top_p: float = setting(1.0, gt=0, le=1)
    """Nucleus sampling."""
    top_k: int = setting(0, ge=0)
    """Sample among so many of the likeliest tokens; 0 for all."""
    num_samples: int = setting(1, ge=1)
    """Completions of each prompt; more than one asks for a temperature."""
    stop: list[str] = Field(default_factory=list)
    """Texts that end a completion, which does not contain them."""

    compute_perplexity: bool = setting(True, rl=False)
    """Perplexity. Unset, where there is evaluation data and the evaluator is installed."""
    compute_rouge: bool = setting(True, rl=False)
    """ROUGE of completions against references; unset, as `compute_perplexity`."""
    compute_bleu: bool = setting(True, rl=False)
    """BLEU of completions against references; unset, as `compute_perplexity`."""
    compute_meteor: bool = setting(False)
    """METEOR of completions against references."""
    compute_bertscore: bool = setting(False)
    """BERTScore of completions against references."""
    compute_semantic_similarity: bool = setting(False)
    """Cosine similarity of the embeddings of completions and references."""
    compute_codebleu: bool = setting(False)
    """CodeBLEU of completions against references."""
    custom_metrics: list[Callable[..., Any] | str] | None = setting(None)
    """Functions of predictions and references that return a number, or numbers by name; or their
    importable names `package.module:function`."""
    max_samples_for_quality_metrics: int = setting(50, ge=1)
    """Rows that metrics on completions are computed on."""
    bertscore_model: str = setting("microsoft/deberta-xlarge-mnli", min_length=1)
    """Model of BERTScore."""
    semantic_similarity_model: str = setting("sentence-transformers/all-MiniLM-L6-v2", min_length=1)
    """Model of the semantic similarity."""
    dpo_eval_enabled: bool = setting(False)
    """DPO: complete prompts of the evaluation data, without and with examples, and compare."""
    dpo_eval_max_samples: int | None = setting(None, ge=1)
    """DPO: most rows that are read for this."""
    dpo_zero_shot_max_samples: int = setting(50, ge=1)
    """DPO: rows that are completed without examples."""
    dpo_few_shot_max_samples: int = setting(30, ge=1)
    """DPO: rows that are completed after examples."""
    dpo_few_shot_examples_text: str | None = setting(None)
    """DPO: the examples."""

    @field_validator("evaluators", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if isinstance(value, list):
            return [{"type": item} if isinstance(item, str) else item for item in value]
        return value
