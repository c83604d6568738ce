"""code_execution: values, failures, limits, and its refusal to run where isolation is weak."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aligntune.scoring import Part, RewardBatch, Scorer
from aligntune_rewards import CodeExecutionReward

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")

ADD = "def add(a, b=1):\n    return a + b\n"
WRONG = "def add(a, b=1):\n    return 3\n"
TESTS = ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'"]


@pytest.fixture(scope="module")
def reward() -> Iterator[CodeExecutionReward]:
    made = CodeExecutionReward(timeout=5.0)
    made.load()
    yield made
    made.close()


@pytest.fixture(scope="module")
def share() -> Iterator[CodeExecutionReward]:
    made = CodeExecutionReward(score="share", timeout=5.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "tests", "value"),
    [
        (ADD, TESTS, 1.0),
        (f"It is:\n```python\n{ADD}```\nDone.", TESTS, 1.0),
        (f"```python\n{WRONG}```\nor\n```python\n{ADD}```", TESTS, 1.0),
        (WRONG, TESTS, 0.0),
        ("", TESTS, 0.0),
        ("```bash\nls\n```", TESTS, 0.0),
        ("I cannot do that.", TESTS, 0.0),
        ("def add(a, b): return '\ud800'", TESTS, 0.0),
        (ADD, [{"function": "add", "args": [1], "kwargs": {"b": 4}, "expected": 5}], 1.0),
        (ADD, '[{"function": "add", "args": [[1], [2]], "expected": [1, 2]}]', 1.0),
        (
            "def add(a, b): return (a, b)",
            [{"function": "add", "args": [1, 2], "expected": [1, 2]}],
            1.0,
        ),
        ("def add(a, b): return a == b", [{"function": "add", "args": [1, 1], "expected": 1}], 0.0),
        ("def add(a, b): return a == b", ["assert add(1, 1) == 1"], 1.0),
        ("def add(a, b): return (a, b)", ["assert add(1, 2) == [1, 2]"], 0.0),
        ("def add(a, b): return object()", ["assert add(1, 2) == 3"], 0.0),
        ("print(int(input()) + 1)", [{"input": "41", "output": "42"}], 1.0),
        ("print(int(input()) + 2)", [{"input": "41", "output": "42"}], 0.0),
        ("if __name__ == '__main__':\n    print(42)", [{"input": "", "output": "42\n"}], 1.0),
        ("print(42)\nraise SystemExit(3)", [{"input": "", "output": "42"}], 0.0),
        (ADD + "print('hello')", TESTS, 1.0),
        (ADD, ["assert abs(add(0.1, 0.2) - 0.3) < 1e-9"], 1.0),
        (ADD, "for i in range(20):\n    assert add(i, i) == 2 * i", 1.0),
        (WRONG, "for i in range(20):\n    assert add(i, i) == 2 * i", 0.0),
        (
            ADD,
            [
                "assert add(1, 2) == 3",
                "assert add(1, 2) < 4",
                {"function": "add", "args": [1], "expected": 2},
            ],
            1.0,
        ),
        (ADD, None, None),
        (ADD, [], None),
    ],
)
def test_values(reward: CodeExecutionReward, text: str, tests: Any, value: float | None) -> None:
    assert reward.compute(text, tests) == value


def test_what_remembers_is_tested_in_order(reward: CodeExecutionReward) -> None:
    stack = (
        "class Stack:\n    def __init__(self): self.items = []\n"
        "    def push(self, x): self.items.append(x)\n    def pop(self): return self.items.pop()\n"
    )
    tests = (
        "s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2\nassert s.pop() == 1\n"
        "try:\n    s.pop()\n    assert False\nexcept IndexError:\n    pass"
    )
    assert reward.compute(stack, tests) == 1.0
    assert reward.compute(stack.replace("items.pop()", "items[0]"), tests) == 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Counter('aab')", {"a": 2, "b": 1}),
        ("OrderedDict(a=1)", {"a": 1}),
        ("defaultdict(list, a=[1])", {"a": [1]}),
        ("[namedtuple('Point', 'x y')(1, 2)]", [(1, 2)]),
    ],
)
def test_what_is_as_good_as_plain(
    reward: CodeExecutionReward, value: str, expected: object
) -> None:
    text = f"from collections import *\ndef f(): return {value}"
    assert reward.compute(text, [f"assert f() == {expected}"]) == 1.0
    assert reward.compute(text, [f"for x in [0]:\n    assert f() == {expected}"]) == 1.0
    assert (
        reward.compute(text.replace("1", "3").replace("aab", "b"), [f"assert f() == {expected}"])
        == 0.0
    )


def test_other_columns(reward: CodeExecutionReward) -> None:
    check = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(0) > 0\n"
    assert reward.compute(ADD, check, None, "add") == 1.0
    assert reward.compute(WRONG, check.replace("== 3", "== 4"), None, "add") == 0.0
    area = "def area(r): return math.pi * r * r"
    assert reward.compute(area, ["assert 3 < area(1) < 4"], "import math") == 1.0
    future = f'"""Areas."""\nfrom __future__ import annotations\n\n{area}'
    assert reward.compute(future, ["assert 3 < area(1) < 4"], "import math") == 1.0
    assert reward.compute(area, ["assert 3 < area(1) < 4"]) == 0.0
    pairs = {"inputs": [[1, 2], [3, 4]], "outputs": [3, 7], "fn_name": "add"}
    assert reward.compute(ADD, pairs) == 1.0
    solution = "class Solution:\n    def add(self, a, b): return a + b"
    assert reward.compute(solution, pairs) == 1.0
    boxed = pairs | {"outputs": [[3], [7]]}  # as in APPS
    assert reward.compute(ADD, boxed) == 1.0
    assert reward.compute(WRONG, boxed) == 0.0
    assert reward.compute("def add(a, b): return [a + b]", boxed) == 1.0
    assert reward.compute("def add(a, b): return [a + b]", pairs) == 0.0
    with pytest.raises(TypeError, match=r"setup is \['import math'\]; it must be a text of Python"):
        reward.compute(area, ["assert 3 < area(1) < 4"], ["import math"])  # type: ignore[arg-type]


def test_a_share_of_the_tests(share: CodeExecutionReward) -> None:
    assert share.compute(WRONG, TESTS) == 0.5
    assert share.compute(ADD, TESTS) == 1.0
    mixed = [*TESTS, "assert add(1, 2) > 2", {"function": "add", "args": [5], "expected": 6}]
    assert share.compute(WRONG, mixed) == 0.5
    streams = [{"input": f"{n}", "output": f"{n * 2}"} for n in range(4)]
    assert share.compute("print(int(input()) + 2)", streams) == 0.25
    raises = "def add(a, b):\n    if a == 1: raise KeyError(a)\n    return a + b"
    assert share.compute(raises, TESTS) == 0.5


def test_parameters_count() -> None:
    third = [{"function": "third", "args": [], "expected": 0.333}]
    text = "def third(): return 1 / 3"
    whole = [{"function": "one", "args": [], "expected": 1}]
    for params, source, tests, value in (
        ({}, text, third, 0.0),
        ({"tolerance": 0.01}, text, third, 1.0),
        ({}, "def one(): return 1.0", whole, 1.0),
        ({"exact_types": True}, "def one(): return 1.0", whole, 0.0),
        ({"block": "first"}, f"```\n{WRONG}```\n```\n{ADD}```", TESTS, 0.0),
        ({"memory_mb": 1024}, "x = bytearray(600 << 20)\n" + ADD, TESTS, 1.0),
    ):
        made = CodeExecutionReward(**params)  # type: ignore[arg-type]
        assert made.compute(source, tests) == value, params
        made.close()


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("", "no code"),
        ("x = 1\n" * 30_000, "too long"),
        ("def add(", "error"),
        ("raise ValueError", "error"),
        ("while True: pass", "timeout"),
        ("import time; time.sleep(100)", "timeout"),
        ("x = bytearray(1 << 32)", "memory"),
        ("while True: print('x' * 10000)", "output"),
        ("import os; os.kill(os.getpid(), 9)", "killed"),
        ("import os; os._exit(0)", "ended early"),
    ],
)
def test_what_failed_is_counted(source: str, kind: str) -> None:
    made = CodeExecutionReward(score="share", timeout=1.0)
    assert made.compute(source, TESTS) == 0.0
    assert made.failures == {kind: 1}
    # Tests in a process of their own know less of why the program has ended.
    made.failures.clear()
    assert made.compute(source, ["assert add(1, 2) < 4"]) == 0.0
    less = kind in ("memory", "killed", "ended early")
    assert made.failures == {"error" if less else kind: 1}
    made.close()


@pytest.mark.parametrize("tests", [TESTS, ["assert add(1, 2) < 4", "assert add('a', 'b') < 'c'"]])
def test_a_program_that_ends_itself_keeps_nothing(tests: list[str]) -> None:
    made = CodeExecutionReward(score="share")
    text = "import os\ndef add(a, b):\n    if a == 'a': os._exit(0)\n    return a + b"
    assert made.compute(text, tests) == 0.0
    assert made.failures == {"ended early": 1}
    made.close()


def test_the_time_is_that_of_all_tests_together() -> None:
    made = CodeExecutionReward(timeout=1.0, score="share")
    streams = [{"input": "", "output": ""}] * 20
    begun = time.monotonic()
    assert made.compute("import time; time.sleep(0.4)", streams) == 0.0
    assert time.monotonic() - begun < 5
    assert made.failures == {"timeout": 1}
    made.close()


def test_programs_do_not_meet(reward: CodeExecutionReward) -> None:
    texts = [ADD, WRONG, "while True: pass"] * 4
    values: dict[int, float | None] = {}

    def score(index: int) -> None:
        values[index] = reward.compute(texts[index], TESTS)

    threads = [threading.Thread(target=score, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [values[index] for index in range(len(texts))] == [1.0, 0.0, 0.0] * 4


def test_a_batch_in_a_scorer(reward: CodeExecutionReward) -> None:
    batch = RewardBatch(
        [ADD, WRONG, ADD], columns={"tests": [TESTS, TESTS, ["assert add(1) == 2"]]}
    )
    scorer = Scorer([Part("code_execution", reward)])
    assert scorer.score(batch).totals == [1.0, 0.0, 1.0]


def test_the_isolation_is_logged_and_recorded(caplog: pytest.LogCaptureFixture) -> None:
    made = CodeExecutionReward()
    assert made.isolation is None
    with caplog.at_level(logging.INFO, "aligntune"):
        made.load()
        made.load()
    assert made.isolation == "bwrap"
    assert caplog.messages == ["reward code_execution runs programs under bwrap"]
    assert Scorer([Part("mine", made)]).record() == {"mine": {"isolation": "bwrap"}}
    made.close()


WITHOUT = """
import logging, sys
from aligntune.errors import UnavailableError
from aligntune_rewards import CodeExecutionReward
logging.basicConfig(format="%(message)s", stream=sys.stdout)
try:
    CodeExecutionReward().load()
