"""A reward model from texts with scores: regression on the scores, and what it is worth.

With the mean m and the standard deviation s of the scores of the texts that are trained on,

    loss = mean over texts of (r(x) - (score(x) - m) / s)^2,

so that r keeps the scale of the scores, in standard deviations from their mean: a score that is
twice as far from the mean has twice the reward, which pairs would not keep.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from aligntune.errors import ConfigError, DataError, Problem
from aligntune.evaluation.state import undisturbed
from aligntune.hardware import Hardware
from aligntune_trl.bars import library_bars
from aligntune_trl.reward_modeling.correlation import spearman

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from aligntune.config import RewardModelTrainingConfig

__all__ = ["HELD_OUT", "fit", "held_out", "standardised"]

logger = logging.getLogger("aligntune")

HELD_OUT = 0.2  # share of the texts, and at least so many of them:
FEWEST = 3  # of two, every order is either right or wrong
SEED = 42
WARMUP = 0.1
WEIGHT_DECAY = 0.01
MAX_GRAD_NORM = 1.0


@dataclass(frozen=True)
class Text:
    """The tokens of a text, and its score."""

    ids: list[int]
    score: float


def fit(
    config: RewardModelTrainingConfig, scores: Sequence[float], folder: Path, *, trained: bool
) -> dict[str, Any]:
    """Train a reward model on scored texts and save it in `folder`, ready to be a reward.

    Args:
        config: the settings; `config.training_texts` are the texts.
        scores: one per text.
        folder: an empty folder.
        trained: whether `config.base_model_name` is a reward model already.

    Returns:
        what was measured on the texts that were held out, see `_report`.

    Raises:
        ConfigError: if the base model cannot be loaded, or is no reward model where it should be.
        DataError: if the texts that are trained on all have one score.
    """
    import torch

    with undisturbed(None), library_bars(shown=False), _no_report_of_the_head():
        torch.manual_seed(SEED)
        model, tokenizer = _load(config.base_model_name, trained=trained)
        texts = [
            Text(_encoded(tokenizer, text, config.max_length), score)
            for text, score in zip(config.training_texts, scores, strict=True)
        ]
        apart = held_out(config.training_texts)
        training = [text for text, out in zip(texts, apart, strict=True) if not out]
        measured = [text for text, out in zip(texts, apart, strict=True) if out]
        mean, deviation = standardised([text.score for text in training])
        device = torch.device(Hardware.detect().device)
        model.to(device)
        losses = _train(model, training, mean, deviation, config)
        said = list(_said(model, measured, config.batch_size))
        tokenizer.init_kwargs["reward_inputs"] = "completion"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    report = {
        **_report(measured, said, mean, deviation),
        "trained_on": len(training),
        "losses": losses,
    }
    _tell(report)
    return report


@contextmanager
def _no_report_of_the_head() -> Iterator[None]:
    """Keep transformers from warning of a new head, which is what is to be trained; we name it."""
    loading = logging.getLogger("transformers.modeling_utils")
    loading.addFilter(_is_no_report)
    try:
        yield
    finally:
        loading.removeFilter(_is_no_report)


def _is_no_report(record: logging.LogRecord) -> bool:
    return "LOAD REPORT" not in record.getMessage()


def held_out(texts: Sequence[str], share: float = HELD_OUT) -> list[bool]:
    """Which texts are not trained on; equal texts stay together.

    Raises:
        DataError: if there are too few different texts to hold some out and train on others.
    """
    different = list(dict.fromkeys(texts))
    count = max(FEWEST, round(share * len(different)))
    if len(different) < 2 * FEWEST:
        raise DataError(
            f"{len(texts)} texts of which {len(different)} are different: too few to train on "
            f"some and measure on {FEWEST} others"
        )
    random.Random(SEED).shuffle(different)  # noqa: S311 (no secret)
    chosen = set(different[:count])
    return [text in chosen for text in texts]


def standardised(scores: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (of the population) of the scores that are trained on.

    Raises:
        DataError: if they are all equal.
    """
    deviation = pstdev(scores)
    if deviation == 0:
        raise DataError(
            f"every text that is trained on has the score {scores[0]:g}; bring other texts"
        )
    return fmean(scores), deviation


