"""The kit for authors of rewards: each of its tests finds what it is there to find."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins as process_plugins
from aligntune.scoring import RewardFunction
from aligntune.testing import RewardConformance, reward_conformance
from aligntune.testing.texts import UNICODE, long_texts

Kit = type[RewardConformance]


class Good(RewardFunction):
    """The share of characters that are digits."""

    name = "good"
    range = (0.0, 1.0)

    def compute(self, text: str) -> float | None:
        return sum(map(str.isdecimal, text)) / len(text) if text else 0.0


class Referring(Good):
    """1 if the completion is the reference."""

    requires = frozenset({"reference"})

    def compute(self, text: str, reference: str | None = None) -> float | None:
        return None if reference is None else float(text == reference)


class LooksAtNeighbours(Good):
    def compute_batch(self, batch: Any) -> list[float]:
        return [float(len(text) == max(map(len, batch.texts))) for text in batch.texts]


class LooksAtPlaces(Good):
    def compute_batch(self, batch: Any) -> list[float]:
        return [i / len(batch) for i, _ in enumerate(batch.texts)]


class ChangesRows(Referring):
    def compute(self, text: str, reference: Any = None) -> float | None:
        if reference is None:
            return None
        reference.append(1)
        return float(len(text) > 5)


class Draws(Good):
    def compute(self, text: str) -> float:
        return random.random()


class CountsCalls(Good):
    calls = 0

    def compute(self, text: str) -> float:
        type(self).calls += 1
        return self.calls % 7 / 7


class Hashes(Good):
    def compute(self, text: str) -> float:
        return hash(text) % 1000 / 1000


class Unpicklable(Good):
    def __init__(self) -> None:
        self.function = lambda text: float(len(text) > 12)

    def compute(self, text: str) -> float:
        return self.function(text)


class SharesState(Good):
    def compute(self, text: str) -> float:
        self.text = text
        time.sleep(0.002)
        return float(len(self.text) > 12)


class LeavesRange(Good):
    def compute(self, text: str) -> float:
        return float(len(text))


class WantsLatin(Good):
    def compute(self, text: str) -> float:
        return float(len(text.encode("latin-1")) > 12)


class WantsWords(Good):
    def compute(self, text: str) -> float:
        return min(1.0, len(text.split(maxsplit=1)[0]) / 10)


class Quadratic(Good):
    def compute(self, text: str) -> float:
        return float(any(text[:i].count("z") > i for i in range(len(text))))


class Backtracks(Good):
    def compute(self, text: str) -> float:
        return float(bool(re.search(r"(a+)+b", text)) or len(text) > 12)


class GuessesReferences(Referring):
    def compute(self, text: str, reference: str | None = None) -> float:
        return float(text == reference)


class StumblesOverNone(Referring):
    def compute(self, text: str, reference: str | None = None) -> float:
        return float({"Paris": 1, "82": 0}[reference or "?"] and len(text) > 12)


class Slow(Good):
    def compute(self, text: str) -> float:
        time.sleep(0.06)
        return float(len(text) > 12)


class Constant(Good):
    def compute(self, text: str) -> float:
        return 1.0


FAULTS = [
    (LooksAtNeighbours, "test_batch_equals_single", "and by itself"),
    (LooksAtPlaces, "test_order_does_not_matter", "and in another place"),
    (ChangesRows, "test_batch_equals_single", "scoring changes the rows"),
    (Draws, "test_determinism", "draws random numbers"),
    (CountsCalls, "test_determinism", "and before"),
    (Hashes, "test_another_process", "and in this process"),
    (Unpicklable, "test_pickling", "lambda"),
    (SharesState, "test_threads", "and in one thread"),
    (LeavesRange, "test_range", "the declared range is 0.0 to 1.0"),
    (WantsLatin, "test_unicode", "UnicodeEncodeError"),
    (WantsWords, "test_empty_text", "IndexError"),
    (Quadratic, "test_very_long_text", "takes longer than 2 s on"),
    (Backtracks, "test_very_long_text", "takes longer than 2 s on 'aaaa"),
    (GuessesReferences, "test_missing_reference", "with reference None it returns 0.0"),
    (StumblesOverNone, "test_missing_reference", "say what is missing"),
    (Slow, "test_speed", "0.05 s are allowed for the cost 'inline'"),
    (Constant, "test_rows_hold_what_is_read", "every row earns {1.0}"),
]
REFERENCE = [
    {"text": "It is Paris, I think.", "reference": "Paris"},
    {"text": "Paris", "reference": "Paris"},
]
LISTS = [{"text": "abc", "reference": [1]}, {"text": "abcdef", "reference": [2]}]
ROWS: dict[type, list[dict[str, Any]]] = {
    ChangesRows: LISTS,
    GuessesReferences: REFERENCE,
    StumblesOverNone: REFERENCE,
    Referring: REFERENCE,
}


def kit(reward: type, **more: Any) -> Kit:
    given = {"rows": ROWS[reward]} if reward in ROWS else {}
    return reward_conformance(reward, **given, **more)


def checks(made: Kit) -> list[str]:
    return [name for name in dir(made) if name.startswith("test_")]


@pytest.mark.parametrize(
    ("reward", "test", "says"), FAULTS, ids=[f"{r.__name__}-{t}" for r, t, _ in FAULTS]
)
def test_each_fault_is_found(reward: type, test: str, says: str) -> None:
    made = kit(reward, long_text_seconds=2.0)()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - what the reward raised, or the kit
        getattr(made, test)()
    assert says in f"{type(caught.value).__name__}: {caught.value}"


def test_every_test_finds_something() -> None:
    assert {test for _, test, _ in FAULTS} == set(checks(RewardConformance))


@pytest.mark.parametrize("reward", [Good, Referring])
def test_good_rewards_pass(reward: type) -> None:
    made = kit(reward)
    for name in checks(made):
        getattr(made(), name)()


def test_functions_have_their_tests_too() -> None:
    rows = [{"text": "a", "needed": 1}, {"text": "b" * 9, "needed": 2}]
    made = reward_conformance(a_function, params={"limit": 4}, rows=rows)
    for name in checks(made):
        getattr(made(), name)()


def a_function(text: str, needed: int, limit: int = 8) -> float | None:
    return None if needed is None else float(len(text) > limit)


def test_what_is_declared_random_may_be() -> None:
    class Sampled(Draws):
        deterministic = False

    reward_conformance(Sampled)().test_determinism()


@pytest.mark.parametrize(
    ("setting", "test"),
    [("speed_limit", "test_speed"), ("long_text_seconds", "test_very_long_text")],
)
def test_what_takes_time_can_be_switched_off(setting: str, test: str) -> None:
    reward = Slow if setting == "speed_limit" else Quadratic
    getattr(reward_conformance(reward, **{setting: float("inf")})(), test)()


def test_a_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="no setting 'speed'"):
        reward_conformance(Good, speed=1)


class Prints(Good):
    def compute(self, text: str) -> float | None:
        print("looking", end="")
        return super().compute(text)


def test_what_a_reward_prints_is_no_fault() -> None:
    reward_conformance(Prints, rows=[{"text": "1"}, {"text": "a"}])().test_another_process()


@pytest.mark.parametrize("rows", [[], [{"completion": "a"}]])
def test_rows_without_a_text_are_refused(rows: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="at least one row, and each the completion as 'text'"):
        reward_conformance(Good, rows=rows)


def test_the_texts_are_what_they_say() -> None:
    assert all(text.encode("utf-8") for text in UNICODE)
    sizes = [len(text) for text in long_texts()]
    assert all(990_000 <= size <= 1_000_000 for size in sizes)


MANIFEST = """
{imports}
@hookimpl
def aligntune_register_rewards(register):
    register("marked", "marked:Marked", {facts})
