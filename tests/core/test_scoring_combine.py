"""The weighted sum: order of steps, failure rules, references, and the call that TRL makes."""

from __future__ import annotations

import logging
import math
import pickle
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligntune.errors import ConfigError, DataError, PluginError, RewardError
from aligntune.scoring import Part, RewardBatch, RewardFunction, Scorer, as_reward

if TYPE_CHECKING:
    from collections.abc import Callable


class Fixed(RewardFunction):
    """Returns what it was made with, whatever that is."""

    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def compute_batch(self, batch: RewardBatch) -> Any:
        return self.returned


def part(name: str, values: Any, weight: float = 1.0, **options: Any) -> Part:
    return Part(name, Fixed(values), weight, **options)


def batch(n: int) -> RewardBatch:
    return RewardBatch([f"completion {i}" for i in range(n)], [f"prompt {i}" for i in range(n)])


def test_weighted_sum_and_raw_values() -> None:
    scores = Scorer([part("a", [1, 0.5], 2.0), part("b", [3.0, -1.0], 0.5)]).score(batch(2))
    assert scores.totals == [3.5, 0.5]
    assert scores.raw == {"a": [1.0, 0.5], "b": [3.0, -1.0]}


def test_clip_comes_before_weight_and_leaves_raw_values() -> None:
    scorer = Scorer([part("a", [9.0, -9.0], 2.0, clip=3), part("b", [9.0, -9.0], 1.0, clip=[0, 5])])
    scores = scorer.score(batch(2))
    assert scores.totals == [11.0, -6.0]
    assert scores.raw["a"] == [9.0, -9.0]


def test_a_shield_caps_the_total_after_the_sum() -> None:
    parts = [
        part("good", [5.0, 5.0, -5.0, 5.0]),
        part("safe", [0.4, 0.5, 0.4, None], 0, shield=True),
    ]
    assert Scorer(parts).score(batch(4)).totals == [0.0, 5.0, -5.0, 5.0]
    parts[1] = part("safe", [1.9] * 4, 1, shield=True, shield_threshold=2.0, shield_value=-1.0)
    assert Scorer(parts).score(batch(4)).totals == [-1.0, -1.0, -3.1, -1.0]


def test_none_is_left_out_of_the_row_and_all_none_is_an_error() -> None:
    assert Scorer([part("a", [None, 1]), part("b", [2, None])]).score(batch(2)).totals == [2.0, 1.0]
    with pytest.raises(
        RewardError, match=r"no reward applies to sample 1 of 2 \(prompt 'prompt 1'"
    ):
        Scorer([part("a", [1, None]), part("b", [2, None])]).score(batch(2))


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ([1.0], "reward 'bad' returned 1 values for 2 completions"),
        ([1.0, 2.0, 3.0], "reward 'bad' returned 3 values for 2 completions"),
        (
            [1.0, math.nan],
            r"'bad' returned nan for sample 1 of 2 \(prompt 'prompt 1', completion 'c",
        ),
        ([math.inf, 1.0], "'bad' returned inf for sample 0 of 2"),
        ([1.0, -math.inf], "'bad' returned -inf for sample 1 of 2"),
        ([1.0, "0.5"], "'bad' returned '0.5' for sample 1 of 2 .*it must return a number"),
        ([1.0, [0.5]], r"'bad' returned \[0.5\] for sample 1 of 2"),
        ([10**400, 1.0], "returned 1000.* it must return a number"),
        (1.0, "'bad' returned 1.0 for a batch of 2; it must return a list"),
        (None, "'bad' returned None for a batch of 2"),
        ("ab", "'bad' returned 'ab' for a batch of 2"),
        ({0: 1.0, 1: 2.0}, "it must return a list"),
    ],
)
def test_what_is_no_reward_is_an_error(returned: Any, says: str) -> None:
    with pytest.raises(RewardError, match=says):
        Scorer([part("fine", [1.0, 1.0]), part("bad", returned)]).score(batch(2))


