"""Paired differences: against oracles, in any order of rows, with every caveat said."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluations import Rows, measured, sums, written
from rich.console import Console
from sacrebleu.metrics.bleu import BLEU
from scipy import optimize, stats

from aligntune.errors import EvaluationError
from aligntune.evaluation import Combine, Evaluation, Metric
from aligntune_eval.comparing.compare import Comparison, compare, compare_results, compare_runs
from aligntune_eval.comparing.paired import mcnemar, resampled_sums, tango
from aligntune_eval.comparing.table import print_comparisons
from aligntune_eval.files.reading import Result, Row, result_of

if TYPE_CHECKING:
    from pathlib import Path

ROWS = sums(120)


def result(
    evaluation: Evaluation, rows: Rows = ROWS, model: str = "m", task: str = "sums"
) -> Result:
    return result_of(evaluation, model=model, task=task, rows=rows)


@pytest.fixture(scope="module")
def pair() -> tuple[Result, Result]:
    first = result(measured(ROWS, 0.4, seed=1, bleu=True), model="small")
    return first, result(measured(ROWS, 0.8, seed=2, bleu=True), model="large")


@pytest.fixture(scope="module")
def comparison(pair: tuple[Result, Result]) -> Comparison:
    return compare(*pair)


def values(result: Result, name: str) -> list[float]:
    return [row.values[name] for row in result.rows]


@pytest.mark.parametrize("counts", [(12, 5, 100), (1, 7, 44), (30, 28, 60), (0, 3, 50)])
def test_tango_inverts_the_score_test(counts: tuple[int, int, int]) -> None:
    """The likeliest share of lost rows is found by a search here, and in closed form there."""
    gained, lost, n = counts

    def score(delta: float) -> float:
        def unlikely(share: float) -> float:
            chances = [share + delta, share, 1 - 2 * share - delta]
            return -float(stats.multinomial.logpmf([gained, lost, n - gained - lost], n, chances))

        bounds = (max(0.0, -delta) + 1e-12, (1 - delta) / 2 - 1e-12)
        share = optimize.minimize_scalar(
            unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}
        ).x
        return float((gained - lost - n * delta) / math.sqrt(n * (2 * share + delta - delta**2)))

    value = (gained - lost) / n
    low = optimize.brentq(lambda delta: score(delta) - 1.959963984540054, -0.99, value - 1e-6)
    high = optimize.brentq(lambda delta: score(delta) + 1.959963984540054, value + 1e-6, 0.99)
    assert tango(*counts) == pytest.approx((low, high), abs=1e-5)


def test_tango_where_no_row_changed_has_a_width() -> None:
    z2 = 1.959963984540054**2
    assert tango(0, 0, 44) == pytest.approx((-z2 / (44 + z2), z2 / (44 + z2)))
    with pytest.raises(ValueError, match="3 rows gained and 2 lost, of 4"):
        tango(3, 2, 4)


@pytest.mark.parametrize(("gained", "lost"), [(5, 12), (0, 0), (0, 9), (7, 7), (300, 350)])
def test_mcnemar_is_a_binomial_test_of_the_rows_that_changed(gained: int, lost: int) -> None:
    both = gained + lost
    expected = stats.binomtest(gained, both).pvalue if both else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_resamples_are_of_whole_rows() -> None:
    columns = np.stack([np.arange(50.0), 3 * np.arange(50.0), np.ones(50)], axis=1)
    drawn = resampled_sums(columns, seed=3)
    assert np.allclose(drawn[:, 1], 3 * drawn[:, 0])
    assert np.allclose(drawn[:, 2], 50)
    assert drawn[:, 0].mean() == pytest.approx(columns[:, 0].sum(), rel=0.01)
    assert np.array_equal(drawn, resampled_sums(columns[::-1].copy(), seed=3))


def test_a_difference_of_right_and_wrong(
    pair: tuple[Result, Result], comparison: Comparison
) -> None:
    one, other = (np.array(values(each, "accuracy")) for each in pair)
    found = comparison.difference("accuracy")
    gained, lost = int((other > one).sum()), int((other < one).sum())
    assert (found.better, found.worse, found.equal) == (gained, lost, 120 - gained - lost)
    assert found.value == pytest.approx(other.mean() - one.mean())
    assert found.stderr == pytest.approx(stats.sem(other - one))
    assert found.interval == tango(gained, lost, 120)
    assert found.p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    assert found.verdict == "better"


def test_a_difference_of_perplexities_resamples_both_sums(
    pair: tuple[Result, Result], comparison: Comparison
) -> None:
    found = comparison.difference("perplexity")
    data = [np.array(values(each, name)) for each in pair for name in ("nll", "tokens")]

    def statistic(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, axis: int) -> object:
        ratios = [np.exp(x.sum(axis) / y.sum(axis)) for x, y in ((a, b), (c, d))]
        return ratios[1] - ratios[0]

    oracle = stats.bootstrap(
        data, statistic, paired=True, method="percentile", n_resamples=4000, rng=1
    )
    assert found.value == pytest.approx(statistic(*data, axis=0))
    assert found.stderr == pytest.approx(oracle.standard_error, rel=0.06)
    interval = oracle.confidence_interval
    width = interval.high - interval.low
    assert found.interval == pytest.approx((interval.low, interval.high), abs=0.06 * width)
    assert found.verdict == "better"
    assert found.higher_is_better is False
    assert (found.better > found.worse) == (found.value < 0)


def test_a_difference_of_bleu_is_computed_again_from_the_completions(
    pair: tuple[Result, Result], comparison: Comparison
) -> None:
    found = comparison.difference("bleu")
    texts = [[row.completions[0] for row in each.rows] for each in pair]
    right = [row.reference for row in pair[0].rows]

    def bleu(model: int, rows: np.ndarray) -> float:
        some = [texts[model][row] for row in rows]
        return float(BLEU().corpus_score(some, [[right[row] for row in rows]]).score)

    assert found.value == pytest.approx(bleu(1, np.arange(120)) - bleu(0, np.arange(120)))
    generator = np.random.default_rng(7)
    drawn = []
    for _ in range(120):
        rows = generator.integers(0, 120, 120)
        drawn.append(bleu(1, rows) - bleu(0, rows))
    assert found.stderr == pytest.approx(np.std(drawn, ddof=1), rel=0.3)
    assert found.interval is not None
    low, high = found.interval
    assert low == pytest.approx(found.value - 1.96 * found.stderr, rel=0.1)
    assert high == pytest.approx(found.value + 1.96 * found.stderr, rel=0.1)


def test_rows_are_paired_by_what_was_asked_and_not_by_position(
    pair: tuple[Result, Result], comparison: Comparison
) -> None:
    shuffled = list(range(120))
    np.random.default_rng(0).shuffle(shuffled)
    mixed = replace(pair[1], rows=tuple(pair[1].rows[place] for place in shuffled))
    again = compare(pair[0], mixed)
    for one, other in zip(comparison.differences, again.differences, strict=True):
        for name in ("first", "second", "value", "stderr", "low", "high"):
            assert getattr(one, name) == pytest.approx(getattr(other, name)), (one.metric, name)
        assert (one.better, one.worse, one.n) == (other.better, other.worse, other.n)
    assert all(a.prompt == b.prompt for a, b in again.pairs)


def test_rows_of_one_side_alone_are_counted_and_said(pair: tuple[Result, Result]) -> None:
    rows = [*ROWS[20:], *({**row, "prompt": "new"} for row in sums(5))]
    other = result(measured(rows, 0.8, seed=2), rows, "large")
    found = compare(pair[0], other)
    assert (len(found.pairs), found.only_first, found.only_second) == (100, 20, 5)
    assert "20 rows of small have no partner and are left out" in found.notes
    assert "5 rows of large have no partner and are left out" in found.notes
    assert "only small has bleu, which is not compared" in found.notes
    accuracy = found.difference("accuracy")
    assert accuracy.n == 100
    assert accuracy.first == pytest.approx(np.mean(values(pair[0], "accuracy")[20:]))
    with pytest.raises(
        EvaluationError, match=r"'bleu' is not compared; compared are: accuracy, pe"
    ):
        found.difference("bleu")


def test_questions_that_stand_twice_are_paired_once_each() -> None:
    rows = [ROWS[0], ROWS[1], ROWS[0]]
    found = compare(result(measured(rows, seed=1), rows), result(measured(rows[:2]), rows[:2]))
    assert (len(found.pairs), found.only_first) == (2, 1)


def test_changed_rows_come_largest_first(comparison: Comparison) -> None:
    accuracy = comparison.difference("accuracy")
    changed = comparison.changed("accuracy")
    assert len(changed) == accuracy.better + accuracy.worse
    assert [c.value for c in changed] == [-1.0] * accuracy.worse + [1.0] * accuracy.better
    assert all(c.first.completions != c.second.completions for c in changed)
    sizes = [abs(c.value) for c in comparison.changed("perplexity")]
    assert sizes == sorted(sizes, reverse=True)


def test_a_model_against_itself(pair: tuple[Result, Result]) -> None:
    found = compare(pair[0], pair[0])
    for name in ("accuracy", "perplexity", "bleu"):
        assert found.difference(name).value == 0
        assert found.changed(name) == []
    accuracy, perplexity = found.difference("accuracy"), found.difference("perplexity")
    assert accuracy.p == 1
    assert accuracy.interval == tango(0, 0, 120)
    assert perplexity.interval is None
    assert "every resample gives the same difference" in perplexity.method


def test_what_differs_besides_the_model_is_said(tmp_path: Path) -> None:
    evaluation = measured(ROWS)
    metric = replace(evaluation.metrics[1], details={"window": 32})
    other = Evaluation((evaluation.metrics[0], metric), evaluation.samples, 1.0)
    written(tmp_path / "a", "small", evaluation, ROWS, seed=1)
    written(tmp_path / "b", "large", other, ROWS, seed=2, max_new_tokens=8)
    notes = compare_runs([tmp_path / "a", tmp_path / "b"])[0].notes
    assert "seed: 1 in small, 2 in large" in notes
    assert "max_new_tokens: 256 in small, 8 in large" in notes
    assert "perplexity: window is 64 in the first and 32 in the second" in notes


def test_perplexities_of_two_tokenizers_are_marked(pair: tuple[Result, Result]) -> None:
    rows = [replace(r, values={**r.values, "tokens": r.values["tokens"] * 2}) for r in pair[1].rows]
    metrics = [
        replace(m, value=math.sqrt(m.value)) if m.name == "perplexity" else m
        for m in pair[1].metrics
    ]
    found = compare(pair[0], replace(pair[1], rows=tuple(rows), metrics=tuple(metrics)))
    assert any("not comparable; bits_per_byte is" in note for note in found.notes)


def test_without_rows_there_is_no_interval(pair: tuple[Result, Result]) -> None:
    found = compare(pair[0], replace(pair[1], rows=()))
    assert all(d.interval is None for d in found.differences)
    assert found.difference("accuracy").method == "no interval: there are no samples of the rows"
    assert found.difference("accuracy").value == pytest.approx(
        pair[1].metric("accuracy").value - pair[0].metric("accuracy").value
    )


def test_rows_that_do_not_give_the_number_are_not_trusted(pair: tuple[Result, Result]) -> None:
    wrong = tuple(replace(m, value=m.value + 0.01) for m in pair[1].metrics)
    found = compare(pair[0], replace(pair[1], metrics=wrong))
    assert all(d.interval is None and d.p is None for d in found.differences)
    assert "do not give the number" in found.difference("accuracy").method
    assert "do not give the number" in found.difference("bleu").method
    unknown = tuple(replace(m, combine=None) for m in pair[1].metrics)
    found = compare(pair[0], replace(pair[1], metrics=unknown))
    assert "how the rows make it is not in the results" in found.difference("bleu").method


def test_mistakes_are_errors_that_say_what_is_there(pair: tuple[Result, Result]) -> None:
    first, second = pair
    with pytest.raises(EvaluationError, match="small was measured on 'sums' and large on 'other'"):
        compare(first, replace(second, task="other"))
    with pytest.raises(EvaluationError, match="no metric is in both: small has accuracy"):
        compare(first, replace(second, metrics=(Metric("f1", 0.5, 120),)))
    elsewhere = [{**row, "prompt": f"{row['prompt']}?"} for row in ROWS]
    with pytest.raises(EvaluationError, match=r"none of the 120 rows .* differ in the column 'pro"):
        compare(first, result(measured(elsewhere), elsewhere))
    bare = Evaluation((Metric("a", 1.0, 1, combine=Combine("mean", "a")),), [{"row": 0, "a": 1}], 1)
    with pytest.raises(EvaluationError, match="do not say what was asked"):
        compare(bare, bare)


def test_no_results_cannot_be_compared() -> None:
    with pytest.raises(EvaluationError, match="there are no results to compare"):
        compare_results([])


def test_evaluations_can_be_compared_as_they_are() -> None:
    found = compare(measured(ROWS, 0.4, 1), measured(ROWS, 0.8, 2))
    assert (found.first, found.second, len(found.pairs)) == ("first", "second", 120)
    assert found.difference("accuracy").interval is not None


def test_a_single_pair_has_no_spread() -> None:
    row = Row("k", 0, "p", "r", ("c",), {"score": 0.25})
    metric = Metric("score", 0.25, 1, combine=Combine("mean", "score"))
    one = Result("a", "t", (metric,), (row,))
    more = replace(row, values={"score": 0.75})
    other = replace(one, metrics=(replace(metric, value=0.75),), rows=(more,))
    found = compare(one, other).difference("score")
    assert (found.value, found.stderr, found.interval) == (0.5, None, None)
    assert "a single row" in found.method


def test_the_table_and_the_json_say_the_same(comparison: Comparison) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    print_comparisons([comparison], rows=2, console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    found = json.loads(json.dumps(comparison.as_dict(rows=2)))
    accuracy = found["differences"][0]
    assert f"{accuracy['value']:+.4g}" in text
    assert f"{accuracy['better']}/{accuracy['worse']}" in text
    assert f"McNemar's exact p = {accuracy['p']:.2g}" in text
    assert len(accuracy["changed"]) == 2
    for change in accuracy["changed"]:
        assert f"row {change['row']}: " in text
        assert change["second"][0] in text
    changed = accuracy["better"] + accuracy["worse"]
    assert f"accuracy: {changed} of 120 rows changed, the first 2 of them" in text


def test_a_narrow_terminal_loses_no_number(comparison: Comparison) -> None:
    console = Console(file=io.StringIO(), width=30, force_terminal=False)
    print_comparisons([comparison], rows=0, console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for difference in comparison.differences:
        assert difference.interval is not None
        assert f"{difference.value:+.4g}" in text
        assert f"{difference.interval[1]:+.3g}" in text
        assert f"{difference.better}/{difference.worse}" in text


def test_metrics_that_change_alike_share_their_rows(pair: tuple[Result, Result]) -> None:
    doubled = [
        replace(each, metrics=(*each.metrics, replace(each.metrics[0], name="again")))
        for each in pair
    ]
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    print_comparisons([compare(*doubled)], console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("accuracy, again: ") == 2  # the interval, and the rows


def test_runs_are_compared_by_model_and_task(tmp_path: Path) -> None:
    for run, seed in (("before", 1), ("after", 2)):
        written(tmp_path / run, "m", measured(ROWS, 0.5, seed), ROWS)
        written(tmp_path / run, "n", measured(ROWS, 0.5, seed + 10), ROWS)
    paths = [tmp_path / "before", tmp_path / "after"]
    found = compare_runs(paths)
    assert [(c.first, c.second) for c in found] == [
        (f"{model} ({paths[0]})", f"{model} ({paths[1]})") for model in ("m", "n")
    ]
    one = compare_runs([paths[0]])
    assert [(c.first, c.second) for c in one] == [("m", "n")]
    written(tmp_path / "third", "o", measured(ROWS, 0.5, 7), ROWS)
    with pytest.raises(EvaluationError, match="which to compare is open; name the folders of the"):
        compare_runs([paths[0], tmp_path / "third"])
    assert [c.second for c in compare_runs([paths[0] / "m", tmp_path / "third"])] == ["o"]
    with pytest.raises(
        EvaluationError, match="there is one model alone, o, and nothing to compare"
    ):
        compare_runs([tmp_path / "third"])
    written(tmp_path / "fourth", "o", measured(ROWS), ROWS, task="products")
    with pytest.raises(
        EvaluationError, match=r"o \(.*\) was measured on sums and o \(.*\) on products: no task"
    ):
        compare_runs([tmp_path / "third", tmp_path / "fourth"])


def test_a_model_of_one_run_alone_is_said(tmp_path: Path) -> None:
    for run, models in (("before", "mno"), ("after", "mp")):
        for seed, model in enumerate(models):
            written(tmp_path / run, model, measured(ROWS, 0.5, seed), ROWS)
    (found,) = compare_runs([tmp_path / "before", tmp_path / "after"])
    assert found.notes == ("in one run alone, and not compared: n, o, p",)