"""
MARKED = '''
from aligntune.scoring import RewardFunction

class Marked(RewardFunction):
    """1 for a long text."""
    name = "marked"
    range = (0.0, 1.0)

    def compute(self, text):
        return float(len(text) > 12)
'''


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ("summary='a'", ""),
        ("summary=''", "must be one line"),
        ("summary='a\\nb'", "must be one line"),
        ("summary='a', range=(-1.0, 1.0)", "the manifest says the range (-1.0, 1.0)"),
        ("summary='a', requires=('reference',)", "requires ['reference'], the reward requires []"),
        ("summary='a', cost='model'", "the cost 'model', the class 'inline'"),
        ("summary='a', packages=('packaging>=1',)", "does not say what to install"),
    ],
)
def test_the_manifest_is_compared_with_the_reward(
    make_dist: Any, site: Path, monkeypatch: pytest.MonkeyPatch, facts: str, says: str
) -> None:
    make_dist("marked-plugin", MANIFEST.format(imports="", facts=facts))
    (site / "marked.py").write_text(MARKED)
    process_plugins.configure(only=["marked-plugin"])
    made: Any = reward_conformance("marked")()
    if not says:
        made.test_manifest_is_right()
        return
    with pytest.raises(AssertionError) as caught:
        made.test_manifest_is_right()
    assert says in str(caught.value)


def test_a_heavy_import_in_the_manifest_is_found(
    make_dist: Any, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", known)
    (site / "nltk.py").touch()
    make_dist("marked-plugin", MANIFEST.format(imports="import nltk", facts="summary='a'"))
    (site / "marked.py").write_text(MARKED)
    process_plugins.configure(only=["marked-plugin"])
    made: Any = reward_conformance("marked")()
    with pytest.raises(AssertionError, match="the manifest imports nltk"):
        made.test_manifest_is_light()


ONE_LINE = """
from aligntune.testing import RewardConformance, reward_conformance
from lengths import long

TestLong = reward_conformance(long)


class TestLongAgain(RewardConformance):
    reward = staticmethod(long)
"""


def test_pytest_collects_one_line(tmp_path: Path) -> None:
    (tmp_path / "lengths.py").write_text("def long(text):\n    return float(len(text) > 12)\n")
    (tmp_path / "test_long.py").write_text(ONE_LINE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_long.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{2 * len(checks(RewardConformance))} passed" in done.stdout