def test_other_sequences_and_other_numbers() -> None:
    class Array:
        def tolist(self) -> list[float]:
            return [1.5, 2.5]

    scorer = Scorer([part("a", Array()), part("b", (Fraction(1, 2), True))])
    assert scorer.score(batch(2)).totals == [2.0, 3.5]


def test_an_exception_names_reward_sample_prompt_and_completion() -> None:
    def reward(text: str) -> float:
        return 1.0 / (0 if text.endswith("1") else 1)

    with pytest.raises(RewardError) as caught:
        Scorer([Part("div", as_reward(reward))]).score(batch(3))
    message = str(caught.value)
    assert message.startswith("reward 'div' raised ZeroDivisionError: ")
    assert message.endswith("on sample 1 of 3 (prompt 'prompt 1', completion 'completion 1')")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_exception_of_a_whole_batch_names_the_reward() -> None:
    class Broken(RewardFunction):
        def compute_batch(self, batch: RewardBatch) -> list[float | None]:
            raise LookupError

    with pytest.raises(
        RewardError, match=r"'b' raised LookupError on a batch of 2, .*sample 0"
    ) as e:
        Scorer([Part("b", Broken())]).score(batch(2))
    assert isinstance(e.value.__cause__, LookupError)


def test_long_completions_are_shortened_in_messages() -> None:
    with pytest.raises(RewardError) as caught:
        Scorer([part("bad", [math.nan])]).score(RewardBatch(["x" * 10_000]))
    assert len(str(caught.value)) < 300


def test_a_sum_that_overflows_is_an_error() -> None:
    with pytest.raises(RewardError, match="the weighted sum is inf for sample 0"):
        Scorer([part("a", [1e308], 1e10)]).score(batch(1))


@pytest.mark.parametrize("clip", [0, -1.0, [1, 0], [1], [1, 2, 3], math.nan, [2, 2]])
def test_a_clip_that_is_no_interval_is_refused(clip: Any) -> None:
    with pytest.raises(ConfigError, match="clip"):
        part("a", [1.0], clip=clip)


@pytest.mark.parametrize("field", ["weight", "shield_threshold", "shield_value"])
def test_settings_must_be_finite(field: str) -> None:
    with pytest.raises(ConfigError, match=f"reward 'a': {field} must be a finite number"):
        Part("a", Fixed([1.0]), **{field: math.inf})


def test_names_of_their_own() -> None:
    parts = [part(n, [1.0]) for n in ("a", "a", "a_2", "a", "total")]
    assert [p.name for p in Scorer(parts).parts] == ["a", "a_3", "a_2", "a_4", "total_2"]
    with pytest.raises(ConfigError, match="no reward"):
        Scorer([])


numbers = st.one_of(st.none(), st.floats(-1e6, 1e6))


@given(st.data(), st.integers(1, 4), st.integers(1, 5))
def test_the_sum_is_the_sum(data: st.DataObject, parts: int, rows: int) -> None:
    raw = [
        [data.draw(st.floats(-1e6, 1e6)) for _ in range(rows)],  # so that one part always applies
        *([data.draw(numbers) for _ in range(rows)] for _ in range(parts)),
    ]
    weights = [data.draw(st.floats(-10, 10)) for _ in raw]
    clips = [data.draw(st.one_of(st.none(), st.floats(0.01, 100))) for _ in raw]
    scorer = Scorer(
        part("r", values, weight, clip=clip)
        for values, weight, clip in zip(raw, weights, clips, strict=True)
    )
    scores = scorer.score(batch(rows))
    for row in range(rows):
        expected = 0.0
        for values, weight, clip in zip(raw, weights, clips, strict=True):
            value = values[row]
            if value is not None:
                limit = math.inf if clip is None else clip
                expected += weight * sorted((-limit, value, limit))[1]
        assert scores.totals[row] == pytest.approx(expected, rel=1e-9, abs=1e-6)
        assert math.isfinite(scores.totals[row])
    assert list(scores.raw.values()) == raw


