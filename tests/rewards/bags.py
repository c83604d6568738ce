"""A classifier whose logits follow a formula: a BERT of one layer that attends to all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "good", "bad", "word", "ask")
_VECTORS = {"good": (1, 1, -1, -1), "bad": (-1, -1, 1, 1)}
_OTHER = (1, -1, 1, -1)
HEAD = np.array([[2.0, 1.0, -1.0, 0.5], [-1.0, 0.0, 1.0, 2.0], [0.5, -2.0, 0.0, 1.0]])
BIAS = np.array([0.25, -0.5, 0.125])

_PLACE = np.array([0.05, -0.1, 0.15, 0.0])  # what each place adds to the vector of its token

Make = Callable[..., str]


def expected_logits(tokens: Sequence[str], labels: int = 1) -> Any:
    """The logits that the model gives these tokens: its first token sees the mean of all."""
    places = np.arange(len(tokens))[:, None] * _PLACE
    vectors = _normal(np.array([_VECTORS.get(token, _OTHER) for token in tokens]) + places)
    hidden = _normal(vectors[0] + vectors.mean(axis=0))
    return HEAD[:labels] @ np.tanh(hidden) + BIAS[:labels]


def _normal(vectors: Any) -> Any:
    """Layer normalization over the last axis."""
    mean, deviation = vectors.mean(-1, keepdims=True), vectors.std(-1, keepdims=True)
    return (vectors - mean) / deviation


def save_bag(folder: str, labels: Sequence[str], **config: Any) -> str:
    """Write the model with these labels, and its tokenizer, to a folder; returns the folder."""
    _bag(len(labels), dict(enumerate(labels)), config).save_pretrained(folder)
    _words().save_pretrained(folder)
    return folder


def _words() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=16,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _bag(count: int, labels: dict[int, str], more: dict[str, Any]) -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        max_position_embeddings=16,
        hidden_dropout_prob=0.5,  # of no effect in evaluation mode
        pad_token_id=0,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
        **more,
    )
    model = BertForSequenceClassification(config)
    model.requires_grad_(requires_grad=False)
    one = torch.eye(4)
    for name, weight in model.named_parameters():
        weight.fill_(1.0 if name.endswith("LayerNorm.weight") else 0.0)
    bert: Any = model.bert
    for index, word in enumerate(WORDS):
        bert.embeddings.word_embeddings.weight[index] = torch.tensor(_VECTORS.get(word, _OTHER))
    places = torch.tensor(np.arange(16)[:, None] * _PLACE)
    bert.embeddings.position_embeddings.weight.copy_(places)
    layer = bert.encoder.layer[0]
    for linear in (layer.attention.self.value, layer.attention.output.dense, bert.pooler.dense):
        linear.weight.copy_(one)
    model.classifier.weight.copy_(torch.tensor(HEAD[:count]))
    model.classifier.bias.copy_(torch.tensor(BIAS[:count]))
    return model
