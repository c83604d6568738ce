"""Names that configurations may use; every enumeration takes its members and their strings.

`BackendType` has two meanings in the documentation (the training backend and the distributed
strategy): one enumeration carries both sets of members, and each consumer accepts only its own.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "AlgorithmType",
    "BackendType",
    "PrecisionType",
    "RLAlgorithm",
    "RewardType",
    "TaskType",
    "TrainingType",
]


class _Names(StrEnum):
    """A string enumeration that is found by value or by member name, in any case."""

    @classmethod
    def _missing_(cls, value: object) -> _Names | None:
        if isinstance(value, str):
            wanted = value.strip().lower().replace("-", "_")
            for member in cls:
                if wanted in (member.value, member.name.lower()):
                    return member
        return None


class TrainingType(_Names):
    """The two kinds of run."""

    SFT = "sft"
    RL = "rl"


class AlgorithmType(_Names):
    """Names that an algorithm goes by; any registered algorithm may be named by its string too."""

    SFT = "sft"
    DPO = "dpo"
    PPO = "ppo"
    GRPO = "grpo"
    GSPO = "gspo"
    DAPO = "dapo"
    DRGRPO = "dr_grpo"
    NMGRPO = "neural_mirror_grpo"
    METAES = "meta_es"
    RLOO = "rloo"
    KTO = "kto"
    ORPO = "orpo"
    SIMPO = "simpo"
    ONLINE_DPO = "online_dpo"


RLAlgorithm = AlgorithmType


class BackendType(_Names):
    """Training backends (trl, unsloth, auto) and distributed strategies (the others)."""

    TRL = "trl"
    UNSLOTH = "unsloth"
    AUTO = "auto"
    SINGLE = "single"
    DDP = "ddp"
    FSDP = "fsdp"
    DEEPSPEED = "deepspeed"


class PrecisionType(_Names):
    """Number formats of weights and training."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"
    AUTO = "auto"


class TaskType(_Names):
    """What rows are for."""

    INSTRUCTION_FOLLOWING = "instruction_following"
    SUPERVISED_FINE_TUNING = "supervised_fine_tuning"
    TEXT_CLASSIFICATION = "text_classification"
    TOKEN_CLASSIFICATION = "token_classification"  # noqa: S105
    TEXT_GENERATION = "text_generation"
    CHAT_COMPLETION = "chat_completion"
    CONVERSATION = "conversation"


class RewardType(_Names):
    """Built-in reward names; a configuration may name any other registered reward by its string."""

    ACCURACY = "accuracy"
    MATH_ACCURACY = "math_accuracy"
    LENGTH = "length"
    STRUCTURE = "structure"
    EXACT_MATCH = "exact_match"
    CUSTOM = "custom"
    REWARD_MODEL = "reward_model"
    HELPFULNESS = "helpfulness"
    COHERENCE = "coherence"
    SAFETY = "safety"
    TOXICITY = "toxicity"
    HARMFUL_CONTENT = "harmful_content"
    PRIVACY = "privacy"
    BLEU = "bleu"
    CHRF = "chrf"
    ROUGE = "rouge"
    METEOR = "meteor"
    CODE_SYNTAX = "code_syntax"
    SQL_EXECUTION = "sql_execution"
    CODE_EXECUTION = "code_execution"
    CODE_QUALITY = "code_quality"
    CODEBLEU = "codebleu"
    MULTIPLE_CHOICE = "multiple_choice"
    REGEX_MATCH = "regex_match"
    LLM_JUDGE = "llm_judge"
    JSON_SCHEMA = "json_schema"
    READABILITY = "readability"
    DIVERSITY = "diversity"
    REWARD_ENSEMBLE = "reward_ensemble"
    SENTIMENT = "sentiment"
    TONE = "tone"
    FORMALITY = "formality"
    BIAS = "bias"
    PROFANITY = "profanity"
    REFUSAL = "refusal"
    OVERLONG_PENALTY = "overlong_penalty"
    REPETITION_PENALTY = "repetition_penalty"
    CONCISENESS = "conciseness"
    COSINE_LENGTH = "cosine_length"
    LANGUAGE = "language"
    BERTSCORE = "bertscore"
    SEMANTIC_SIMILARITY = "semantic_similarity"
    FACTUAL_CORRECTNESS = "factual_correctness"
    FLUENCY = "fluency"
    RELEVANCE = "relevance"
    INSTRUCTION_FOLLOWING = "instruction_following"