def _load(name: str, *, trained: bool) -> tuple[Any, Any]:
    import transformers

    path = "base_model_name"
    auto: Any = transformers.AutoModelForSequenceClassification
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(name)
        # A head that is there and has another size is not replaced by a random one.
        kwargs: dict[str, Any] = {} if trained else {"num_labels": 1}
        model, found = auto.from_pretrained(
            name, dtype="float32", output_loading_info=True, **kwargs
        )
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0]
        raise ConfigError(Problem(path, f"{name!r} cannot be loaded: {said}")) from error
    if trained and (found["missing_keys"] or model.config.num_labels != 1):
        labels, lacks = model.config.num_labels, ", ".join(sorted(found["missing_keys"])[:3])
        message = f"{name!r} is no reward model: "
        message += f"it lacks {lacks}" if lacks else f"it has {labels} labels"
        hint = "name one, or use source_type custom_trained"
        raise ConfigError(Problem(path, message, hint=hint))
    if found["missing_keys"]:
        logger.info("new in %s: %s", name, ", ".join(sorted(found["missing_keys"])))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def _encoded(tokenizer: Any, text: str, longest: int) -> list[int]:
    """As the reward `reward_model` reads a completion: what is too long loses its beginning."""
    tokenizer.truncation_side = "left"
    ids = list(tokenizer(text, truncation=True, max_length=longest)["input_ids"])
    return ids or [tokenizer.eos_token_id]


def _train(
    model: Any,
    texts: Sequence[Text],
    mean: float,
    deviation: float,
    config: RewardModelTrainingConfig,
) -> list[float]:
    """AdamW with a cosine schedule after a warmup, as runs have it; the mean loss of each epoch."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    rows = config.batch_size * config.gradient_accumulation_steps
    steps = config.num_epochs * math.ceil(len(texts) / rows)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=WEIGHT_DECAY
    )
    # A warmup begins at 0, so the one step of a short training has none.
    schedule = get_cosine_schedule_with_warmup(optimizer, int(WARMUP * steps), steps)
    order = random.Random(SEED)  # noqa: S311 (no secret)
    losses = []
    model.train()
    for _ in range(config.num_epochs):
        shuffled = order.sample(list(texts), len(texts))
        total = 0.0
        for start in range(0, len(shuffled), rows):
            step = shuffled[start : start + rows]
            for part in _batches(step, config.batch_size):
                aim = torch.tensor([(text.score - mean) / deviation for text in part])
                errors = (_rewards(model, part) - aim.to(model.device)) ** 2
                torch.autograd.backward(errors.sum() / len(step))
                total += errors.sum().item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        losses.append(total / len(texts))
    return losses


def _rewards(model: Any, texts: Sequence[Text]) -> Tensor:
    """The model's reward of each text, shape (texts,), float32."""
    import torch

    longest = max(len(text.ids) for text in texts)
    pad = model.config.pad_token_id
    ids = torch.tensor([text.ids + [pad] * (longest - len(text.ids)) for text in texts])
    mask = torch.tensor([[1] * len(t.ids) + [0] * (longest - len(t.ids)) for t in texts])
    device: torch.device = model.device
    with torch.autocast(device.type, torch.bfloat16, enabled=Hardware.detect().bf16):
        out = model(input_ids=ids.to(device), attention_mask=mask.to(device))
    logits: Tensor = out.logits[:, 0].float()
    return logits


def _said(model: Any, texts: Sequence[Text], size: int) -> Iterator[float]:
    import torch

    model.eval()
    for part in _batches(texts, size):
        with torch.no_grad():
            yield from _rewards(model, part).tolist()


def _batches(texts: Sequence[Text], size: int) -> Iterator[Sequence[Text]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _report(
    texts: Sequence[Text], said: Sequence[float], mean: float, deviation: float
) -> dict[str, Any]:
    """What the model is worth on texts that it was not trained on.

    `spearman`: rank correlation with the scores. `length_correlation`: of what the model says with
    the length in tokens, and `length_correlation_of_scores` of the scores: a model that has learned
    more of length than the rewards have of it is not to be trusted. `mse`: in squared standard
    deviations, of which `mse_of_mean` is what saying the mean would have. None: nothing varies.
    """
    scores = [text.score for text in texts]
    lengths = [float(len(text.ids)) for text in texts]
    aims = [(score - mean) / deviation for score in scores]
    return {
        "held_out": len(texts),
        "spearman": spearman(said, scores),
        "length_correlation": spearman(said, lengths),
        "length_correlation_of_scores": spearman(scores, lengths),
        "mse": fmean((one - aim) ** 2 for one, aim in zip(said, aims, strict=True)),
        "mse_of_mean": fmean(aim**2 for aim in aims),
        "score_mean": mean,
        "score_deviation": deviation,
    }


def _tell(report: Mapping[str, Any]) -> None:
    def number(name: str) -> str:
        value = report[name]
        return "undefined" if value is None else f"{value:.3f}"

    logger.info(
        "the reward model on %d texts that were held out: rank correlation with the scores %s, "
        "with the length %s (of the scores with the length %s)",
        report["held_out"],
        number("spearman"),
        number("length_correlation"),
        number("length_correlation_of_scores"),
    )
