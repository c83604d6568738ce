"""The files have lm-eval's shapes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from aligntune.evaluation import EvaluationSettings, prepare
from aligntune_eval.results import ResultFiles, write_results

if TYPE_CHECKING:
    from pathlib import Path

    from aligntune.plugins import Plugins

# `SampleResult` in lm-eval 0.4.13's result_schema.py.
SAMPLE_KEYS = {
    "doc_id",
    "doc",
    "target",
    "arguments",
    "resps",
    "filtered_resps",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
}
# What lm-eval's `make_table` and its readers of results take from `EvalResults`.
RESULT_KEYS = {
    "results",
    "group_subtasks",
    "configs",
    "versions",
    "n-shot",
    "higher_is_better",
    "n-samples",
    "config",
    "date",
    "task_hashes",
    "model_source",
    "model_name",
    "model_name_sanitized",
    "total_evaluation_time_seconds",
}
ROWS = [{"prompt": f"{i}+1=", "completion": str(i + 1), "answer": str(i + 1)} for i in range(3)]


@pytest.fixture
def files(tmp_path: Path, model: Any, tokenizer: Any, plugins: Plugins) -> ResultFiles:
    settings = EvaluationSettings(max_new_tokens=3, max_samples=2)
    prepared = prepare(ROWS, ["perplexity", "accuracy"], settings, plugins)
    evaluation = prepared.run(model, tokenizer)
    return write_results(
        evaluation, tmp_path, model="/some/model", task="sums (v1)", rows=ROWS, settings=settings
    )


def test_names_are_those_lm_eval_looks_for(files: ResultFiles, tmp_path: Path) -> None:
    assert files.results.parent == files.samples.parent == tmp_path / "__some__model"
    stamp = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}"
    assert re.fullmatch(rf"results_{stamp}\.json", files.results.name)
    # lm-eval's get_file_task_name: between the first and the last underscore.
    name = files.samples.name
    assert name[name.find("_") + 1 : name.rfind("_")] == "sums__v1_"
    assert re.fullmatch(rf"{stamp}\.jsonl", name[name.rfind("_") + 1 :])
    assert sorted(files.results.parent.iterdir()) == sorted([files.results, files.samples])


def test_results(files: ResultFiles) -> None:
    results = json.loads(files.results.read_text())
    assert set(results) >= RESULT_KEYS
    measured = results["results"]["sums__v1_"]
    assert set(measured) == {
        "alias",
        "name",
        "sample_len",
        "perplexity,none",
        "perplexity_stderr,none",
        "bits_per_byte,none",
        "bits_per_byte_stderr,none",
        "accuracy,none",
        "accuracy_stderr,none",
    }
    assert results["n-samples"]["sums__v1_"] == {"original": 3, "effective": 2}
    assert results["higher_is_better"]["sums__v1_"] == {
        "perplexity": False,
        "bits_per_byte": False,
        "accuracy": True,
    }
    ours = {metric["name"]: metric for metric in results["aligntune"]["metrics"]}
    assert ours["accuracy"]["n"] == 2
    assert ours["accuracy"]["low"] <= ours["accuracy"]["value"] <= ours["accuracy"]["high"]


def test_samples(files: ResultFiles) -> None:
    lines = [json.loads(line) for line in files.samples.read_text().splitlines()]
    assert [line["doc_id"] for line in lines] == [0, 1]
    for line, row in zip(lines, ROWS, strict=False):
        assert set(line) == SAMPLE_KEYS | {"accuracy", "nll", "tokens"}
        assert line["doc"] == row
        assert line["target"] == row["answer"]
        assert line["arguments"]["gen_args_0"]["arg_0"] == row["prompt"]
        assert line["resps"] == [line["filtered_resps"]]
        assert line["metrics"] == ["accuracy", "nll", "tokens"]
        assert isinstance(line["accuracy"], float)
