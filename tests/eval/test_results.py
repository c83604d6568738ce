"""The files have lm-eval's shapes, and what is read back from them is what was written."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from aligntune.errors import RunError
from aligntune.evaluation import EvalTask, EvaluationSettings, Metric
from aligntune.evaluation.run import Evaluation
from aligntune_eval.files import results as results_module
from aligntune_eval.files.lines import line_of, sample_of
from aligntune_eval.files.results import ResultFiles, TaskOutcome, write_results
from aligntune_eval.runner.finished import evaluation_from, evaluation_to
from aligntune_eval.tasks import prepare_task

if TYPE_CHECKING:
    from pathlib import Path

    from aligntune.plugins import Plugins

# `SampleResult` in lm-eval 0.4.13's result_schema.py, and ours.
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
    "aligntune",
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
SETTINGS = EvaluationSettings(max_new_tokens=3, stop=("\n",))
TASKS = [
    EvalTask(
        name="sums (v1)",
        dataset=ROWS,
        metrics=["accuracy"],
        max_new_tokens=3,
        max_samples=2,
        num_fewshot=1,
        version=4,
    ),
    EvalTask(name="text", dataset=[{"text": "Some text."}] * 2, metrics=["perplexity"]),
]


def outcome(task: EvalTask, evaluation: Evaluation) -> TaskOutcome:
    return TaskOutcome(task, evaluation, ROWS, 3, SETTINGS)


@pytest.fixture
def outcomes(model: Any, tokenizer: Any, plugins: Plugins) -> list[TaskOutcome]:
    prepared = [prepare_task(task, plugins) for task in TASKS]
    return [
        TaskOutcome(each.task, each.run(model, tokenizer), each.rows, each.available, each.settings)
        for each in prepared
    ]


@pytest.fixture
def files(outcomes: list[TaskOutcome], tmp_path: Path) -> list[ResultFiles]:
    return write_results(outcomes, tmp_path, model="/some/model")


def lines_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_names_are_those_lm_eval_looks_for(files: list[ResultFiles], tmp_path: Path) -> None:
    results = files[0].results
    assert results == files[1].results
    assert results.parent == files[0].samples.parent == tmp_path / "__some__model"
    stamp = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}"
    assert re.fullmatch(rf"results_{stamp}\.json", results.name)
    # lm-eval's get_file_task_name: between the first and the last underscore.
    name = files[0].samples.name
    assert name[name.find("_") + 1 : name.rfind("_")] == "sums__v1_"
    assert re.fullmatch(rf"{stamp}\.jsonl", name[name.rfind("_") + 1 :])
    assert sorted(results.parent.iterdir()) == sorted([results, *(each.samples for each in files)])


def test_one_file_holds_every_task(files: list[ResultFiles]) -> None:
    results = json.loads(files[0].results.read_text())
    assert set(results) >= RESULT_KEYS
    names = ["sums (v1)", "text"]
    by_task = ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples")
    for key in (*by_task, "group_subtasks", "task_hashes"):
        assert list(results[key]) == names, key
    assert list(results["aligntune"]["tasks"]) == names
    assert set(results["results"]["sums (v1)"]) == {
        "alias",
        "name",
        "sample_len",
        "accuracy,none",
        "accuracy_stderr,none",
    }
    assert results["n-samples"]["sums (v1)"] == {"original": 3, "effective": 2}
    assert results["higher_is_better"]["text"] == {"perplexity": False, "bits_per_byte": False}
    assert (results["versions"]["sums (v1)"], results["n-shot"]["sums (v1)"]) == (4, 1)
    kinds = [results["configs"][name]["output_type"] for name in names]
    assert kinds == ["generate_until", "loglikelihood_rolling"]
    assert results["configs"]["sums (v1)"]["generation_kwargs"]["max_gen_toks"] == 3
    ours = results["aligntune"]["tasks"]["sums (v1)"]
    (accuracy,) = ours["metrics"]
    assert accuracy["n"] == 2
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert ours["settings"]["max_new_tokens"] == 3


def test_lines_of_completions(files: list[ResultFiles], outcomes: list[TaskOutcome]) -> None:
    lines = lines_in(files[0].samples)
    assert [line["doc_id"] for line in lines] == [0, 1]
    for line, row in zip(lines, outcomes[0].rows, strict=True):
        assert set(line) == SAMPLE_KEYS | {"accuracy"}
        assert line["doc"] == row
        assert line["target"] == row["answer"]
        asked = line["arguments"]["gen_args_0"]
        assert asked["arg_0"] == row["prompt"]
        assert asked["arg_1"]["max_gen_toks"] == 3
        assert line["resps"] == [line["filtered_resps"]]
        assert line["metrics"] == ["accuracy"]
        assert isinstance(line["accuracy"], float)


def test_lines_of_texts(files: list[ResultFiles]) -> None:
    (line, _) = lines_in(files[1].samples)
    assert line["arguments"] == {"gen_args_0": {"arg_0": "Some text."}}
    assert line["resps"] == [[str(-line["nll"])]]
    assert {"nll", "tokens", "bits", "bytes"} <= set(line["metrics"])


CHOICES = [
    {"context": "1+1=", "continuation": " 2", "logprob": -0.5, "greedy": True},
    {"context": "1+1=", "continuation": " 3", "logprob": -1.25, "greedy": False},
]
SAMPLES: dict[str, dict[str, Any]] = {
    "plain": {"prompt": "1+1=", "completion": "2", "reference": "2", "scores": {"accuracy": 1.0}},
    "without a score": {"prompt": "p", "completion": "", "scores": {"accuracy": None, "x": 0.5}},
    "several": {"prompt": "p", "completion": "a", "completions": ["a", "b"], "reference": "2"},
    "likelihood": {"nll": 1.5, "tokens": 2, "bits": 2.25, "bytes": 3},
    "both": {"prompt": "p", "completion": "a", "nll": 1.5, "tokens": 2, "scores": {"nll": 3.0}},
    "choices": {"requests": CHOICES, "reference": " 2", "chosen": 0, "scores": {"acc": 1.0}},
    "references": {"prompt": "p", "completion": "a", "reference": ["2", "two"]},
    "names of lines": {"target": 3, "doc": "x", "metrics": 1.0, "scores": {"resps": 0.5}},
    "nothing": {},
    "structure": {"prompt": "p", "completion": "\ud83d", "judge": {"said": ["yes", None]}},
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_sample_comes_back_from_its_line(sample: dict[str, Any]) -> None:
    sample = {"row": 1, **sample}
    line = json.loads(json.dumps(line_of(sample, ROWS[1], SETTINGS)))
    assert sample_of(line) == sample
    assert set(line) >= SAMPLE_KEYS
    assert all(isinstance(line[name], (int, float)) for name in line["metrics"])


def test_several_completions_are_all_in_resps() -> None:
    line = line_of({"row": 0, **SAMPLES["several"]}, ROWS[0], SETTINGS)
    assert line["resps"] == [["a", "b"]]
    assert line["filtered_resps"] == [["a", "b"]]
    assert line["arguments"]["gen_args_0"]["arg_1"]["until"] == ["\n"]


def test_choices_have_one_request_each() -> None:
    line = line_of({"row": 0, **SAMPLES["choices"]}, ROWS[0], SETTINGS)
    assert line["arguments"]["gen_args_1"] == {"arg_0": "1+1=", "arg_1": " 3"}
    # lm-eval writes what stands in responses as text.
    assert line["resps"] == [[["-0.5", "True"]], [["-1.25", "False"]]]
    assert line["filtered_resps"] == [["-0.5", "True"], ["-1.25", "False"]]


def test_a_completion_that_is_scored_has_its_prompt() -> None:
    line = line_of({"row": 0, **SAMPLES["likelihood"]}, ROWS[0], SETTINGS)
    assert line["arguments"] == {"gen_args_0": {"arg_0": "0+1=", "arg_1": "1"}}
    assert line["filtered_resps"] == ["-1.5"]


def test_an_evaluation_comes_back(outcomes: list[TaskOutcome]) -> None:
    for each in outcomes:
        value = json.loads(json.dumps(evaluation_to(each.evaluation)))
        assert evaluation_from(value) == each.evaluation


def test_an_adapter_names_its_base(outcomes: list[TaskOutcome], tmp_path: Path) -> None:
    (written, _) = write_results(outcomes, tmp_path, model="adapter", base="base")
    results = json.loads(written.results.read_text())
    assert results["config"]["model_args"] == {"pretrained": "base", "peft": "adapter"}
    assert results["model_name"] == "adapter"


def test_secrets_are_not_written(tmp_path: Path) -> None:
    secret = "hf_" + "a1B2" * 8
    task = EvalTask(
        name="t",
        dataset=ROWS,
        metrics=["accuracy"],
        system_prompt=f"token={secret}",
        metadata={"api_key": secret},
    )
    metric = Metric("accuracy", 1.0, 3, details={"judge": f"https://user:{secret}@host/v1"})
    made = outcome(task, Evaluation((metric,), [], 1.0))
    (files,) = write_results([made], tmp_path, model=f"https://x:{secret}@hub/model")
    assert secret not in files.results.read_text()
    assert secret not in str(files.results)


def test_files_that_cannot_be_written_leave_no_half(
    outcomes: list[TaskOutcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        if path.name.startswith("samples_text"):
            raise RunError(f"cannot write {path}: No space left on device")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr(results_module, "replace_text", full)
    with pytest.raises(RunError, match="No space left"):
        write_results(outcomes, tmp_path, model="m")
    assert [path.name[:8] for path in (tmp_path / "m").iterdir()] == ["samples_"]


def test_a_task_that_is_called_a_secret_keeps_its_numbers(tmp_path: Path) -> None:
    task = EvalTask(name="passwords", dataset=ROWS, metrics=["accuracy"])
    made = outcome(task, Evaluation((Metric("api_key", 0.5, 3),), [], 1.0))
    (files,) = write_results([made], tmp_path, model="m")
    written = json.loads(files.results.read_text())
    assert written["results"]["passwords"]["api_key,none"] == 0.5
    assert written["aligntune"]["tasks"]["passwords"]["metrics"][0]["value"] == 0.5
