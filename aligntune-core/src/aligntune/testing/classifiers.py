"""Small sequence classifiers whose logits anybody can work out by hand.

Each is a real BERT in the format of the hub, of one layer, whose weights are set so that its logits
are a mean of weights of words. Nothing is trained and nothing is random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aligntune.testing.models import no_bars

__all__ = ["make_classifier"]

_SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
# Weights are this small beside the constant part of a vector, so that neither layer normalization
# nor tanh bends them by more than one part in ten thousand.
_SMALL = 3e-3
_APART = 60.0  # e^-60 of the attention goes to special tokens


def make_classifier(
    path: str | Path,
    labels: Sequence[str] = ("reward",),
    words: Mapping[str, float | Sequence[float]] | None = None,
    *,
    bias: float | Sequence[float] = 0.0,
    scale: float = 4.0,
    multi_label: bool = False,
    positions: int = 512,
) -> Path:
    """Write a classifier of words and its tokenizer to a folder, and return the folder.

    The logit of a label is `bias + scale * m`, where m is the mean, over the words of what it reads
    (of a text pair: of both), of their weights for this label. Letters' case and punctuation do not
    matter; words that are not listed weigh 0, and so does a text of none.

    `words`: word -> its weight for each label, within -1 to 1; a number counts for the first label.
    By default `good` weighs 1 and `bad` -1. `bias`: one number for each label, or one for all.
    `multi_label`: whether each label is judged by itself, as classifiers of toxicity do.
    `positions`: the most tokens that it reads.

    Raises:
        ValueError: if weights or biases are not one for each label, or weights exceed 1.
    """
    weights = {"good": 1.0, "bad": -1.0} if words is None else dict(words)
    table = {word.lower(): _row(word, given, len(labels)) for word, given in weights.items()}
    biases = [float(bias)] * len(labels) if isinstance(bias, int | float) else list(bias)
    if len(biases) != len(labels):
        raise ValueError(f"bias holds {len(biases)} numbers for {len(labels)} labels")
    model = _model(labels, table, biases, scale, positions)
    if multi_label:
        model.config.problem_type = "multi_label_classification"
    path = Path(path)
    with no_bars():
        model.save_pretrained(path)
    _tokenizer(list(table), positions).save_pretrained(path)
    return path


def _row(word: str, given: float | Sequence[float], count: int) -> list[float]:
    row = [float(given)] + [0.0] * (count - 1) if isinstance(given, int | float) else list(given)
    if len(row) != count or not all(abs(weight) <= 1.0 for weight in row):
        raise ValueError(
            f"words gives {word!r} {given!r}; it is a number from -1 to 1, or one for each of the "
            f"{count} labels"
        )
    return row


def _tokenizer(words: Sequence[str], positions: int) -> Any:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *words])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+"), behavior="removed", invert=True)
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token="[PAD]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        model_max_length=positions,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _model(
    labels: Sequence[str],
    table: Mapping[str, Sequence[float]],
    biases: Sequence[float],
    scale: float,
    positions: int,
) -> Any:
    """The model of these weights of words.

    A vector is (1, -1), then (1, -1) for a word or (-1, 1) for a special token, then each small
    weight and its negative: its mean is 0 and its size nearly constant, as normalization wants.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    count = len(labels)
    size = 4 + 2 * count
    config = BertConfig(
        vocab_size=len(_SPECIAL) + len(table),
        hidden_size=size,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=2,
        max_position_embeddings=positions,
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    with torch.random.fork_rng(devices=[]):
        model = BertForSequenceClassification(config)
    model.requires_grad_(requires_grad=False)
    for name, weight in model.named_parameters():
        weight.fill_(1.0 if name.endswith("LayerNorm.weight") else 0.0)
    bert: Any = model.bert
    rows = [[0.0] * count] * len(_SPECIAL) + [list(row) for row in table.values()]
    small = torch.tensor(rows) * _SMALL
    marks = torch.tensor([[1.0, -1.0, -1.0, 1.0]]).repeat(len(rows), 1)
    marks[_SPECIAL.index("[UNK]") :, 2:] *= -1
    bert.embeddings.word_embeddings.weight.copy_(torch.cat([marks, small, -small], dim=1))
    layer = bert.encoder.layer[0]
    attention = layer.attention.self
    gain = (size / 4) ** 0.5  # of the first normalization: the variance is 4 / size
    attention.query.bias[2] = _APART * size**0.5 / gain
    attention.key.weight[2, 2] = 0.5
    for i in range(4, size):  # only the weights are averaged; the residual brings the constants
        attention.value.weight[i, i] = layer.attention.output.dense.weight[i, i] = 1.0
    for i in range(count):
        bert.pooler.dense.weight[i, 4 + i] = 1.0
    # The residual of [CLS] has no weights, so two more normalizations leave `gain` as it is.
    model.classifier.weight[:, :count] = torch.eye(count) * scale / (_SMALL * gain)
    model.classifier.bias.copy_(torch.tensor(biases))
    return model
