"""Tasks of lm-eval give lm-eval's numbers, in the form of ours."""

from __future__ import annotations

import logging
import math
import random
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lm_eval_files import METRIC, answer_task, choice_task, text_task, write_task

from aligntune.evaluation import Evaluation, Metric, TaskCategory
from aligntune_eval.harness import harness_task

pytest.importorskip("lm_eval")

TEXTS = ["A short text.", "Größe, 漢字 and 🙂.", "word " * 60, "one\ntwo\n\nthree"]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a local task touches the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def by_lm_eval(model: Any, tokenizer: Any) -> Any:
    """What lm-eval itself says of a task, through the function that its users call."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    def run(path: Path, name: str, **options: Any) -> dict[str, Any]:
        manager = TaskManager(include_path=str(path.parent), include_defaults=False)
        asked = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16)
        found: dict[str, Any] = lm_eval.simple_evaluate(
            asked, tasks=[name], task_manager=manager, **options
        )
        return found

    return run


@pytest.fixture
def answers(tmp_path: Path, model: Any, tokenizer: Any) -> Path:
    """A task of which the model gets every other row right."""
    rows = [{"question": f"{n} and", "answer": "?"} for n in range(10)]
    first = harness_task(str(answer_task(tmp_path / "first", rows))).run(model, tokenizer)
    for index, (row, sample) in enumerate(zip(rows, first.samples, strict=True)):
        row["answer"] = sample["completion"] if index % 2 else "no"
    return answer_task(tmp_path / "second", rows)


def equal(found: Evaluation, theirs: dict[str, Any], task: str, prefix: str = "") -> int:
    """Check every number of lm-eval's; returns how many there are."""
    count = 0
    for key, value in theirs["results"][task].items():
        name, comma, kind = key.partition(",")
        if not comma or name.endswith("_stderr"):
            continue
        metric = found.metric(prefix + (name if kind == "none" else f"{name},{kind}"))
        assert metric.value == value
        stderr = theirs["results"][task][f"{name}_stderr,{kind}"]
        assert metric.stderr == (None if stderr == "N/A" else stderr)
        count += 1
    return count


def recombined(metric: Metric, samples: list[dict[str, Any]]) -> float:
    """The metric from the values of the rows, as a comparison computes it."""
    assert metric.combine is not None
    rows = [s["scores"] for s in samples if metric.combine.top in s["scores"]]
    tops = math.fsum(row[metric.combine.top] for row in rows)
    if metric.combine.kind == "mean":
        return tops / len(rows)
    ratio = tops / math.fsum(row[metric.combine.bottom] for row in rows)
    return math.exp(ratio) if metric.combine.kind == "exp_ratio" else ratio


