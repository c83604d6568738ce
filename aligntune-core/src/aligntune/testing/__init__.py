"""For tests: small real models and data, made here; what a reward and an evaluator must be."""

from __future__ import annotations

from aligntune.testing.classifiers import make_classifier
from aligntune.testing.conformance import RewardConformance, reward_conformance
from aligntune.testing.data import addition_rows, preference_rows, write_jsonl
from aligntune.testing.encoders import make_bigram_model, make_encoder
from aligntune.testing.evaluators import EvaluatorConformance, evaluator_conformance
from aligntune.testing.hub import Hub
from aligntune.testing.judge import Fault, JudgeServer
from aligntune.testing.models import CHAT_TEMPLATE, make_model, make_tokenizer

__all__ = [
    "CHAT_TEMPLATE",
    "EvaluatorConformance",
    "Fault",
    "Hub",
    "JudgeServer",
    "RewardConformance",
    "addition_rows",
    "evaluator_conformance",
    "make_bigram_model",
    "make_classifier",
    "make_encoder",
    "make_model",
    "make_tokenizer",
    "preference_rows",
    "reward_conformance",
    "write_jsonl",
]
