"""Running text, summaries, translations."""

from __future__ import annotations

import re
from typing import Any

from aligntune.evaluation import EvalTask, TaskCategory

__all__ = ["CNN_DAILYMAIL", "WIKITEXT", "WMT16_EN_DE", "detokenized"]

# The steps of lm-eval's task of this name, in their order: what was set apart is put together.
_STEPS: tuple[tuple[str, str], ...] = (
    (r"s '", "s'"),
    (r"/' [0-9]/", r"/'[0-9]/"),
    (r" @-@ ", "-"),
    (r" @,@ ", ","),
    (r" @\.@ ", "."),
    *((rf" {re.escape(mark)} ", f"{mark} ") for mark in ":;.!?,"),
    (r"\(\s*([^\)]*?)\s*\)", r"(\1)"),
    (r"\[\s*([^\]]*?)\s*\]", r"[\1]"),
    (r"{\s*([^}]*?)\s*}", r"{\1}"),
    (r"\"\s*([^\"]*?)\s*\"", r'"\1"'),
    (r"'\s*([^']*?)\s*'", r"'\1'"),
    (r"= = = =", "===="),
    (r"= = =", "==="),
    (r"= =", "=="),
    (" \N{DEGREE SIGN} ", "\N{DEGREE SIGN}"),
    (r" \n", "\n"),
    (r"\n ", "\n"),
    (r" N ", " 1 "),
    (r" 's", "'s"),
)


def detokenized(row: dict[str, Any]) -> dict[str, Any]:
    """The page of a row as running text."""
    text: str = row["page"]
    for pattern, put in _STEPS:
        text = re.sub(pattern, put, text)
    return {"text": text}


WIKITEXT = EvalTask(
    name="wikitext",
    category=TaskCategory.LANGUAGE_MODELING,
    description="WikiText-2 (Merity et al. 2016), perplexity of whole articles",
    dataset="EleutherAI/wikitext_document_level",
    subset="wikitext-2-raw-v1",
    split="test",
    processing_fn=detokenized,
    metrics=("perplexity",),
)

CNN_DAILYMAIL = EvalTask(
    name="cnn_dailymail",
    category=TaskCategory.SUMMARIZATION,
    description="News articles with highlights (See et al. 2017), ROUGE of the summary",
    dataset="abisee/cnn_dailymail",
    subset="3.0.0",
    split="test",
    prompt="{{ article }}\n\nTL;DR:",
    reference="{{ highlights }}",
    fewshot_split="train",
    metrics=("rouge",),
    max_new_tokens=128,
)

WMT16_EN_DE = EvalTask(
    name="wmt16_en_de",
    category=TaskCategory.TRANSLATION,
    description="News from English to German (WMT 2016), BLEU and chrF",
    dataset="wmt/wmt16",
    subset="de-en",
    split="test",
    prompt="English phrase: {{ translation.en }}\nGerman phrase:",
    reference="{{ translation.de }}",
    fewshot_split="validation",
    metrics=("bleu", "chrf"),
    max_new_tokens=256,
    stop=("\n",),
)
