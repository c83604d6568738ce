"""Small encoders whose hidden states, and language models whose probabilities, are known by hand.

Each is a real model in the format of the hub (a BERT of one layer, a Qwen3 without any) whose
weights are set, not trained.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from aligntune.testing.models import no_bars

__all__ = ["make_bigram_model", "make_encoder"]

_SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")


def make_encoder(
    path: str | Path,
    words: Mapping[str, Sequence[float]],
    *,
    context: float = 0.0,
    positions: int = 512,
) -> Path:
    """Write an encoder of words and its tokenizer to a folder, and return the folder.

    The hidden state of a word with the vector v is (v, -v), brought to variance 1; the cosine of
    two of them is that of the vectors. Special tokens have a hidden state of 0. Words that are not
    listed are all one word, at right angles to the others. With `context`, that share of the mean
    of the hidden states of all tokens is added to each, and the sum brought to variance 1 again.
    Letters' case and punctuation do not matter.

    `words`: word -> vector. `positions`: the most tokens that it reads.

    Raises:
        ValueError: if vectors differ in length.
    """
    sizes = {len(vector) for vector in words.values()}
    if len(sizes) != 1:
        raise ValueError(f"vectors have {sorted(sizes)} numbers; all must have as many")
    table = {word.lower(): [*map(float, vector), 0.0] for word, vector in words.items()}
    path = Path(path)
    with no_bars():
        _encoder(table, sizes.pop() + 1, context, positions).save_pretrained(path)
    _tokenizer(list(table), positions, "[CLS] $A [SEP]").save_pretrained(path)
    return path


def _encoder(
    table: Mapping[str, Sequence[float]], half: int, context: float, positions: int
) -> Any:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(_SPECIAL) + len(table),
        hidden_size=2 * half,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=2,
        max_position_embeddings=positions,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        model = BertModel(config)
    model.requires_grad_(requires_grad=False)
    for name, weight in model.named_parameters():
        weight.fill_(1.0 if name.endswith("LayerNorm.weight") else 0.0)
    nothing = [0.0] * half
    rows = [nothing, nothing, nothing, [*nothing[1:], 1.0], *map(list, table.values())]
    vectors = torch.tensor(rows)
    model.embeddings.word_embeddings.weight.copy_(torch.cat([vectors, -vectors], dim=1))
    layer: Any = model.encoder.layer[0]
    # Queries and keys are 0, so that each token attends to all tokens alike.
    layer.attention.self.value.weight.copy_(torch.eye(2 * half))
    layer.attention.output.dense.weight.copy_(torch.eye(2 * half) * context)
    return model


def make_bigram_model(
    path: str | Path, text: str, *, smoothing: float = 0.1, positions: int = 512
) -> Path:
    """Write a language model that has counted the pairs of words of a text; return the folder.

    p(b | a) = (count of "a b" + smoothing) / (count of a + smoothing · V), over V tokens: the words
    of the text and the tokens `<|pad|>`, `<|end|>` (before the text and after each line) and
    `<|unknown|>`. Letters' case and punctuation do not matter.

    `smoothing`: above 0. `positions`: the most tokens that it reads.

    Raises:
        ValueError: if the text has no words, or smoothing is not above 0.
    """
    if not smoothing > 0:
        raise ValueError(f"smoothing is {smoothing}; it must be above 0")
    special = ("<|pad|>", "<|end|>", "<|unknown|>")
    lines = [_words(line) for line in text.splitlines()]
    tokens = [*special, *dict.fromkeys(word for line in lines for word in line)]
    if len(tokens) == len(special):
        raise ValueError("the text has no words")
    number = {token: index for index, token in enumerate(tokens)}
    pairs: Counter[tuple[int, int]] = Counter()
    for line in filter(None, lines):
        ids = [number[token] for token in ("<|end|>", *line, "<|end|>")]
        pairs.update(pairwise(ids))
    path = Path(path)
    with no_bars():
        _bigrams(len(tokens), pairs, smoothing, positions).save_pretrained(path)
    _tokenizer(tokens[len(special) :], positions, None, special).save_pretrained(path)
    return path


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _bigrams(
    size: int, pairs: Mapping[tuple[int, int], int], smoothing: float, positions: int
) -> Any:
    """No layer stands between the one-hot vector of a token and the logits of the next."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    width = size + size % 2
    config = Qwen3Config(
        vocab_size=size,
        hidden_size=width,
        intermediate_size=2,
        num_hidden_layers=0,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=2,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        model = Qwen3ForCausalLM(config)
    model.requires_grad_(requires_grad=False)
    model.model.embed_tokens.weight.copy_(torch.eye(size, width))
    counts = torch.full((size, size), smoothing, dtype=torch.float64)
    for (a, b), count in pairs.items():
        counts[a, b] += count
    logs = (counts / counts.sum(dim=1, keepdim=True)).log()
    # The norm makes the square root of the width of the 1 in a one-hot vector.
    model.lm_head.weight.zero_()
    model.lm_head.weight[:, :size] = (logs.T / math.sqrt(width)).float()
    return model


def _tokenizer(
    words: Sequence[str],
    positions: int,
    form: str | None,
    special: Sequence[str] = _SPECIAL,
) -> Any:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate([*special, *words])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=special[-1]))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+"), behavior="removed", invert=True)
    if form is None:
        named: dict[str, Any] = {"bos_token": special[1], "eos_token": special[1]}
    else:
        core.post_processor = processors.TemplateProcessing(
            single=form,
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
        )
        named = {"cls_token": special[1], "sep_token": special[2]}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token=special[0],
        unk_token=special[-1],
        model_max_length=positions,
        model_input_names=["input_ids", "attention_mask"],
        **named,
    )
