"""code_quality: the formula, what counts, and texts that the tools fail on."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from aligntune.errors import ConfigError
from aligntune.scoring import RewardBatch
from aligntune_rewards import CodeQualityReward
from aligntune_rewards.code.quality_worker import complexity

CLEAN = "def double(value):\n    return 2 * value"
# F401: unused import. E711: comparison with None. N802: name of a function.
UNCLEAN = """import os


def Double(value):
    if value == None:
        return 0
    return 2 * value"""
BRANCHES = "def f(x):\n" + "".join(f"    if x == {n}:\n        return {n}\n" for n in range(24))


@pytest.fixture(scope="module")
def reward() -> Iterator[CodeQualityReward]:
    made = CodeQualityReward()
    made.load()
    yield made
    made.close()


def test_the_formula(reward: CodeQualityReward) -> None:
    assert reward.compute(CLEAN) == 1.0
    assert reward.compute(f"So:\n```python\n{CLEAN}\n```") == 1.0
    assert reward.compute(UNCLEAN) == 5 / (5 + 3)
    assert reward.compute(BRANCHES) == 10 / 25


@pytest.mark.parametrize(
    ("code", "worst"),
    [
        ("x = 1", 1),
        ("if a:\n  pass\nelif b:\n  pass", 3),
        ("def f(x):\n  if x: return 1\n  for i in x: pass", 3),
        ("def f():\n  def g():\n    if x: pass\n    if y: pass\n  if z: pass", 3),
        ("class A:\n  class B:\n    def f(self):\n      if x: pass\n      if y: pass", 3),
        ("if a and b or c: pass", 4),
        ("class A:\n  if x: pass\n  if y: pass\n  if z: pass", 4),
        ("def f():\n  class A:\n    def g(self):\n      if x: pass\n      if y: pass", 3),
        ("def f(x=1 if a else 2 if b else 3): pass", 3),
        ("@g(1 if a else 2)\nclass A: pass", 2),
    ],
)
def test_complexity_is_that_of_the_worst_part(code: str, worst: int) -> None:
    assert complexity(code) == worst


def test_a_batch_is_its_rows(reward: CodeQualityReward) -> None:
    texts = [CLEAN, "def f(", UNCLEAN, "", "Yes", "x" * 200_000, BRANCHES, "a.b." * 9000]
    before = reward.failures.copy()
    values = list(reward.compute_batch(RewardBatch(texts)))
    assert values == [1.0, 0.0, 0.625, 0.0, 0.0, 0.0, 0.4, 0.0]
    assert values == [reward.compute(text) for text in texts]
    kinds = {"syntax error": 4, "no code": 4, "too long": 2}
    assert dict(reward.failures - before) == kinds


def test_parameters_count() -> None:
    made = CodeQualityReward(select=["N"], half_at=1.0, max_complexity=5)
    assert made.compute(UNCLEAN) == 1 / 2
    assert made.compute(BRANCHES) == 5 / 25
    made.close()
    narrow = CodeQualityReward(line_length=19)
    assert narrow.compute(CLEAN) == 5 / 6
    narrow.close()


def test_what_does_not_raise_the_value(reward: CodeQualityReward) -> None:
    honest = reward.compute(UNCLEAN)
    tricks = [
        "# ruff: noqa\n" + UNCLEAN,
        UNCLEAN.replace("import os", "import os  # noqa: F401").replace("None:", "None:  # noqa"),
        UNCLEAN + "\n\n# I hope this helps!" * 50,
        f'"""{"A fine program. " * 5}"""\n' + UNCLEAN,
        UNCLEAN + "\n\n\n" + "\n\n\n".join(CLEAN.replace("double", f"f{n}") for n in range(30)),
        UNCLEAN + "\n\n\n" + UNCLEAN,
        f"exec({UNCLEAN!r})\neval('1')\n{UNCLEAN}",
    ]
    assert [trick for trick in tricks if reward.compute(trick) > honest] == []  # type: ignore[operator]


def test_separators_of_lines_in_a_program_do_no_harm(reward: CodeQualityReward) -> None:
    before = reward.failures.copy()
    assert (
        reward.compute('x = dict(a="\u2028\x85")\nprint(x)') == 5 / 6
    )  # C408, whose fix quotes it
    assert reward.failures == before


def test_settings_around_it_do_not_count(
    reward: CodeQualityReward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ruff.toml").write_text('lint.ignore = ["ALL"]\n')
    (tmp_path / "radon.cfg").write_text("[radon]\nexclude = *\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert reward.compute(UNCLEAN) == 0.625
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_text_that_the_tools_fail_on_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "worker.py"
    program.write_text(
        "import sys, json, os, time\nprint('{\"ready\": true}', flush=True)\n"
        "for line in sys.stdin:\n"
        "    codes = json.loads(line)['codes']\n"
        "    if any('CRASH' in code for code in codes): os._exit(1)\n"
        "    if any('HANG' in code for code in codes): time.sleep(60)\n"
        "    found = [{'problems': 0, 'complexity': 1} for _ in codes]\n"
        "    print(json.dumps({'found': found}), flush=True)\n"
    )
    monkeypatch.setattr("aligntune_rewards.code.code_quality._PROGRAM", program)
    reward = CodeQualityReward(timeout=1.0)
    texts = ["a()", "CRASH()", "b()", "c()", "HANG()"]
    assert reward.compute_batch(RewardBatch(texts)) == [1.0, 0.0, 1.0, 1.0, 0.0]
    assert reward.failures == {"crash": 1, "timeout": 1}
    reward.close()


def test_a_rule_that_ruff_does_not_know_is_said_before_training() -> None:
    reward = CodeQualityReward(select=["QQQ1"])
    with pytest.raises(ConfigError, match=r"(?s)params.select: .*QQQ1"):
        reward.load()
    reward.close()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"select": "E,F"}, "select is 'E,F'; it must be a list of rules"),
        ({"select": []}, "must be a list of rules"),
        ({"select": ["--fix"]}, "must be a list of rules"),
        ({"half_at": 0}, "half_at is 0"),
        ({"max_complexity": 0}, "max_complexity is 0"),
        ({"line_length": 1000}, "whole number from 1 to 320"),
        ({"timeout": -1}, "timeout is -1"),
        ({"block": "none"}, "block is 'none'"),
    ],
)
def test_parameters_that_are_wrong(params: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        CodeQualityReward(**params)  # type: ignore[arg-type]


def test_pickling(reward: CodeQualityReward) -> None:
    other = pickle.loads(pickle.dumps(reward))
    assert other.compute(UNCLEAN) == 0.625
    other.close()
