"""Tasks of lm-eval as local files: what the tests of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from aligntune.testing import write_jsonl

METRIC = {"aggregation": "mean", "higher_is_better": True}


def write_task(
    folder: Path, name: str, rows: list[dict[str, Any]] | None = None, **keys: Any
) -> Path:
    """Write `<name>.yaml` and its rows, and return the YAML file."""
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {"task": name}
    if rows is not None:
        write_jsonl(folder / f"{name}.jsonl", rows)
        values |= {
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": str(folder / f"{name}.jsonl")},
            "test_split": "train",
        }
    path = folder / f"{name}.yaml"
    values |= keys
    path.write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}))
    return path


def choice_task(folder: Path, name: str = "choice", count: int = 12, **keys: Any) -> Path:
    """A task of sums with three answers each, the right one at changing places."""
    rows = []
    for index in range(count):
        a, b = index % 4, index // 4 + 2
        answers = [str(a + b), str(a + b + 1), str(a * b + 20)]
        place = index % 3
        answers[0], answers[place] = answers[place], answers[0]
        rows.append({"question": f"{a} + {b} =", "choices": answers, "gold": place})
    asked: dict[str, Any] = {
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_target": "gold",
        "doc_to_choice": "choices",
        "metric_list": [{"metric": "acc", **METRIC}, {"metric": "acc_norm", **METRIC}],
    }
    return write_task(folder, name, rows, **(asked | keys))


def text_task(folder: Path, texts: list[str], name: str = "texts", **keys: Any) -> Path:
    """A task of running texts, scored as a whole."""
    asked: dict[str, Any] = {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [
            {"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")
        ],
    }
    return write_task(folder, name, [{"text": text} for text in texts], **(asked | keys))


def answer_task(
    folder: Path, rows: list[dict[str, Any]], name: str = "answers", **keys: Any
) -> Path:
    """A task whose `question` is completed, and compared with `answer`."""
    asked: dict[str, Any] = {
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4, "do_sample": False},
        "metric_list": [{"metric": "exact_match", **METRIC}],
    }
    return write_task(folder, name, rows, **(asked | keys))
