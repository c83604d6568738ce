"""Evaluations are read back as they were, whoever wrote them; broken files are said by line."""

from __future__ import annotations

import json
import math
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from evaluations import measured, sums, written
from lm_eval_files import choice_task, text_task

from aligntune.errors import EvaluationError
from aligntune.run import RunDirectory
from aligntune_eval.comparing.compare import compare, compare_runs
from aligntune_eval.files.reading import combined, read_results, result_of, row_of

if TYPE_CHECKING:
    from pathlib import Path

ROWS = sums(30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for model, right in (("b/small", 0.4), ("a/large", 0.8)):
        written(tmp_path / "out", model, measured(ROWS, right, bleu=True), ROWS)
    return tmp_path / "out"


def test_what_was_written_is_read_back(folder: Path) -> None:
    small, large = read_results(folder)
    assert (small.model, large.model) == ("b/small", "a/large")  # in the order they were measured
    evaluation = measured(ROWS, 0.4, bleu=True)
    expected = result_of(evaluation, model="b/small", task="sums", rows=ROWS)
    assert small.metrics == expected.metrics
    assert small.rows == expected.rows
    assert small.available == 30
    assert small.settings["max_new_tokens"] == 256
    assert "batch_size" not in small.settings
    found = compare(small, expected)
    assert len(found.pairs) == 30
    assert all(d.value == 0 for d in found.differences)


def test_a_model_s_folder_and_a_single_file_are_read(folder: Path) -> None:
    both = read_results(folder)
    assert read_results(folder / "b__small") == [both[0]]
    assert read_results(str(both[1].files[0])) == [both[1]]


def test_the_newest_result_of_a_model_and_task_counts(folder: Path) -> None:
    again = measured(ROWS, 0.9, seed=4)
    written(folder, "b/small", again, ROWS)
    written(folder, "b/small", measured(ROWS), ROWS, task="products")
    found = {(r.model, r.task): r for r in read_results(folder)}
    assert len(found) == 3
    assert found["b/small", "sums"].metrics == again.metrics


def test_results_without_samples_have_no_rows(folder: Path) -> None:
    for path in folder.glob("*/samples_*"):
        path.unlink()
    (small, _) = read_results(folder)
    assert (small.rows, len(small.metrics)) == ((), 3)


@pytest.fixture(scope="module")
def lm_eval_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lm-eval writes itself, of its model that answers at random."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("lm_eval")
    choice_task(folder / "tasks")
    text_task(folder / "tasks", ["one text", "another, longer text", "and a third"])
    tracker = EvaluationTracker(output_path=str(folder / "out"))
    results: Any = simple_evaluate(
        model="dummy",
        tasks=["choice", "texts"],
        task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False),
        evaluation_tracker=tracker,
        bootstrap_iters=0,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results, samples)
    for task, lines in samples.items():
        tracker.save_results_samples(task, lines)
    return folder / "out"


def test_what_lm_eval_wrote_is_read(lm_eval_folder: Path) -> None:
    found = {result.task: result for result in read_results(lm_eval_folder)}
    choice, texts = found["choice"], found["texts"]
    (file,) = lm_eval_folder.rglob("results_*.json")
    written = json.loads(file.read_text())
    acc = choice.metric("acc")
    assert acc.value == written["results"]["choice"]["acc,none"]
    assert (acc.n, acc.higher_is_better) == (12, True)
    assert acc.combine is not None
    assert acc.value == combined(acc.combine, choice.rows_of(acc.combine))
    assert choice.rows[0].prompt == "0 + 2 ="
    assert len(choice.rows[0].completions) == 3
    assert choice.rows[0].completions[0].startswith(" 2  (log-likelihood -")
    for name, kind in (("word_perplexity", "exp_ratio"), ("bits_per_byte", "ratio")):
        metric = texts.metric(name)
        assert metric.combine is not None
        assert metric.combine.kind == kind
        assert combined(metric.combine, texts.rows) == pytest.approx(metric.value, rel=1e-12)


