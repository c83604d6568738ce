"""Win rate: who wins, what a tie is, what it is compared with, and a judge asked in both orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aligntune.errors import DataError, EvaluationError, NotRegisteredError
from aligntune.evaluation import Evaluation, EvaluationContext, EvaluationSettings, evaluate
from aligntune.facts import RewardFacts
from aligntune.plugins import Register
from aligntune.testing import JudgeServer
from aligntune_eval.asking.generation import completions
from aligntune_eval.files.results import TaskOutcome, write_results
from aligntune_eval.preference.win_rate import WinRate

Measure = Callable[..., Evaluation]

PROMPTS = ["1+1=", "2+2=", "3+3=", "4+4="]


@pytest.fixture
def answers(make_context: Callable[..., EvaluationContext]) -> list[str]:
    """What the model says to each of the prompts."""
    rows = [{"prompt": prompt} for prompt in PROMPTS]
    return [c.text for c in completions(make_context(rows, max_new_tokens=3))]


@pytest.fixture
def measure(model: Any, tokenizer: Any, plugins: Any) -> Measure:
    def run(rows: list[dict[str, Any]], *wanted: Any, **more: Any) -> Evaluation:
        chosen = EvaluationSettings(**{"max_new_tokens": 3, **more})
        return evaluate(model, tokenizer, rows, wanted, settings=chosen, plugins=plugins)

    return run


def rows_of(column: str, values: list[Any]) -> list[dict[str, Any]]:
    return [{"prompt": p, column: value} for p, value in zip(PROMPTS, values, strict=True)]


def test_the_higher_reward_wins_and_ties_count_half(measure: Measure, answers: list[str]) -> None:
    sizes = [len(text) for text in answers]
    assert 0 not in sizes
    rows = rows_of("answer", ["x" * (sizes[0] + 1), "x", "", "y" * sizes[3]])
    rows[1]["answer"] = "x" * (sizes[1] - 1) or "xx"
    found = measure(rows, WinRate("size"))
    metric = found.metric("win_rate")
    second = 1.0 if sizes[1] > 1 else 0.0
    assert [s["scores"]["win_rate"] for s in found.samples] == [0.0, second, None, 0.5]
    assert (metric.value, metric.n) == (pytest.approx((second + 0.5) / 3), 3)
    assert metric.details["ties"] == 1
    assert metric.details["not_applicable"] == 1
    assert metric.details["interval"] == "bootstrap"
    assert metric.details["characters"] == sum(sizes) / 4
    assert found.samples[0]["baseline"] == rows[0]["answer"]
    assert found.samples[0]["win_rate/completion"] == sizes[0]
    assert found.samples[0]["win_rate/baseline"] == sizes[0] + 1


def test_a_reward_of_tokens_counts_those_of_both_sides(measure: Measure, plugins: Any) -> None:
    def tokens(text: str, *, completion_ids: list[int]) -> float:
        return float(len(completion_ids))

    register = Register(plugins, plugins.rewards, RewardFacts)
    register("tokens", tokens, summary="how many tokens", range=(0.0, 1e9))
    rows = rows_of("theirs", ["x" * 99, "", "x" * 99, "x" * 99])
    metric = measure(rows, WinRate("tokens", baseline="theirs")).metric("win_rate")
    assert metric.value == 0.25
    pairs = [{"prompt": "a", "chosen": "bcd", "rejected": "b"}]
    margin = measure(pairs, {"type": "reward_margin", "params": {"reward": "tokens"}})
    assert margin.metric("reward_margin").value == 2.0


def test_without_ties_the_interval_is_wilsons(measure: Measure) -> None:
    metric = measure(rows_of("answer", ["x" * 99] * 4), WinRate("size")).metric("win_rate")
    assert (metric.value, metric.details["interval"]) == (0.0, "wilson")
    assert metric.interval == pytest.approx((0.0, 0.4898908))


def test_a_baseline_is_any_column_and_texts_or_chats(measure: Measure, answers: list[str]) -> None:
    said = [[{"role": "assistant", "content": text}] for text in answers]
    for values in (answers, said, [[text] for text in answers]):
        rows = [{**row, "answer": "x" * 99} for row in rows_of("theirs", values)]
        assert measure(rows, WinRate("size", baseline="theirs")).metric("win_rate").value == 0.5
        assert measure(rows, WinRate("size")).metric("win_rate").value == 0.0


def test_of_several_completions_the_mean_counts(measure: Measure) -> None:
    rows = rows_of("answer", ["xx"] * 4)
    settings = {"temperature": 1.0, "num_samples": 8, "max_new_tokens": 4}
    found = measure(rows, WinRate("size"), **settings)
    for sample in found.samples:
        values = [
            None if not t else (len(t) > 2) + 0.5 * (len(t) == 2) for t in sample["completions"]
        ]
        known = [value for value in values if value is not None]
        assert sample["scores"]["win_rate"] == pytest.approx(sum(known) / len(known))
    assert found.metric("win_rate").n == 4


def written(evaluation: Evaluation, rows: list[dict[str, Any]], folder: Path, model: str) -> Path:
    from aligntune.evaluation import EvalTask

    task = EvalTask(name="sums", dataset=rows, metrics=["accuracy"])
    outcome = TaskOutcome(task, evaluation, rows, len(rows), EvaluationSettings(max_new_tokens=3))
    (files,) = write_results([outcome], folder, model=model)
    return files.samples


def test_another_evaluation_is_a_baseline(
    measure: Measure, answers: list[str], tmp_path: Path
) -> None:
    rows = rows_of("answer", answers)
    theirs = measure(rows, "accuracy", max_new_tokens=3)
    for sample in theirs.samples:
        sample["completion"] += "!"
    samples = written(theirs, rows, tmp_path, "they")
    shuffled = rows[::-1]
    for baseline in (tmp_path, samples.parent, samples):
        found = measure(shuffled, WinRate("size", baseline=str(baseline)))
        assert found.metric("win_rate").value == 0.0
        assert [s["baseline"] for s in found.samples] == [f"{a}!" for a in answers[::-1]]
    more = [*rows, {"prompt": "5+5=", "answer": "10"}]
    with pytest.raises(EvaluationError, match=r"none of 1 of 5 rows, the first of them row 4"):
        measure(more, WinRate("size", baseline=str(tmp_path)))
    written(theirs, rows, tmp_path, "others")
    with pytest.raises(EvaluationError, match=r"more than once \(others on sums, they on sums\)"):
        measure(rows, WinRate("size", baseline=str(tmp_path)))
    (tmp_path / "stray.jsonl").write_text("{}\n")
    with pytest.raises(EvaluationError, match=r"stray\.jsonl belongs to no results_"):
        measure(rows, WinRate("size", baseline=str(tmp_path / "stray.jsonl")))


# A judge that sees both


@pytest.fixture
def judged(plugins: Any) -> Iterator[Callable[..., JudgeServer]]:
    """Start a judge, which `llm_judge` asks; its reward is registered."""
    from aligntune_rewards.learned.llm_judge import LlmJudgeReward

    Register(plugins, plugins.rewards, RewardFacts)("llm_judge", LlmJudgeReward, summary="")
    started: list[JudgeServer] = []

    def start(judge: Callable[[str], float]) -> JudgeServer:
        started.append(JudgeServer(judge))
        return started[-1]

    yield start
    for server in started:
        server.close()


def by_judge(server: JudgeServer, **params: Any) -> WinRate:
    asked = {"base_url": server.base_url, "model": "judge", **params}
    return WinRate("llm_judge", asked, pairwise=True)


def test_a_judge_is_asked_in_both_orders(
    measure: Measure, answers: list[str], judged: Callable[..., JudgeServer]
) -> None:
    rows = rows_of("answer", ["good", "bad", answers[2], "none"])
    verdicts = {"good": 5, "bad": 1, "none": 3}
    server = judged(lambda text: verdicts.get(text, 3 if text == answers[3] else 2))
    server.judge = lambda text: verdicts.get(text, {answers[0]: 2, answers[1]: 4}.get(text, 3))
    found = measure(rows, by_judge(server))
    metric = found.metric("win_rate")
    assert [s["scores"]["win_rate"] for s in found.samples] == [0.0, 1.0, 0.5, 0.5]
    assert metric.value == 0.5
    assert metric.details["equal_texts"] == 1
    assert metric.details["orders_agree"] == 3
    assert len(server.requests) == 6
    asked = [request["body"]["messages"][1]["content"] for request in server.requests]
    first = [text for text in asked if "1+1=" in text]
    orders = {text.index(answers[0] + "\n</") < text.index("good\n</") for text in first}
    assert orders == {True, False}
    assert found.samples[0]["win_rate/as_first"] == 0.25
    assert found.samples[0]["win_rate/as_second"] == 1.0


def test_a_judge_that_favours_a_position_decides_nothing(
    measure: Measure, judged: Callable[..., JudgeServer]
) -> None:
    found = measure(rows_of("answer", ["w", "x", "y", "z"]), by_judge(judged(lambda _: 5)))
    metric = found.metric("win_rate")
    assert metric.value == 0.5
    assert (metric.details["ties"], metric.details["orders_agree"]) == (4, 0)
    assert (metric.details["first_preferred"], metric.details["second_preferred"]) == (8, 0)


def test_what_cannot_be_judged_is_left_out_and_counted(
    measure: Measure, judged: Callable[..., JudgeServer]
) -> None:
    rows = rows_of("answer", ["w" * 9, "x", "y", "z"])
    judge = by_judge(judged(lambda text: 5 if len(text) > 1 else 1), max_chars=5)
    found = measure(rows, judge)
    metric = found.metric("win_rate")
    assert [s["scores"]["win_rate"] for s in found.samples] == [None, 1.0, 1.0, 1.0]
    assert (metric.n, metric.details["not_applicable"]) == (3, 1)
    assert metric.details["not_judged"] == {"too long": 1}


def test_what_a_judge_said_is_kept(
    make_context: Callable[..., EvaluationContext], judged: Callable[..., JudgeServer]
) -> None:
    class Memory(dict[str, Any]):
        def put(self, entries: Mapping[str, Any]) -> None:
            self.update(entries)

    server, store = judged(lambda text: 4 if text == "x" else 2), Memory()
    rows = rows_of("answer", ["x", "y", "x", "y"])
    values = []
    for _ in range(2):
        context = make_context(rows, max_new_tokens=3)
        context.store = store
        values.append(by_judge(server).evaluate(context)[0].value)
        assert len(server.requests) == 8
    assert values[0] == values[1] == 0.25


def test_a_reward_of_ones_own_compares_pairs(measure: Measure, plugins: Any) -> None:
    def longer(text: str, other: str) -> float:
        return float(len(text) - len(other))

    Register(plugins, plugins.rewards, RewardFacts)("longer", longer, summary="")
    rows = rows_of("answer", ["", "x" * 99, "x" * 99, "x" * 99])
    found = measure(rows, WinRate("longer", pairwise=True))
    assert found.metric("win_rate").value == 0.25
    with pytest.raises(DataError, match="needs the column 'other'"):
        measure(rows, WinRate("longer"))


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ({}, EvaluationError, "reward is not set; it names what decides"),
        ({"reward": "sise"}, NotRegisteredError, "did you mean 'size'"),
        ({"reward": "size", "pairwise": True}, EvaluationError, "requires no column 'other'"),
        ({"reward": "size", "baseline": "answr"}, EvaluationError, "did you mean 'answer'"),
        ({"reward": "size", "baseline": "level"}, EvaluationError, "of row 0 is 3; expected one"),
        ({"reward": "size", "baseline": "half"}, EvaluationError, "needs 'half', which row 1 does"),
        (
            {"reward": "llm_judge", "pairwise": True, "params": {"scale": [1, 9]}},
            EvaluationError,
            "scale is given without a rubric",
        ),
    ],
)
def test_mistakes_show_before_anything_is_generated(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, params: Any, error: Any, said: str
) -> None:
    monkeypatch.setattr("aligntune_eval.asking.generation._generate_all", None)
    rows = [{**row, "level": 3} for row in rows_of("answer", ["w", "x", "y", "z"])]
    rows[0]["half"] = "x"
    with pytest.raises(error, match=said):
        measure(rows, {"type": "win_rate", "params": params})


def test_rows_without_a_baseline_are_refused(measure: Measure) -> None:
    with pytest.raises(EvaluationError, match=r"no reference column.*there are: prompt"):
        measure([{"prompt": "a"}], WinRate("size"))
