"""What the manifest says of the tasks that come with this distribution; imports nothing."""

from __future__ import annotations

from typing import Any

__all__ = ["TASKS"]

_WHERE = "aligntune_eval.tasks.builtin"
_CHECKED: dict[str, Any] = {
    "packages": ("aligntune-rewards>=0.1", "math-verify>=0.9"),
    "install": "aligntune-rewards[math]",
}
_RUN: dict[str, Any] = {"packages": ("aligntune-rewards>=0.1",), "install": "aligntune-rewards"}
_TEXT: dict[str, Any] = {"install": "aligntune-eval[text]"}

TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "gsm8k": (
        f"{_WHERE}.math:GSM8K",
        {
            "summary": "Grade-school problems, 5 worked examples, share of right final numbers",
            "category": "math",
            **_CHECKED,
        },
    ),
    "math500": (
        f"{_WHERE}.math:MATH500",
        {
            "summary": "500 competition problems (Lightman et al. 2023), share of right answers",
            "category": "math",
            **_CHECKED,
        },
    ),
    "humaneval": (
        f"{_WHERE}.code:HUMANEVAL",
        {
            "summary": "164 functions to complete from their docstring (Chen et al. 2021), pass@1",
            "category": "code",
            **_RUN,
        },
    ),
    "mbpp": (
        f"{_WHERE}.code:MBPP",
        {
            "summary": "Short Python programs (Austin et al. 2021), 3 examples, pass@1",
            "category": "code",
            **_RUN,
        },
    ),
    "arc_easy": (
        f"{_WHERE}.choice:ARC_EASY",
        {
            "summary": "Easy school science questions (Clark et al. 2018), by likelihood",
            "category": "question_answering",
        },
    ),
    "arc_challenge": (
        f"{_WHERE}.choice:ARC_CHALLENGE",
        {
            "summary": "School science questions that are hard to guess, by likelihood",
            "category": "question_answering",
        },
    ),
    "mmlu": (
        f"{_WHERE}.choice:MMLU",
        {
            "summary": "Questions of 57 subjects (Hendrycks et al. 2021), 5-shot, by likelihood",
            "category": "question_answering",
        },
    ),
    "wikitext": (
        f"{_WHERE}.text:WIKITEXT",
        {
            "summary": "WikiText-2 (Merity et al. 2016), perplexity of whole articles",
            "category": "language_modeling",
        },
    ),
    "cnn_dailymail": (
        f"{_WHERE}.text:CNN_DAILYMAIL",
        {
            "summary": "News articles with highlights (See et al. 2017), ROUGE of the summary",
            "category": "summarization",
            "packages": ("rouge-score>=0.1.2",),
            **_TEXT,
        },
    ),
    "wmt16_en_de": (
        f"{_WHERE}.text:WMT16_EN_DE",
        {
            "summary": "News from English to German (WMT 2016), BLEU and chrF",
            "category": "translation",
            "packages": ("sacrebleu>=2.5",),
            **_TEXT,
        },
    ),
    "hh_rlhf": (
        f"{_WHERE}.preference:HH_RLHF",
        {
            "summary": "Dialogues (Bai et al. 2022), share where the chosen answer is likelier",
            "category": "preference",
        },
    ),
}