def test_choices_have_the_numbers_of_lm_eval(
    tmp_path: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    path = choice_task(tmp_path)
    found = harness_task(str(path)).run(model, tokenizer)
    assert equal(found, by_lm_eval(path, "choice"), "choice") == 2
    acc = found.metric("acc")
    assert 0 < acc.value < 1
    assert acc.n == 12
    assert acc.details["interval"] == "wilson"
    assert acc.low is not None
    assert acc.low < acc.value < (acc.high or 0)
    assert acc.higher_is_better is True
    assert recombined(acc, found.samples) == acc.value
    sample = found.samples[0]
    best = max(sample["requests"], key=lambda each: each["logprob"])
    assert sample["chosen"] == best["continuation"]
    assert (sample["chosen"] == sample["right"]) == bool(sample["scores"]["acc"])


def test_completions_have_the_numbers_of_lm_eval(
    answers: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    ready = harness_task(str(answers))
    found = ready.run(model, tokenizer)
    theirs = by_lm_eval(answers, "answers")
    assert equal(found, theirs, "answers") == 1
    assert found.metric("exact_match").value == 0.5
    assert ready.settings.max_new_tokens == 4
    assert ready.settings.stop == ("\n",)
    for sample, line in zip(found.samples, theirs["samples"]["answers"], strict=True):
        assert sample["completion"] == line["resps"][0][0]
        assert sample["reference"] == line["target"]
        assert sample["prompt"] == line["arguments"][0][0]


def test_texts_have_the_numbers_of_lm_eval(
    tmp_path: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    path = text_task(tmp_path, TEXTS)
    ready = harness_task(str(path))
    found = ready.run(model, tokenizer)
    assert equal(found, by_lm_eval(path, "texts"), "texts") == 3
    assert ready.task.category is TaskCategory.LANGUAGE_MODELING
    for metric in found.metrics:
        assert math.isclose(recombined(metric, found.samples), metric.value, rel_tol=1e-12)
        assert metric.details["interval"] == "bootstrap"
        assert metric.low is not None
        assert metric.low <= metric.value <= (metric.high or 0)
        assert metric.higher_is_better is False


def test_examples_filters_and_limits_are_those_of_lm_eval(
    tmp_path: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    rows = [{"question": f"{n}+1=", "answer": str(n + 1)} for n in range(12)]
    strict = {"name": "strict", "filter": [{"function": "take_first"}]}
    loose = {
        "name": "loose",
        "filter": [
            {"function": "regex", "regex_pattern": "(.)", "fallback": "x"},
            {"function": "take_first"},
        ],
    }
    path = answer_task(tmp_path, rows, filter_list=[strict, loose], fewshot_split="train")
    options: dict[str, Any] = {"num_fewshot": 2}
    ready = harness_task(str(path), max_samples=5, **options)
    found = ready.run(model, tokenizer)
    assert equal(found, by_lm_eval(path, "answers", limit=5, **options), "answers") == 2
    assert {metric.name for metric in found.metrics} == {"exact_match,strict", "exact_match,loose"}
    assert (len(ready.rows), ready.available, len(found.samples)) == (5, 12, 5)
    assert found.samples[0]["prompt"].count("=") == 3
    assert found.samples[0]["extracted"]["loose"] in (found.samples[0]["completion"][:1], "x")
    # Another model, or the same one again, is given the same examples.
    assert ready.run(model, tokenizer).samples == found.samples
    other = harness_task(str(path), max_samples=5, seed=7, **options)
    assert other.fingerprint != ready.fingerprint
    assert other.run(model, tokenizer).samples[0]["prompt"] != found.samples[0]["prompt"]


def test_chat_is_that_of_lm_eval(
    tmp_path: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    rows = [{"question": f"{n}+1=", "answer": str(n + 1)} for n in range(6)]
    path = answer_task(tmp_path, rows, fewshot_split="train")
    asked: dict[str, Any] = {"num_fewshot": 1}
    found = harness_task(str(path), chat=True, system_prompt="Add.", max_samples=4, **asked).run(
        model, tokenizer
    )
    theirs = by_lm_eval(
        path,
        "answers",
        limit=4,
        apply_chat_template=True,
        fewshot_as_multiturn=True,
        system_instruction="Add.",
        **asked,
    )
    assert equal(found, theirs, "answers") == 1
    prompt = found.samples[0]["prompt"]
    assert prompt.startswith("<system>Add.<|end|><user>")
    assert prompt.endswith("<|end|><user>0+1=<|end|><assistant>")
    assert prompt == theirs["samples"]["answers"][0]["arguments"][0][0]


def test_a_group_has_its_mean_and_that_of_each_task(
    tmp_path: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    choice_task(tmp_path, "small", 6)
    choice_task(tmp_path, "large", 12, doc_to_text="Sum: {{question}}")
    aggregate = [{"metric": "acc", "weight_by_size": True}]
    path = write_task(
        tmp_path, "both", group="both", task=["small", "large"], aggregate_metric_list=aggregate
    )
    ready = harness_task(str(path))
    found = ready.run(model, tokenizer)
    theirs = by_lm_eval(path, "both")
    assert equal(found, theirs, "both") == 1
    assert equal(found, theirs, "small", "small.") == equal(found, theirs, "large", "large.") == 2
    acc = found.metric("acc")
    assert (acc.n, len(found.samples), ready.available) == (18, 18, 18)
    assert acc.details["interval"] == "wilson"
    for metric in found.metrics:
        assert math.isclose(recombined(metric, found.samples), metric.value, rel_tol=1e-12)
    assert [sample["task"] for sample in found.samples] == ["small"] * 6 + ["large"] * 12
    assert [sample["row"] for sample in found.samples] == list(range(18))


def test_a_group_within_a_group_has_its_rows(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    for name in ("one", "two", "three"):
        choice_task(tmp_path, name, 4)
    mean = {"aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}]}
    write_task(tmp_path, "inner", group="inner", task=["one", "two"], **mean)
    path = write_task(tmp_path, "outer", group="outer", task=["inner", "three"], **mean)
    found = harness_task(str(path)).run(model, tokenizer)
    assert [found.metric(name).n for name in ("acc", "inner.acc", "three.acc")] == [12, 8, 4]
    for metric in found.metrics:
        assert math.isclose(recombined(metric, found.samples), metric.value, rel_tol=1e-12)


def test_sampled_answers_are_not_kept(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    kwargs = {"until": ["\n"], "max_gen_toks": 4, "temperature": 0.7}
    rows = [{"question": "1+1=", "answer": "2"}, {"question": "1+2=", "answer": "3"}]
    kept: dict[str, Any] = {}
    store = SimpleNamespace(get=kept.get, put=kept.update)
    harness_task(str(answer_task(tmp_path, rows, generation_kwargs=kwargs))).run(
        model, tokenizer, store=store
    )
    assert not kept


def test_an_unweighted_group_has_an_interval_that_says_what_it_is(
    tmp_path: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    choice_task(tmp_path, "small", 6)
    choice_task(tmp_path, "large", 12)
    aggregate = [{"metric": "acc_norm", "weight_by_size": False}]
    path = write_task(
        tmp_path, "both", group="both", task=["small", "large"], aggregate_metric_list=aggregate
    )
    found = harness_task(str(path)).run(model, tokenizer)
    assert equal(found, by_lm_eval(path, "both"), "both") == 1
    metric = found.metric("acc_norm")
    assert metric.stderr is not None
    assert metric.low == pytest.approx(metric.value - 1.96 * metric.stderr, abs=1e-4)
    if found.metric("small.acc_norm").value != found.metric("large.acc_norm").value:
        assert (metric.details["interval"], metric.combine) == ("normal", None)


def test_a_folder_is_all_its_tasks(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    choice_task(tmp_path / "mine", "one", 3, tag="sums")
    text_task(tmp_path / "mine", TEXTS, "two")
    ready = harness_task(str(tmp_path / "mine"))
    assert (ready.task.name, len(ready.rows)) == ("mine", 7)
    found = ready.run(model, tokenizer)
    assert {"one.acc", "two.bits_per_byte"} <= {metric.name for metric in found.metrics}
    assert found.metric("one.acc").n == 3


def test_answers_of_a_killed_evaluation_are_not_asked_again(
    tmp_path: Path, answers: Path, model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Kept(dict[str, Any]):
        def put(self, entries: Any) -> None:
            self.update(entries)

    calls: list[int] = []
    forward = type(model).forward

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == stop_at:
            raise RuntimeError("killed")
        return forward(self, *args, **options)

    monkeypatch.setattr(type(model), "forward", counted)
    monkeypatch.setattr("aligntune_eval.harness.model._AT_ONCE", 1)
    many = [f"{text} {number}" for text in TEXTS for number in range(3)]
    for path in (answers, choice_task(tmp_path), text_task(tmp_path, many)):
        ready = harness_task(str(path), batch_size=2)
        calls.clear()
        stop_at = 0
        whole = ready.run(model, tokenizer)
        needed = len(calls)
        store = Kept()
        calls.clear()
        stop_at = needed // 2 + 1
        with pytest.raises(Exception, match="killed"):
            ready.run(model, tokenizer, store=store)
        assert store
        calls.clear()
        stop_at = 0
        again = ready.run(model, tokenizer, store=store)
        assert 0 < len(calls) < needed
        assert again.values() == pytest.approx(whole.values(), rel=1e-6)
        calls.clear()
        assert ready.run(model, tokenizer, store=store).values() == again.values()
        assert not calls


def generators() -> tuple[Any, ...]:
    """The state of every global generator."""
    of_numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), of_numpy, torch.get_rng_state().tolist()


def test_training_goes_on_as_if_nothing_had_been(answers: Path, model: Any, tokenizer: Any) -> None:
    import copy

    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = None
    side = tokenizer.padding_side
    ready = harness_task(str(answers))
    before = generators()
    model.train()
    try:
        ready.run(model, tokenizer)
        assert model.training
    finally:
        model.eval()
    assert generators() == before
    assert (tokenizer.pad_token, tokenizer.padding_side) == (None, side)


def test_progress_counts_and_nothing_is_printed(
    answers: Path, model: Any, tokenizer: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, int, int]] = []
    harness_task(str(answers)).run(model, tokenizer, lambda *told: seen.append(told))
    assert seen[-1] == ("generating", 10, 10)
    assert [done for _, done, _ in seen] == list(range(1, 11))
    out, err = capfd.readouterr()
    assert not out
    assert "Running generate_until" not in err


def test_what_lm_eval_warns_of_is_passed_on(
    tmp_path: Path, model: Any, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = choice_task(tmp_path, doc_to_target="{{ 7 if gold else 0 }}")
    with caplog.at_level(logging.WARNING):
        harness_task(str(path)).run(model, tokenizer)
    told = [record.getMessage() for record in caplog.records if record.name == "aligntune.eval"]
    assert any("Label index was not in within range" in message for message in told)
    assert not any("pretrained" in message for message in told)


def test_an_empty_text_adds_nothing(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    found = harness_task(str(text_task(tmp_path, ["abc", "", "d e f"]))).run(model, tokenizer)
    for name, n in (("word_perplexity", 3), ("byte_perplexity", 2), ("bits_per_byte", 2)):
        metric = found.metric(name)
        assert metric.n == n
        assert metric.interval is not None
        assert metric.interval[0] < metric.interval[1]
        assert math.isclose(recombined(metric, found.samples), metric.value, rel_tol=1e-9)


def test_the_chosen_answer_is_one_to_the_question(
    tmp_path: Path, model: Any, tokenizer: Any
) -> None:
    metrics = [{"metric": name, **METRIC} for name in ("acc", "acc_mutual_info")]
    found = harness_task(str(choice_task(tmp_path, metric_list=metrics))).run(model, tokenizer)
    for sample in found.samples:
        assert (sample["chosen"] == sample["right"]) == bool(sample["scores"]["acc"])


def test_a_metric_of_the_whole_has_no_values_of_rows(
    tmp_path: Path, model: Any, tokenizer: Any, by_lm_eval: Any
) -> None:
    rows = [{"question": f"{n}", "answer": "a b c d"} for n in range(4)]
    path = answer_task(tmp_path, rows, metric_list=[{"metric": "chrf"}])
    found = harness_task(str(path)).run(model, tokenizer)
    metric = found.metric("chrf")
    assert metric.value == by_lm_eval(path, "answers")["results"]["answers"]["chrf,none"]
    assert metric.combine is None
    # No completion shares a letter with its reference, so all resamples give 0.
    assert (metric.stderr, metric.interval, metric.details["interval"]) == (0, None, "none")


def test_a_number_that_is_none_is_an_error(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    from aligntune.errors import EvaluationError

    (tmp_path / "scores.py").write_text(
        "def score(doc, results):\n    return {'odd': float('nan')}\n"
    )
    path = choice_task(tmp_path, metric_list=[{"metric": "odd", **METRIC}])
    path.write_text(path.read_text() + "process_results: !function scores.score\n")
    ready = harness_task(str(path), trust_remote_code=True)
    with pytest.raises(EvaluationError, match="choice of lm-eval gives nan for odd"):
        ready.run(model, tokenizer)
