"""Every accepted form of a reward, and every form that is refused."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aligntune.errors import ConfigError, DataError, PluginError, RewardError
from aligntune.scoring import Part, RewardBatch, RewardFunction, Scorer, as_reward
from aligntune.scoring.protocol import SampleError, run_async

BATCH = RewardBatch(
    texts=["one", "three", ""],
    prompts=["p1", [{"role": "system", "content": "s"}, {"role": "user", "content": "p2"}], "p3"],
    references=["one", "two", ""],
    columns={"text": ["T1", "T2", "T3"], "level": [1, 2, 3]},
    step=7,
)


def values(obj: object, batch: RewardBatch = BATCH, **params: Any) -> list[float | None]:
    return list(as_reward(obj, "r", params).compute_batch(batch))


def test_function_with_reference_and_kwargs() -> None:
    seen: list[dict[str, Any]] = []

    def reward(text: str, reference: str | None = None, **kwargs: Any) -> float:
        seen.append(kwargs)
        return float(text == reference)

    assert values(reward) == [1.0, 0.0, 1.0]
    # A column called `text` cannot clash with the text, which goes by position.
    assert seen[1] == {"level": 2, "prompt": "p2", "step": 7}


def test_only_declared_names_are_passed() -> None:
    def reward(completion: str, level: int) -> float:
        return len(completion) * 10 + level

    adapted = as_reward(reward)
    assert list(adapted.compute_batch(BATCH)) == [31.0, 52.0, 3.0]
    assert adapted.needs == {"level"}
    assert adapted.name == "reward"


def test_a_positional_only_text_leaves_the_column_of_that_name() -> None:
    def reward(text: str, /, **columns: Any) -> float:
        return float(columns["text"] == f"T{columns['level']}" and text in ("one", "three", ""))

    assert values(reward) == [1.0, 1.0, 1.0]


def test_parameters_of_a_function_override_columns_and_are_checked() -> None:
    def reward(text: str, level: int, factor: float = 1.0) -> float:
        return level * factor

    assert values(reward, level=5, factor=2.0) == [10.0, 10.0, 10.0]
    assert as_reward(reward, params={"level": 5}).needs == frozenset()
    with pytest.raises(ConfigError, match=r"no parameter 'fctor'; it takes factor, level, text"):
        as_reward(reward, params={"fctor": 2.0})


def test_builtin_partial_lambda_and_method() -> None:
    def scaled(text: str, factor: int) -> float:
        return len(text) * factor

    assert values(len) == [3.0, 5.0, 0.0]
    assert values(partial(scaled, factor=2)) == [6.0, 10.0, 0.0]
    assert as_reward(partial(scaled, factor=2)).name == "scaled"
    assert as_reward(lambda text: 1.0).name == "custom"
    assert values({"one": 1.0, "": 2.0}.get) == [1.0, None, 2.0]


def test_a_missing_required_column_is_named() -> None:
    def reward(text: str, tests: list[str]) -> float:
        return 1.0

    with pytest.raises(
        DataError, match=r"r needs 'tests'; there is level, prompt, reference, step"
    ):
        values(reward)


class OnlyText(RewardFunction):
    name = "only_text"

    def compute(self, text: str) -> float:
        return float(len(text))


class WithColumn(RewardFunction):
    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def compute(self, text: str, level: int) -> float:
        return level * self.factor


class Whole(RewardFunction):
    def compute_batch(self, batch: RewardBatch) -> list[float | None]:
        return [None if not text else 1.0 for text in batch.texts]


class Waits(RewardFunction):
    async def acompute_batch(self, batch: RewardBatch) -> list[float | None]:
        return [float(len(batch)) for _ in batch.texts]


def test_reward_functions_as_class_and_as_instance() -> None:
    assert values(OnlyText) == values(OnlyText()) == [3.0, 5.0, 0.0]
    assert values(WithColumn, factor=2.0) == values(WithColumn(2.0)) == [2.0, 4.0, 6.0]
    assert values(Whole) == [1.0, 1.0, None]
    assert values(Waits) == [3.0, 3.0, 3.0]
    assert OnlyText().label == "only_text"
    assert Whole().label == "Whole"


def test_parameters_of_a_class_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"reward 'r' has no parameter 'fact'; it takes factor"):
        values(WithColumn, fact=1)
    with pytest.raises(ConfigError, match=r"reward 'r' has no parameter 'x'; it takes none"):
        values(OnlyText, x=1)
    with pytest.raises(ConfigError, match=r"made already, so the parameters 'factor'"):
        values(WithColumn(), factor=1)


def test_parameters_that_a_class_needs_or_rejects() -> None:
    class Needs(OnlyText):
        def __init__(self, model: str) -> None:
            if model != "small":
                raise ValueError("model must be 'small'")

    assert values(Needs, model="small") == [3.0, 5.0, 0.0]
    with pytest.raises(ConfigError, match=r"needs the parameter 'model'; it takes model"):
        values(Needs)
    with pytest.raises(ConfigError, match=r"does not accept its parameters: model must be 'small'"):
        values(Needs, model="big")


def test_classes_that_are_no_reward_functions() -> None:
    class Computes:
        def compute(self, text: str, **kwargs: Any) -> float:
            return float(len(text)) + kwargs["level"]

    class Called:
        def __init__(self, plus: int) -> None:
            self.plus = plus

        def __call__(self, text: str) -> float:
            return float(len(text) + self.plus)

    assert values(Computes) == values(Computes()) == [4.0, 7.0, 3.0]
    assert values(Called, plus=1) == values(Called(1)) == [4.0, 6.0, 1.0]


def test_a_function_written_for_trl_gets_what_trl_gives() -> None:
    seen: dict[str, Any] = {}

    def reward(prompts: list[str], completions: list[str], **kwargs: Any) -> list[float]:
        seen.update(kwargs, prompts=prompts)
        return [float(len(c)) for c in completions]

    assert values(reward) == [3.0, 5.0, 0.0]
    assert seen == {
        "prompts": BATCH.prompts,
        "reference": BATCH.references,
        "text": ["T1", "T2", "T3"],
        "level": [1, 2, 3],
    }


def test_a_function_written_for_trl_gets_messages_and_parameters() -> None:
    def reward(completions: list[Any], level: list[int], bonus: float = 0.0) -> list[float]:
        return [len(c[0]["content"]) + n + bonus for c, n in zip(completions, level, strict=True)]

    talk = [[{"role": "assistant", "content": "ab"}], [{"role": "assistant", "content": ""}]]
    batch = RewardBatch(["ab", ""], columns={"level": [1, 2]}, messages=talk)
    assert values(reward, batch, bonus=0.5) == [3.5, 2.5]
    assert as_reward(reward).needs == {"level"}
    with pytest.raises(DataError, match="r needs 'level'"):
        values(reward, RewardBatch(["ab"]))


def test_async_functions_of_both_kinds_also_inside_a_running_loop() -> None:
    async def text(text: str, level: int) -> float:
        return float(level)

    async def native(completions: list[str], **kwargs: Any) -> list[float]:
        return [1.0 for _ in completions]

    assert values(text) == [1.0, 2.0, 3.0]
    assert values(native) == [1.0, 1.0, 1.0]

    async def inside() -> list[float | None]:
        return values(text)

    assert run_async(inside()) == [1.0, 2.0, 3.0]


def test_an_async_function_that_raises_names_the_sample() -> None:
    async def reward(text: str, level: int) -> float:
        if level == 2:
            raise KeyError("x")
        return 1.0

    with pytest.raises(SampleError) as caught:
        values(reward)
    assert caught.value.index == 1
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_belongs_to_an_event_loop_serves_every_batch() -> None:
    one_at_a_time = asyncio.Semaphore(1)

    async def reward(text: str) -> float:
        async with one_at_a_time:
            await asyncio.sleep(0)
        return 1.0

    made = as_reward(reward)
    assert [made.compute_batch(BATCH) for _ in range(3)] == [[1.0, 1.0, 1.0]] * 3


def test_an_asynchronous_reward_may_use_another_which_uses_another() -> None:
    class Outer(RewardFunction):
        def __init__(self, inner: Any) -> None:
            self.inner = as_reward(inner)

        async def acompute_batch(self, batch: RewardBatch) -> Any:
            return self.inner.compute_batch(batch)

    async def reward(text: str) -> float:
        return 1.0

    assert values(Outer(Outer(reward))) == [1.0, 1.0, 1.0]


def test_an_asynchronous_reward_that_is_cancelled_or_exits_ends_no_loop() -> None:
    async def cancelled(text: str) -> float:
        raise asyncio.CancelledError

    async def exits(text: str) -> float:
        sys.exit(3)

    async def reward(text: str) -> float:
        return 1.0

    with pytest.raises(RewardError, match="reward 'cancelled' raised CancelledError"):
        Scorer([Part("cancelled", as_reward(cancelled))])(["p"], ["x"])
    with pytest.raises(SystemExit):
        values(exits)
    assert values(reward) == [1.0, 1.0, 1.0]


def test_compute_may_be_asynchronous() -> None:
    class Reward(RewardFunction):
        async def compute(self, text: str, level: int) -> float:  # type: ignore[override]
            if level > 3:
                raise KeyError("x")
            return float(level)

    assert values(Reward) == [1.0, 2.0, 3.0]
    assert as_reward(Reward).needs == {"level"}
    with pytest.raises(SampleError) as caught:
        values(Reward, RewardBatch(["a", "b"], columns={"level": [1, 4]}))
    assert caught.value.index == 1


def test_data_classes_are_rewards() -> None:
    @dataclass(frozen=True)
    class Reward(RewardFunction):
        factor: float = 2.0

        def compute(self, text: str) -> float:
            return self.factor * len(text)

    assert values(Reward, factor=3.0) == [9.0, 15.0, 0.0]
    assert Reward()(prompts=["p"], completions=["x"]) == [2.0]


def test_a_constructor_that_raises_is_named() -> None:
    class Reads:
        def __init__(self) -> None:
            Path("/no/such/words.txt").read_text()

        def compute(self, text: str) -> float:
            return 1.0

    with pytest.raises(PluginError, match="reward 'Reads' cannot be made: FileNotFoundError: "):
        as_reward(Reads)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_rewards_of_a_test.py").write_text(
        "class holder:\n"
        "    @staticmethod\n"
        "    def inner(text): return 2.0\n"
        "def good(text): return 1.0\n"
        "five = 5\n"
    )
    (tmp_path / "my_broken_rewards_of_a_test.py").write_text("raise ValueError('boom')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_rewards_of_a_test", raising=False)
    return "my_rewards_of_a_test"


def test_importable_names(module: str) -> None:
    assert values(f"{module}:good") == [1.0, 1.0, 1.0]
    assert values(f"{module}:holder.inner") == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("my_rewards_of_a_test:gone", PluginError, "has no attribute 'gone'"),
        ("no_such_module_here:f", PluginError, "No module named 'no_such_module_here'"),
        ("my_broken_rewards_of_a_test:f", PluginError, "ValueError: boom"),
        ("my_rewards_of_a_test.good", ConfigError, 'write it "package.module:name"'),
        ("my_rewards_of_a_test:five", ConfigError, "is a int; a reward is a function"),
    ],
)
def test_importable_names_that_are_wrong(
    module: str, path: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        as_reward(path)


def test_things_that_are_no_rewards() -> None:
    class Empty(RewardFunction):
        pass

    def no_text(**columns: Any) -> float:
        return 1.0

    def two_positional(text: str, reference: str, /) -> float:
        return 1.0

    with pytest.raises(ConfigError, match="overrides none of compute, compute_batch"):
        as_reward(Empty)
    with pytest.raises(ConfigError, match="reward 'no_text' takes no text"):
        as_reward(no_text)
    with pytest.raises(ConfigError, match="only the text may be positional-only"):
        as_reward(two_positional)
    with pytest.raises(ConfigError, match="is a int"):
        as_reward(3)
    with pytest.raises(ConfigError, match="make it a reward"):
        Part("r", lambda text: 1.0)  # type: ignore[arg-type]


def test_a_batch_whose_lengths_differ_is_refused() -> None:
    with pytest.raises(DataError, match="'level' holds 1 values for 2 completions"):
        RewardBatch(["a", "b"], columns={"level": [1]})
    with pytest.raises(DataError, match="'references' holds 3 values"):
        RewardBatch(["a", "b"], references=["a", "b", "c"])


def test_the_signature_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer([Part("a", as_reward(OnlyText)), Part("b", as_reward(lambda text: 1.0))])
    scorer.score(RewardBatch(["x"]))

    def refuse(*args: object) -> None:
        raise RewardError("a signature was read while scoring")

    monkeypatch.setattr("inspect.signature", refuse)
    assert scorer.score(RewardBatch(["xy"])).totals == [3.0]
