"""Every reward that is registered passes the kit that authors of rewards are given.

A reward gets its tests by being registered. What it needs beside the usual rows stands in `CASES`:
parameters (a small model, made here), or rows with the columns that it reads.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins
from aligntune.testing import (
    JudgeServer,
    RewardConformance,
    make_classifier,
    make_encoder,
    make_model,
    reward_conformance,
)

_FOLDER = tempfile.TemporaryDirectory()  # removed when this module is


@cache
def classifier(*labels: str) -> str:
    return str(make_classifier(Path(_FOLDER.name) / "-".join(labels), labels))


@cache
def language_model() -> str:
    return str(make_model(Path(_FOLDER.name) / "language", positions=128, initializer_range=0.3))


@cache
def encoder() -> str:
    words = {"good": [1.0, 0.0], "bad": [0.0, 1.0], "word": [0.6, 0.8], "city": [0.8, 0.6]}
    return str(make_encoder(Path(_FOLDER.name) / "encoder", words, context=0.5))


@cache
def judge() -> str:
    return JudgeServer(lambda text: 1 + len(text) % 10).base_url


def with_model(make: Callable[..., str], *labels: str) -> Callable[[], dict[str, Any]]:
    return lambda: {"model": make(*labels)}


JUDGED = [
    {"prompt": "Say something.", "text": text}
    for text in ("good", "bad bad", "a word that is good", "unknown", "good bad good")
]
COMPARED = [{**row, "reference": "a good word"} for row in JUDGED]
PROSE = [
    {"text": "The cat sat on the mat, because it was warm there and nobody minded it. " * 2},
    {"text": "again and again " * 40},
    {"text": "Notwithstanding extraordinary circumstances, institutional considerations prevail."},
    {"text": "Short."},
]
PROGRAM = "def add(left, right):\n    return left + right\n"
PROGRAMS = [
    {"text": PROGRAM, "reference": PROGRAM},
    {"text": f"Here it is:\n```python\n{PROGRAM}```", "reference": PROGRAM},
    {"text": "import os, sys\nx=lambda a:a\nfor i in range(3): print( i )", "reference": PROGRAM},
    {"text": "def add(left, right:\n    return", "reference": PROGRAM},
]
SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
OPTIONS = [
    {"text": "The answer is B.", "reference": "B", "choices": ["Rome", "Paris"]},
    {"text": r"\boxed{A}", "reference": "B", "choices": ["Rome", "Paris"]},
    {"text": "Paris", "reference": "B", "choices": ["Rome", "Paris"]},
]
MOODS = [
    {"text": "I love it. It is wonderful!"},
    {"text": "I hate it. It is awful."},
    {"text": "It is on the table."},
]
REFUSALS = [
    {"text": "I'm sorry, but I can't help with that.", "should_refuse": True},
    {"text": "Mix flour with water.", "should_refuse": False},
    {"text": "I cannot help with that.", "should_refuse": False},
]
LANGUAGES = [
    {"text": "This is a sentence that is written in English, as anybody can see."},
    {"text": "Das ist ein Satz, der auf Deutsch geschrieben wurde, wie jeder sieht."},
]
QUERIES = [
    {
        "text": text,
        "schema": "CREATE TABLE city (name TEXT); INSERT INTO city VALUES ('Rome'), ('Bonn');",
        "reference": "SELECT name FROM city",
    }
    for text in ("SELECT name FROM city", "SELECT name FROM city LIMIT 1", "no query")
]
TESTED = [
    {"text": text, "tests": ["assert add(1, 2) == 3", "assert add(2, 2) > 3"]}
    for text in (PROGRAM, PROGRAM.replace("+", "-"), f"```python\n{PROGRAM}```", "no program")
]

CASES: dict[str, dict[str, Any]] = {
    "bertscore": {"params": with_model(encoder), "rows": COMPARED},
    "bias": {"params": with_model(classifier, "unbiased", "biased"), "rows": JUDGED},
    "codebleu": {"rows": PROGRAMS},
    "code_execution": {"rows": TESTED},
    "code_quality": {"rows": PROGRAMS},
    "code_syntax": {"rows": PROGRAMS},
    "coherence": {"params": with_model(language_model)},
    "cosine_length": {"params": {"max_length": 20, "unit": "words"}},
    "diversity": {"rows": PROSE},
    "exact_match": {"rows": [{"text": t, "reference": "Paris"} for t in ("Paris", " Paris", "R")]},
    "factual_correctness": {
        "params": with_model(classifier, "entailment", "neutral", "contradiction"),
        "rows": COMPARED,
    },
    "fluency": {"params": with_model(language_model)},
    "formality": {"params": with_model(classifier, "formal", "informal"), "rows": JUDGED},
    "harmful_content": {"params": with_model(classifier, "ok", "harm"), "rows": JUDGED},
    "helpfulness": {"params": with_model(classifier, "reward"), "rows": JUDGED},
    "instruction_following": {
        "rows": [
            {
                "text": text,
                "instruction_id_list": ["punctuation:no_comma", "startend:quotation"],
                "kwargs": [{}, {}],
            }
            for text in ('"Yes"', "Yes", "No, no")
        ]
    },
    "json_schema": {
        "params": {"schema": SCHEMA},
        "rows": [{"text": '{"name": "a"}'}, {"text": '{"name": 1}'}, {"text": "no"}],
    },
    "language": {"params": {"language": "en"}, "rows": LANGUAGES},
    "length": {"params": {"max_length": 10}},
    "llm_judge": {
        "params": lambda: {"base_url": judge(), "model": "judge"},
        "rows": JUDGED,
    },
    "multiple_choice": {"rows": OPTIONS},
    "overlong_penalty": {"params": {"max_length": 20, "unit": "words"}},
    "privacy": {"rows": [{"text": "Write to ada@example.org."}, {"text": "Write to me."}]},
    "profanity": {"rows": [{"text": "What a shit day."}, {"text": "What a nice day."}]},
    "readability": {"rows": PROSE},
    "refusal": {"rows": REFUSALS},
    "regex_match": {
        "params": {"pattern": r"\d+"},
        "rows": [{"text": "42"}, {"text": "forty"}, {"text": " 7 "}],
    },
    "relevance": {"params": with_model(encoder), "rows": JUDGED},
    "reward_ensemble": {
        "params": lambda: {"models": [classifier("reward"), classifier("second")]},
        "rows": JUDGED,
    },
    "reward_model": {"params": with_model(classifier, "reward"), "rows": JUDGED},
    "safety": {
        "params": {"parts": ["privacy"]},
        "rows": [{"text": "Write to ada@example.org."}, {"text": "Write to me."}],
    },
    "semantic_similarity": {"params": with_model(encoder), "rows": COMPARED},
    "sentiment": {"rows": MOODS},
    "sql_execution": {"rows": QUERIES},
    "tone": {"rows": MOODS},
    "toxicity": {"params": with_model(classifier, "ok", "toxic"), "rows": JUDGED},
}


def built_in() -> list[str]:
    rewards = plugins.get().rewards
    return sorted(e.name for e in rewards if e.owner.distribution == "aligntune-rewards")


def title(name: str) -> str:
    return "Test" + "".join(part.capitalize() for part in name.split("_"))


def slow(test: Callable[[Any], None]) -> Callable[[Any], None]:
    @pytest.mark.slow
    def run(self: RewardConformance) -> None:
        test(self)

    return run


# A process that loads torch first takes its time.
SLOW = {
    name: slow(getattr(RewardConformance, name))
    for name in ("test_another_process", "test_very_long_text")
}

for _entry in plugins.get().rewards:
    if _entry.name in built_in():
        _kit = reward_conformance(_entry.name, **CASES.get(_entry.name, {}))
        # relevance needs torch with two of its backends, which its packages do not say.
        _torch = "torch" in " ".join(_entry.facts.packages) or _entry.name == "relevance"
        _more = SLOW if _torch else {}
        globals()[title(_entry.name)] = type(title(_entry.name), (_kit,), dict(_more))


def test_every_reward_is_tested() -> None:
    kits = {name for name, value in globals().items() if isinstance(value, type)}
    assert {title(name) for name in built_in()} <= kits
    assert issubclass(globals()["TestLength"], RewardConformance)


def test_every_case_has_its_reward() -> None:
    assert sorted(CASES.keys() - set(built_in())) == []


def test_no_test_of_a_built_in_reward_is_switched_off() -> None:
    off = [
        name
        for name, case in CASES.items()
        for setting in ("speed_limit", "long_text_seconds")
        if math.isinf(case.get(setting, 0.0))
    ]
    assert off == []
