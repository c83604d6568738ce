"""pass@k: rows in the shapes of data sets, programs in the sandbox, and what is refused early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aligntune import plugins
from aligntune.errors import AlignTuneError, UnavailableError
from aligntune.evaluation import Evaluation, EvaluationSettings, evaluate, prepare
from aligntune_eval.metrics.pass_at_k import PassAtK
from aligntune_rewards.sandbox import SandboxError

Measure = Callable[..., Evaluation]

PROMPT = '''from typing import List


def helper(x):
    return x + 1


def plus(x: int) -> int:
    """Add one.

```
>>> plus(1)
2
```
    """
'''
CHECK = """METADATA = {}


def check(candidate):
    assert candidate(1) == 2
    assert candidate(-3) == -2
"""
HUMAN_EVAL: dict[str, Any] = {"prompt": PROMPT, "test": CHECK, "entry_point": "plus"}
MBPP = {
    "prompt": "Write a function that adds one.",
    "test_list": ["assert plus(1) == 2", "assert plus(start()) == 1"],
    "test_setup_code": "def start():\n    return 0",
}
APPS = {
    "prompt": "Read a number and print it plus one.",
    "input_output": '{"inputs": ["1\\n", "5\\n"], "outputs": ["2\\n", "6\\n"]}',
}
WHOLE = "```python\ndef plus(x):\n    return helper(x)\n```"


@pytest.fixture
def measure(model: Any, tokenizer: Any, say: Any) -> Measure:
    def run(row: dict[str, Any], answers: list[str], **params: Any) -> Evaluation:
        say([answers])
        settings = EvaluationSettings(num_samples=len(answers), temperature=1.0)
        entry = {"type": "pass_at_k", "params": params}
        return evaluate(model, tokenizer, [row], [entry], settings=settings, plugins=plugins.get())

    return run


def test_a_completion_continues_the_prompt_of_human_eval(measure: Measure) -> None:
    answers = [
        "    return x + 1\n",
        "    return helper(x)",
        "    return x",
        f"Sure:\n{WHOLE}\nThat is it.",
        "```\n    return helper(x)\n```",
        "    import os\n    os._exit(0)",
        "    raise SystemExit",
        "    return (",
    ]
    found = measure(HUMAN_EVAL, answers, k=[1, 2])
    right = [True, True, False, True, True, False, False, False]
    assert found.samples[0]["passed"] == right
    # 1 - C(4, 2) / C(8, 2) by hand.
    assert found.values() == pytest.approx({"pass@1": 0.5, "pass@2": 1 - 6 / 28})
    assert found.samples[0]["scores"] == found.values()
    details = found.metric("pass@1").details
    assert (details["samples"], details["shape"]) == (8, "test")
    assert details["isolation"]
    assert sum(details["failures"].values()) >= 2
    assert found.metric("pass@1").higher_is_better is True


def test_whole_programs_of_the_other_shapes(measure: Measure) -> None:
    plus = "def plus(x):\n    return x + 1"
    found = measure(MBPP, [plus, f"```python\n{plus}\n```", "def plus(x):\n    return 2"])
    assert found.samples[0]["passed"] == [True, True, False]
    found = measure(APPS, ["print(int(input()) + 1)", "print(2)"])
    assert found.samples[0]["passed"] == [True, False]
    tests = {"prompt": "p", "tests": [{"function": "f", "args": [1], "expected": 2}]}
    found = measure(tests, ["def f(x): return 2", "def f(x): return 2.5"], tolerance=0.5)
    assert found.samples[0]["passed"] == [True, True]


def test_what_completions_continue_can_be_named(measure: Measure) -> None:
    chat = [{"role": "user", "content": "Complete the function."}]
    row = {**HUMAN_EVAL, "prompt": chat, "code": HUMAN_EVAL["prompt"]}
    assert measure(row, [WHOLE, WHOLE]).samples[0]["passed"] == [False, False]  # no helper
    found = measure(row, [WHOLE, "    return x + 1"], continues="code", name="mine")
    assert found.samples[0]["passed"] == [True, True]
    assert found.values() == {"mine/pass@1": 1.0}
    whole = "def plus(x):\n    return x + 1"
    found = measure(HUMAN_EVAL, [whole, "    return x + 1"], continues=False)
    assert found.samples[0]["passed"] == [True, False]


@pytest.mark.parametrize(
    ("row", "params", "says"),
    [
        (HUMAN_EVAL, {"k": 3}, "k is 3, and num_samples is 2; set num_samples to 3 or more"),
        (HUMAN_EVAL, {"k": [1, 3]}, "k is 3, and num_samples is 2"),
        (HUMAN_EVAL, {"k": 0}, "k is 0; it is a whole number from 1"),
        (HUMAN_EVAL, {"k": [1, 1]}, "names a number twice"),
        (HUMAN_EVAL, {"score": "share"}, "a program is right or wrong"),
        (HUMAN_EVAL, {"continues": 1}, "continues is 1; it is the name of a column, or false"),
        (HUMAN_EVAL, {"continues": "code"}, "needs 'code', which row 0 does not have"),
        (HUMAN_EVAL, {"memory": 64}, "no parameter 'memory'"),
        (
            {**HUMAN_EVAL, "prompt": "Please write plus."},
            {},
            "row 0: 'Please write plus.' is not the",
        ),
        ({**HUMAN_EVAL, "entry_point": None}, {}, "row 0: 'entry_point' is missing"),
        ({**MBPP, "test_list": []}, {}, "row 0: 'test_list' is empty"),
        ({**MBPP, "test_list": ["plus(1) ="]}, {}, "row 0: tests: .* is no Python"),
        ({**MBPP, "test_list": ["x = plus(1)"]}, {}, "row 0: .* has no assert"),
        (
            {**APPS, "input_output": '{"inputs": ["1"], "outputs": []}'},
            {},
            "1 inputs and 0 outputs",
        ),
        (
            {"prompt": "p", "answer": "a"},
            {},
            "needs tests, and the rows have none; .* prompt, answer",
        ),
        ({"tests": "assert f(1) == 2"}, {}, "needs 'prompt'"),
    ],
)
def test_mistakes_show_before_a_model(
    row: dict[str, Any], params: dict[str, Any], says: str
) -> None:
    settings = EvaluationSettings(num_samples=2, temperature=1.0)
    with pytest.raises(AlignTuneError, match=says):
        prepare([row], [{"type": "pass_at_k", "params": params}], settings, plugins.get())


def test_weak_isolation_is_refused_as_the_reward_refuses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def weak(*args: Any, allow_weak_isolation: bool, **more: Any) -> Any:
        assert allow_weak_isolation is False
        raise SandboxError("only rlimits work here; allow_weak_isolation: true goes on")

    monkeypatch.setattr("aligntune_rewards.verifiable.code_execution.Sandbox", weak)
    with pytest.raises(UnavailableError, match="'code_execution': only rlimits work here"):
        prepare([MBPP], [PassAtK()], EvaluationSettings(), plugins.get())