@given(st.permutations(range(6)))
def test_the_order_of_completions_does_not_matter(order: list[int]) -> None:
    texts = ["", "a", "bb", "ccc ", "dddd", "e e"]
    scorer = Scorer(
        [Part("n", as_reward(len), 0.5), Part("u", as_reward(lambda t: float(" " in t)))]
    )
    straight = scorer.score(RewardBatch(texts)).totals
    shuffled = scorer.score(RewardBatch([texts[i] for i in order])).totals
    assert shuffled == [straight[i] for i in order]


def same(text: str, reference: str | None = None) -> float:
    return float(text == reference)


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (("target", "answer", "solution"), "answer"),
        (("target", "response"), "response"),
        (("ground_truth", "other"), "ground_truth"),
        (("reference", "answer"), "reference"),
    ],
)
def test_the_first_reference_column_is_chosen_and_logged_once(
    columns: tuple[str, ...], chosen: str, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = Scorer([Part("same", as_reward(same))])
    given = {name: [name] for name in columns}
    with caplog.at_level(logging.INFO, "aligntune"):
        for _ in range(2):
            assert scorer(["p"], [chosen], **given) == [1.0]
    assert scorer.reference_column == chosen
    assert caplog.messages == [f"rewards compare with column {chosen!r}: same"]


def test_an_explicit_reference_column() -> None:
    columns = {"answer": ["a"], "label": ["l"]}
    assert Scorer([Part("same", as_reward(same))], "label")(["p"], ["l"], **columns) == [1.0]
    of_part = Scorer(
        [Part("x", as_reward(same)), Part("y", as_reward(same), 10, reference_column="label")]
    )
    assert of_part(["p"], ["l"], **columns) == [10.0]
    assert of_part(["p"], ["a"], **columns) == [1.0]
    with pytest.raises(
        DataError, match="names 'gone', which the data do not have; the columns are a"
    ):
        Scorer([Part("same", as_reward(same))], "gone")(["p"], ["l"], **columns)


def test_what_a_reward_requires_is_checked() -> None:
    def needs(text: str, reference: str, tests: str) -> float:
        return 1.0

    scorer = Scorer([Part("needs", as_reward(needs))])
    with pytest.raises(
        DataError, match=r"'needs' needs the column 'tests'; the columns are answer"
    ):
        scorer.check(["answer"])
    with pytest.raises(
        DataError, match=r"needs a reference.*the columns are tests.*reference_column"
    ):
        scorer.check(["tests"])
    scorer.check(["answer", "tests"])
    assert scorer.score(RewardBatch(["x"], references=["r"], columns={"tests": ["t"]})).totals == [
        1.0
    ]
    with pytest.raises(DataError, match="column 'tests'; there are no other columns"):
        scorer.score(RewardBatch(["x"], references=["r"]))


def test_a_requirement_stated_by_the_class_counts_too() -> None:
    class Stated(RewardFunction):
        requires = frozenset({"reference", "tests"})

        def compute(self, text: str, **columns: Any) -> float:
            return 1.0

    with pytest.raises(DataError, match="needs the column 'tests'"):
        Scorer([Part("stated", Stated())]).check(["answer", "prompt"])


def test_the_call_that_trl_makes_with_conversations() -> None:
    metrics: dict[str, float] = {}
    extra: dict[str, list[Any]] = {}
    seen: dict[str, Any] = {}

    def reward(text: str, prompt: str, answer: str, completion_ids: list[int], step: int) -> float:
        seen.update(prompt=prompt, answer=answer, step=step)
        return float(len(text) + len(completion_ids))

    scorer = Scorer([Part("len", as_reward(reward), 0.5)])
    prompts = [[{"role": "user", "content": f"q{i}"}] for i in range(2)]
    totals = scorer(
        prompts=prompts,
        completions=[
            [{"role": "assistant", "content": "abc"}],
            [
                {"role": "assistant", "content": "no"},
                {"role": "tool", "content": "long result"},
                {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
                {"role": "tool", "content": "another"},
            ],
        ],
        completion_ids=[[1], [1, 2, 3]],
        answer=["a0", "a1"],
        log_metric=metrics.__setitem__,
        log_extra=extra.__setitem__,
        trainer_state=SimpleNamespace(global_step=4),
        new_thing_of_trl=object(),
    )
    assert totals == [2.0, 3.0]
    assert metrics == {"rewards/len/mean": 5.0, "rewards/len/std": pytest.approx(math.sqrt(2))}
    assert extra == {"len": [4.0, 6.0]}
    assert seen == {"prompt": "q1", "answer": "a1", "step": 4}
    assert scorer.last is not None
    assert scorer.last.texts == ["abc", "yes"]
    assert scorer.last.references == ["a0", "a1"]
    assert scorer.last.prompts == prompts
    assert (scorer.last.totals, scorer.last.raw) == (totals, {"len": [4.0, 6.0]})
    assert scorer.last.step == 4
    assert scorer.__name__ == "total"


def test_metrics_leave_out_rows_that_a_reward_does_not_apply_to() -> None:
    metrics: dict[str, float] = {}
    scorer = Scorer([part("a", [None, 3.0]), part("never", [None, None]), part("b", [1.0, 1.0])])
    scorer(["p", "q"], ["x", "y"], log_metric=metrics.__setitem__)
    assert metrics["rewards/a/mean"] == 3.0
    assert metrics["rewards/a/std"] == 0.0
    assert not any("never" in name for name in metrics)


@pytest.mark.parametrize("column", ["text", "self", "messages", "reference", "type"])
def test_a_column_may_have_any_name(column: str) -> None:
    scorer = Scorer([Part("n", as_reward(len)), Part("k", as_reward(keyword_reward))])
    assert scorer(["p"], ["abc"], **{column: ["value"]}) == [3.0]


def keyword_reward(text: str, **columns: Any) -> float:
    return 0.0


def test_a_trl_function_gets_the_logging_functions_of_trl() -> None:
    metrics: dict[str, float] = {}

    def native(completions: list[str], log_metric: Callable[[str, float], None]) -> list[float]:
        log_metric("mine", 1.0)
        return [0.0 for _ in completions]

    Scorer([Part("native", as_reward(native))])(["p"], ["c"], log_metric=metrics.__setitem__)
    assert metrics["mine"] == 1.0


def test_a_completion_that_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="a completion is text or a list of messages, not int"):
        Scorer([part("a", [1.0])])(["p"], [3])


def test_an_empty_batch() -> None:
    assert Scorer([part("a", [])])([], []) == []


def test_a_scorer_can_be_pickled() -> None:
    scorer = Scorer([Part("n", as_reward(len), 2.0), Part("same", as_reward(same))])
    scorer(["p"], ["ab"], answer=["ab"])
    assert pickle.loads(pickle.dumps(scorer))(["p"], ["abc"], answer=["abc"]) == [7.0]


def test_totals_that_32_bits_do_not_hold_are_refused() -> None:
    with pytest.raises(RewardError, match=r"the weighted sum is 1e\+39 for sample 1 of 2"):
        Scorer([part("a", [1.0, 1e38], 10.0)]).score(batch(2))


def test_values_too_far_apart_to_be_normalized_are_an_error_with_a_name() -> None:
    scorer = Scorer([part("a", [1e200, 0.0], normalize=True)])
    with pytest.raises(RewardError, match=r"reward 'a': values around 5e\+199 are too far apart"):
        scorer.score(batch(2))


def test_weights_that_cannot_be_loaded_name_the_reward() -> None:
    class Loads(Fixed):
        def load(self) -> None:
            raise FileNotFoundError("words.txt")

    scorer = Scorer([Part("mine", Loads([1.0]))])
    with pytest.raises(PluginError, match="reward 'mine' cannot load what it scores with: File"):
        scorer.load()