except UnavailableError as error:
    print(error)
made = CodeExecutionReward(allow_weak_isolation=True)
made.load()
print(made.isolation, made.compute("def f(): return 1", ["assert f() == 1"]))
print(made.compute("def f(): return 2", ["assert f() == 1"]))
"""


def test_without_bubblewrap_it_runs_only_if_that_is_allowed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    refused, weak, right, wrong = done.stdout.splitlines()
    assert refused.startswith("reward 'code_execution': ")
    assert "apt-get install bubblewrap" in refused
    assert "allow_weak_isolation: true" in refused
    assert weak.startswith("reward code_execution runs programs under ")
    assert "which is weak: bubblewrap is not installed" in weak
    assert right.endswith(" 1.0")
    assert right.split()[0] in ("landlock+seccomp+rlimits", "rlimits")
    assert wrong == "0.0"


def test_pickling(reward: CodeExecutionReward) -> None:
    other = pickle.loads(pickle.dumps(reward))
    assert other.isolation is None
    assert other.compute(ADD, TESTS) == 1.0
    other.close()


def test_an_argument_that_is_no_plain_value_is_our_fault(reward: CodeExecutionReward) -> None:
    test = {"function": "add", "args": [object()], "expected": 1}
    with pytest.raises(ValueError, match="an argument cannot be handed over"):
        reward.compute(ADD, [test])


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"score": "some"}, "score is 'some'; it is one of all, share"),
        ({"timeout": 0}, "timeout is 0"),
        ({"memory_mb": 1}, "memory_mb is 1; it must be a whole number from 64"),
        ({"tolerance": -1}, "tolerance is -1"),
        ({"exact_types": 1}, "exact_types is 1; it must be true or false"),
        ({"allow_weak_isolation": "false"}, "allow_weak_isolation is 'false'; it must be true"),
        ({"block": "x"}, "block is 'x'"),
    ],
)
def test_parameters_that_are_wrong(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        CodeExecutionReward(**params)