def test_what_lm_eval_wrote_is_compared(lm_eval_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(lm_eval_folder, other)
    (samples,) = other.rglob("samples_choice_*")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    changed = sum(line["acc"] != 1.0 for line in lines)
    for line in lines:
        line["acc"] = 1.0
    samples.write_text("".join(json.dumps(line) + "\n" for line in reversed(lines)))
    (results,) = other.rglob("results_*.json")
    whole = json.loads(results.read_text())
    whole["results"]["choice"]["acc,none"] = 1.0
    results.write_text(json.dumps(whole))
    found = {each.task: each for each in compare_runs([lm_eval_folder, other])}
    acc = found["choice"].difference("acc")
    assert (acc.better, acc.worse, acc.n) == (changed, 0, 12)
    assert acc.value == pytest.approx(changed / 12)


def test_filters_of_one_row_are_one_row(lm_eval_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(lm_eval_folder, other)
    (samples,) = other.rglob("samples_choice_*")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    strict = [{**line, "filter": "strict", "acc": 0.0} for line in lines]
    samples.write_text("".join(json.dumps(line) + "\n" for line in (*lines, *strict)))
    (results,) = other.rglob("results_*.json")
    whole = json.loads(results.read_text())
    whole["results"]["choice"] |= {"acc,strict": 0.0, "acc_stderr,strict": "N/A", "odd,none": "N/A"}
    results.write_text(json.dumps(whole))
    choice = next(result for result in read_results(other) if result.task == "choice")
    assert len(choice.rows) == 12
    assert choice.metric("acc,strict").combine is not None
    assert "acc,strict" in choice.rows[0].values
    assert "odd is 'N/A' in the results, which is no number, and is left out" in choice.notes


def test_choices_and_other_texts_are_part_of_a_row() -> None:
    requests = [{"context": "1+1=", "continuation": " 2", "logprob": -0.25, "greedy": True}]
    row = row_of({"row": 0, "prompt": "1+1=", "requests": requests, "baseline": "3"}, None)
    assert row.completions == (" 2  (log-likelihood -0.25)",)
    assert row.texts == {"baseline": "3"}
    spoken = row_of({"row": 0, "requests": requests, "completion": "two"}, {"prompt": "1+1="})
    assert spoken.completions == ("two",)


def training_run(path: Path, rows: int) -> RunDirectory:
    run = RunDirectory.create(path)
    run.start(name="addition", algorithm="grpo", backend="trl", why="")
    for step, when, value in ((0, "before", 0.0), (40, "after", 0.5)):
        line = {"step": step, "when": when, "dataset": "held-out"}
        metric = {"name": "accuracy", "value": value, "n": 4, "stderr": 0.2, "low": 0.0, "high": 1}
        combine = {"kind": "mean", "top": "accuracy", "bottom": ""}
        run.append_jsonl(run.evaluation, {**line, **metric, "combine": combine})
        for index in range(rows):
            right = float(index < 4 * value)
            sample = {"prompt": f"{index}+1=", "completion": "1", "reference": str(index + 1)}
            rewards = {"accuracy": right}
            run.append_jsonl(
                run.samples, {"step": step, "evaluation": True, "rewards": rewards, **sample}
            )
    run.append_jsonl(run.samples, {"step": 40, "prompt": "trained on", "completion": "2"})
    run.finish()
    return run


def test_a_training_run_is_read(tmp_path: Path) -> None:
    (result,) = read_results(training_run(tmp_path / "run", rows=4).path)
    assert (result.model, result.task) == ("addition", "held-out")
    assert result.metric("accuracy").value == 0.5
    assert [row.values["accuracy"] for row in result.rows] == [1, 1, 0, 0]
    assert "last at step 40" in result.notes[0]


def test_two_training_runs_are_compared(tmp_path: Path) -> None:
    paths = [training_run(tmp_path / name, rows=4).path for name in ("one", "two")]
    (found,) = compare_runs(paths)
    assert found.first == f"addition ({paths[0]})"
    assert found.difference("accuracy").interval is not None
    few = training_run(tmp_path / "few", rows=3).path
    (found,) = compare_runs([paths[0], few])
    assert found.difference("accuracy").interval is None
    assert any("the run wrote down 3 of the 4 rows" in note for note in found.notes)


def test_a_run_that_measured_nothing_says_what_to_set(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    with pytest.raises(
        EvaluationError, match=r"measured nothing .*set `evaluation.evaluators` and"
    ):
        read_results(run.path)


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="does not exist; name a folder that `aligntune eval"):
        read_results(tmp_path / "nowhere")
    with pytest.raises(EvaluationError, match="holds no results; name a folder that"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[:200], r"results_.*\.json:\d+: not valid JSON"),
        (lambda text: "[]", r"results_.*\.json holds no results of an evaluation: there is no obj"),
        (lambda text: text.replace('"low": ', '"lowest": ', 1), "unexpected keyword argument 'low"),
    ],
)
def test_broken_results_are_named(folder: Path, spoil: Any, said: str) -> None:
    path = next(folder.glob("b__small/results_*"))
    path.write_text(spoil(path.read_text()))
    with pytest.raises(EvaluationError, match=said):
        read_results(folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{broken", r"samples_.*\.jsonl:3: not a JSON object: \{broken"),
        ('{"doc_id": 2}', r"samples_.*\.jsonl:3: no sample of an evaluation: there is no 'target'"),
    ],
)
def test_broken_samples_are_named_with_their_line(folder: Path, line: str, said: str) -> None:
    path = next(folder.glob("b__small/samples_*"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[3:]]) + "\n")
    with pytest.raises(EvaluationError, match=said):
        read_results(folder)


def test_samples_that_are_missing_in_part_are_said(folder: Path) -> None:
    path = next(folder.glob("b__small/samples_*"))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:20]))
    small, large = read_results(folder)
    assert "holds 20 of the 30 rows that were measured" in small.notes[0]
    for difference in compare(small, large).differences:
        assert difference.interval is None
        assert difference.method.endswith("20 of the 30 rows of b/small are in its samples")


def test_a_number_that_is_not_finite_is_left_out_and_said(lm_eval_folder: Path) -> None:
    (path,) = lm_eval_folder.rglob("results_*.json")
    text = path.read_text()
    whole = json.loads(text)
    whole["results"]["choice"]["acc,none"] = math.nan
    try:
        path.write_text(json.dumps(whole))
        choice = next(r for r in read_results(lm_eval_folder) if r.task == "choice")
        assert [metric.name for metric in choice.metrics] == ["acc_norm"]
        assert "acc is nan in the results, and is left out" in choice.notes
    finally:
        path.write_text(text)
