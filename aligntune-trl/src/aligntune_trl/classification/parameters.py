"""Where every field goes in text and token classification on transformers' Trainer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aligntune.errors import Problem
from aligntune.evaluation.switches import SWITCHES
from aligntune.plan.parameters import Fixed, Ours, ParameterTable, Refused, To, Use
from aligntune_trl.fields import batch, checking
from aligntune_trl.fields.bends import BENDS
from aligntune_trl.fields.machine import check_machine
from aligntune_trl.fields.training import trainer_uses

if TYPE_CHECKING:
    from aligntune.config import RunConfig
    from aligntune.hardware import Hardware
    from aligntune.plan.parameters import Bend

__all__ = ["text_classification_table", "token_classification_table"]

_OWNER = "TrainingArguments"
_SAYS_NOTHING = "a classifier completes nothing; its accuracy and F1 are measured"
_NO_TEMPLATE = Refused("a classifier reads the text as it is, without a chat template")
_STREAM = "all labels are looked at before the model loads; that takes all rows"


def text_classification_table(model: dict[str, Use]) -> ParameterTable:
    """The table of text classification, given the fields of the model section."""
    return _table(model, "AutoModelForSequenceClassification")


def token_classification_table(model: dict[str, Use]) -> ParameterTable:
    """The table of token classification, given the fields of the model section."""
    return _table(model, "AutoModelForTokenClassification")


def _table(model: dict[str, Use], loader: str) -> ParameterTable:
    uses: dict[str, Use] = {
        **trainer_uses(_OWNER, _loaded_by(model, loader)),
        "model.num_labels": Ours("how many labels the head tells apart; checked against the data"),
        "model.max_seq_length": Ours("the tokens of a text that are read"),
        "train.truncation_mode": Ours("which end of an over-long text is read"),
        "train.pad_to_multiple_of": Ours("how batches are padded"),
        "train.dataset_num_proc": Ours("the processes that tokenize"),
        "train.label_smoothing_factor": Ours("the loss: e of its formula"),
        "train.group_by_length": To("train_sampling_strategy", _OWNER, convert=_sampling),
        "train.remove_unused_columns": Fixed(
            (True,), "the model is given tokens and labels, and no other column"
        ),
        "rewards.*": Refused("a classifier does not learn from rewards"),
        "datasets.streaming": Refused(_STREAM),
        "datasets.tools": _NO_TEMPLATE,
        "datasets.chat_template": _NO_TEMPLATE,
        "chat_template": _NO_TEMPLATE,
        "logging.sample_logging.enabled": Refused(_SAYS_NOTHING),
        "logging.sample_logging.*": Refused(_SAYS_NOTHING),
        "evaluation.*": Refused(_SAYS_NOTHING),
        **_evaluation(),
        "evaluation.before_training": Ours("whether accuracy and F1 are measured then, too"),
    }
    checks = (
        *checking.checks(),
        _check_streams,
        batch.check_checkpoints,
        batch.check_processes,
    )
    return ParameterTable(uses, (*_BENDS, *BENDS), checks, batch.sft_lines, (check_machine,))


def _sampling(by_length: bool) -> str:
    return "group_by_length" if by_length else "random"


def _loaded_by(model: dict[str, Use], loader: str) -> dict[str, Use]:
    """The rows of the model section, which say what loads the model."""

    def said(use: Use) -> Use:
        if not isinstance(use, Ours):
            return use
        return replace(use, how=use.how.replace("AutoModelForCausalLM", loader))

    return {path: said(use) for path, use in model.items()}


def _evaluation() -> dict[str, Use]:
    """What evaluators are told; those that are on unless they are switched off are off here."""
    names = (
        "max_samples",
        "batch_size",
        "max_new_tokens",
        "temperature",
        "top_p",
        "top_k",
        "num_samples",
        "stop",
        "max_samples_for_quality_metrics",
        "bertscore_model",
        "semantic_similarity_model",
        "custom_metrics",
        "tasks",
    )
    uses: dict[str, Use] = {f"evaluation.{name}": Refused(_SAYS_NOTHING) for name in names}
    return uses | {f"evaluation.{name}": Fixed((False,), _SAYS_NOTHING) for name in SWITCHES}


def _off(config: RunConfig, hardware: Hardware | None) -> tuple[Any, str] | None:
    return False, _SAYS_NOTHING


_BENDS: tuple[tuple[str, Bend], ...] = tuple((f"evaluation.{name}", _off) for name in SWITCHES)


def _check_streams(config: RunConfig) -> Iterable[Problem]:
    for index, data in enumerate(config.datasets):
        if data.streams and not data.streaming:
            message = f"a stream was passed: {_STREAM}"
            yield Problem(f"datasets.{index}.name", message, hint="pass a `Dataset`")
