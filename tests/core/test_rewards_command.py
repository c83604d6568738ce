"""`aligntune rewards`: what rewards are listed, described and tried as, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligntune import plugins as process_plugins
from aligntune.plugins import Plugins
from aligntune.scoring.agreement import agreement, kendall, pearson, ranks, spearman
from aligntune.scoring.trial import distribution

Run = Callable[..., Any]

SOURCE = """
@hookimpl
def aligntune_register_rewards(register):
    register("digits", "marks:DigitsReward", summary="the share of [digits]", aliases=("numbers",),
             group="shape", docs="https://a.example/marks#digits")
    register("same", "marks:same", summary="1 if equal", requires=("reference",))
    register("picky", "marks:same", summary="needs much", packages=("no-such-package>=2",),
             install="marks[all]")
"""
MARKS = '''
from dataclasses import dataclass, field
from typing import Literal
from aligntune.scoring import RewardFunction

Unit = Literal["each", "all"]


class Base(RewardFunction):
    """The base.

    Args:
        at_most: what
            it is cut at.
    """


@dataclass(eq=False)
class DigitsReward(Base):
    """The share of characters that are digits.

    Args:
        unit: what counts.
        extra, more: both of them.

    Raises:
        ValueError: where it is.
    """

    name = "digits"
    range = (0.0, 1.0)

    unit: Unit = "each"
    extra: dict[str, int] = field(default_factory=dict)
    more: int | None = None
    at_most: float = 1.0

    def compute(self, text):
        if "?" in text:
            return self.fail("no answer")
        if not text:
            return None
        return min(self.at_most, sum(map(str.isdigit, text)) / len(text))


def same(text, reference, ignore=False):
    """1 if they are equal."""
    return float(text == reference)


def broken(text):
    raise KeyError("no such table")


def leaves(text):
    raise SystemExit(3)


def late(text):
    if text == "270":
        raise KeyError(text)
    return 1.0


class Heavy(Base):
    def load(self):
        raise OSError("no weights")

    def compute(self, text):
        return 1.0


def prints(text):
    print("looking at", text)
    return 0.5
'''


@pytest.fixture
def marks(site: Path, make_dist: Any) -> Plugins:
    make_dist("marks-plugin", SOURCE)
    (site / "marks.py").write_text(MARKS)
    return process_plugins.configure(only=["marks-plugin"])


@pytest.fixture
def rows(tmp_path: Path) -> str:
    made = [("42", "42"), ("4 2", "42"), ("none?", "7"), ("", None), ("seven", "seven")]
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"completion": t, "prompt": "p", "answer": a}) for t, a in made]
    path.write_text("\n".join([*lines[:2], "", *lines[2:]]) + "\n")
    return str(path)


def test_the_list_says_what_is_missing_and_what_brings_it(run: Run, marks: Plugins) -> None:
    found = {line["name"]: line for line in json.loads(run("rewards", "list", "--json").out)}
    assert set(found) == {"digits", "same", "picky"}
    assert found["digits"]["available"]
    assert (found["digits"]["group"], found["digits"]["cost"]) == ("shape", "inline")
    assert found["picky"]["missing"] == ["no-such-package>=2"]
    assert found["picky"]["install"] == 'pip install "marks[all]"'
    shown = run("rewards", "list").said
    assert "picky *" in shown
    assert '* needs more than is installed: picky pip install "marks[all]"' in shown


def test_infinite_ranges_are_valid_json(run: Run, marks: Plugins, make_dist: Any) -> None:
    hook = "@hookimpl\ndef aligntune_register_rewards(register):\n    "
    line = "register('free', 'marks:same', summary='s', range=(float('-inf'), float('inf')))\n"
    make_dist("free", hook + line)
    process_plugins.configure(only=["free"])
    (free,) = json.loads(run("rewards", "list", "--json").out)
    assert free["range"] == ["-Infinity", "Infinity"]


def test_describe_says_everything_without_making_one(run: Run, marks: Plugins) -> None:
    shown = run("rewards", "describe", "digits").said
    for part in (
        "the share of [digits]",
        "range 0 to 1; higher is better",
        "needs nothing but the completion",
        "aliases numbers",
        "from marks-plugin 1.0",
        "docs https://a.example/marks#digits",
        "'each' | 'all' 'each' what counts.",
        "dict[str, int] {} both of them.",
        "float 1.0 what it is cut at.",
        "The share of characters that are digits. Raises: ValueError: where it is.",
    ):
        assert part in shown, part
    found = json.loads(run("rewards", "describe", "numbers", "--json").out)
    assert [p["name"] for p in found["parameters"]] == ["unit", "extra", "more", "at_most"]
    assert found["parameters"][2] == {
        "name": "more",
        "type": "int | None",
        "default": "None",
        "means": "both of them.",
    }
    shown = run("rewards", "describe", "picky").said
    assert 'no-such-package>=2: not installed; pip install "marks[all]"' in shown


def test_describe_of_a_function_that_nobody_registered(run: Run, marks: Plugins) -> None:
    found = json.loads(run("rewards", "describe", "marks:same", "--json").out)
    assert found["summary"] == "1 if they are equal."
    assert found["requires"] == ["reference"]
    assert [p["name"] for p in found["parameters"]] == ["reference", "ignore"]


@pytest.mark.parametrize("command", [("describe",), ("test", "--text", "a")])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digit", "unknown reward 'digit'; did you mean 'digits'?"),
        ("nowhere:thing", "'nowhere:thing', which cannot be imported"),
        ("marks:nothing", "'marks:nothing', which cannot be imported"),
    ],
)
def test_what_is_not_there_is_one_message(
    run: Run, marks: Plugins, command: tuple[str, ...], name: str, says: str
) -> None:
    assert says in run("rewards", command[0], name, *command[1:]).wrong


def test_a_file_of_rows(run: Run, marks: Plugins, rows: str) -> None:
    found = json.loads(run("rewards", "test", "digits", "same", "--file", rows, "--json").out)
    assert found["rows"] == 5
    assert found["columns"] == {"completion": "completion", "reference": "answer"}
    digits, same = found["rewards"]["digits"], found["rewards"]["same"]
    assert digits["values"] == [1.0, 2 / 3, 0.0, None, 0.0]
    assert same["values"] == [1, 0, 0, 0, 1]
    assert digits["failures"] == {"no answer": 1}
    spread = digits["distribution"]
    assert (spread["count"], spread["none"]) == (4, 1)
    assert (spread["at_lowest"], spread["at_highest"]) == (0.5, 0.25)
    assert set(digits["seconds"]) == {"load", "first", "each"}
    (compared,) = found["agreement"]
    assert (compared["rewards"], compared["rows"]) == (["digits", "same"], 4)
    assert compared["differ"][0][0] == 4


def test_tables_say_the_same(run: Run, marks: Plugins, rows: str) -> None:
    shown = run("rewards", "test", "digits", "same", "--file", rows).said
    for part in (
        "0 1 1 42",
        "3 None 0",
        "failures 1 no answer",
        "None: does not apply 1",
        "at the range's minimum 50% at 0",
        "the reference is the column 'answer'",
        "agreement of digits and same on 4 rows",
        "where they disagree most",
    ):
        assert part in shown, part
    assert "more; --json has them all" not in shown


def test_many_rows_are_shown_from_both_ends(run: Run, marks: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"text": "1" * n + "a"}) + "\n" for n in range(30)))
    shown = run("rewards", "test", "digits", "--file", str(path)).said
    assert "20 more; --json has them all" in shown
    limited = run("rewards", "test", "digits", "--file", str(path), "--max-rows", "3", "--json")
    assert json.loads(limited.out)["rows"] == 3


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["digits", "--text", "42"], 1.0),
        (["digits", "--text", "42", "--param", "at_most=0.5"], 0.5),
        (["digits", "--text", "42", "--params", '{"at_most": 0.5}'], 0.5),
        (["digits", "--text", "42", "--params", '{"at_most": 0.5}', "--param", "at_most=1"], 1.0),
        (["digits", "--text", "42", "--param", "digits.at_most=0.25"], 0.25),
        (["same", "--text", "a", "--reference", "a"], 1.0),
        (["same", "--text", "a", "--column", "answer=a"], 1.0),
        (["same", "--text", "a", "--column", "x=a", "--reference-column", "x"], 1.0),
        (["marks:same", "--text", "a", "--reference", "b"], 0.0),
    ],
)
def test_one_text(run: Run, marks: Plugins, arguments: list[str], value: float) -> None:
    found = json.loads(run("rewards", "test", *arguments, "--json").out)
    assert [r["values"] for r in found["rewards"].values()] == [[value]]


def test_parameters_of_several_rewards(run: Run, marks: Plugins) -> None:
    named = ("rewards", "test", "digits", "marks:same", "--text", "42", "--reference", "42")
    found = json.loads(run(*named, "--param", "digits.at_most=0.5", "--json").out)
    assert found["rewards"]["digits"]["values"] == [0.5]
    found = json.loads(run(*named, "--params", '{"digits": {"at_most": 0.25}}', "--json").out)
    assert found["rewards"]["digits"]["values"] == [0.25]
    assert "write digits.at_most=..." in run(*named, "--param", "at_most=0.5").wrong


def test_several_texts_have_a_reference_each_or_share_one(run: Run, marks: Plugins) -> None:
    texts = ("rewards", "test", "same", "--text", "a", "--text", "b", "--json")
    for references, values in ((["a"], [1, 0]), (["a", "b"], [1, 1])):
        given = [part for each in references for part in ("--reference", each)]
        found = json.loads(run(*texts, *given).out)
        assert found["rewards"]["same"]["values"] == values
    three = [part for each in "abc" for part in ("--reference", each)]
    assert "3 times --reference for 2 times --text" in run(*texts, *three).wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["digits"], "give the completion to score with --text, or rows with --file"),
        (["digits", "--text", "a", "--file", "rows.jsonl"], "not both"),
        (["digits", "digits", "--text", "a"], "digits is named twice"),
        (["same", "--text", "a"], "give it with --reference, or name its column"),
        (["same", "--text", "a", "--reference-column", "x"], "--reference-column 'x'"),
        (["digits", "--text", "a", "--param", "x=1"], "has no parameter 'x'; it takes"),
        (["digits", "--text", "a", "--param", "x"], "is not of the form key=value"),
        (["digits", "--text", "a", "--param", "other.x=1"], "'other' is not among the rewards"),
        (["digits", "--text", "a", "--params", "{"], "is no JSON"),
        (["digits", "--text", "a", "--params", "[]"], "must be a JSON object"),
        (["picky", "--text", "a", "--reference", "a"], 'pip install "marks[all]"'),
        (["marks:broken", "--text", "a"], "raised KeyError: 'no such table' on sample 0 of 1"),
        (
            ["digits", "--file", "rows.jsonl", "--text-column", "said"],
            "--text-column 'said': the columns are answer, completion",
        ),
        (
            ["digits", "--file", "rows.jsonl", "--prompt-column", "asked"],
            "--prompt-column 'asked': the columns are answer, completion",
        ),
        (
            ["digits", "--file", "asked.jsonl", "--text-column", "prompt"],
            "--text-column and --prompt-column are both 'prompt'",
        ),
        (["digits", "--text", "a", "--column", "completion=b"], "--column completion: use --text"),
        (["digits", "--text", "a", "--param", "at_most=b"], "at_most is 'b'; it must be a number"),
        (["marks:Heavy", "--text", "a"], "cannot load what it scores with: OSError: no weights"),
        (
            ["marks:same", "--text", "a", "--param", "reward_function=b"],
            "reward_function is the name that is tested",
        ),
        (["marks:leaves", "--text", "a"], "raised SystemExit: 3"),
        (["marks:late", "--file", "many.jsonl"], "rows 256 to 299: reward 'marks:late' raised"),
        (["digits", "--file", "none.jsonl"], "none.jsonl: there is no such file"),
        (["digits", "--file", "bad.jsonl"], "bad.jsonl:2: not JSON"),
        (["digits", "--file", "list.jsonl"], "list.jsonl:1: a row is an object"),
        (["digits", "--file", "bytes.jsonl"], "bytes.jsonl cannot be read: 'utf-8' codec"),
        (["digits", "--file", "empty.jsonl"], "empty.jsonl holds no row"),
        (["digits", "--file", "other.jsonl"], "none of the columns completion, text"),
    ],
)
@pytest.mark.usefixtures("marks", "rows")
def test_mistakes_are_one_message(
    run: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    for name, text in {
        "bad.jsonl": '{"text": "a"}\n{"text"\n',
        "list.jsonl": "[1]\n",
        "empty.jsonl": "\n",
        "other.jsonl": '{"said": "a"}\n',
        "asked.jsonl": '{"prompt": "a"}\n',
        "many.jsonl": "".join(f'{{"text": "{n}"}}\n' for n in range(300)),
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    assert says in run("rewards", "test", *arguments).wrong


def test_what_a_reward_prints_is_no_part_of_the_json(run: Run, marks: Plugins) -> None:
    answer = run("rewards", "test", "marks:prints", "--text", "a", "--json")
    assert json.loads(answer.out)["rewards"]["marks:prints"]["values"] == [0.5]
    assert "looking at a" in answer.err


def test_a_file_may_begin_with_a_byte_order_mark(run: Run, marks: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "marked.jsonl"
    path.write_text('{"text": "42"}\n', encoding="utf-8-sig")
    found = json.loads(run("rewards", "test", "digits", "--file", str(path), "--json").out)
    assert found["rewards"]["digits"]["values"] == [1.0]


def test_what_would_command_a_terminal_is_not_shown(run: Run, marks: Plugins) -> None:
    shown = run("rewards", "test", "digits", "--text", "\x1b[2J\ud800" + "1" * 900).out
    assert "\x1b" not in shown
    assert "\ufffd[2J\ufffd111" in shown


def test_completions_that_are_messages(run: Run, marks: Plugins, tmp_path: Path) -> None:
    row = {"completion": [{"role": "assistant", "content": "42"}], "answer": "42"}
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps(row) + "\n")
    found = json.loads(run("rewards", "test", "digits", "--file", str(path), "--json").out)
    assert found["rewards"]["digits"]["values"] == [1.0]


def test_correlations_are_those_of_scipys_documentation() -> None:
    assert pearson([1, 2, 3, 4, 5], [10, 9, 2.5, 6, 4]) == pytest.approx(-0.7426106572325056)
    assert spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) == pytest.approx(0.8207826816681233)
    assert kendall([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]) == pytest.approx(-0.4714045207910316)


def test_correlations_where_nothing_varies() -> None:
    found = agreement([1.0, 1.0, None], [0.0, 1.0, 1.0])
    assert (found.rows, found.pearson, found.spearman, found.kendall) == (2, None, None, None)
    assert agreement([], []).kendall is None
    assert agreement([1.0], [2.0]).pearson is None


def test_where_they_differ_is_told_by_ranks() -> None:
    assert ranks([0.5, 0.1, 0.5, 9.0]) == [2.5, 1.0, 2.5, 4.0]
    found = agreement([1, 2, 3, 4], [20, 30, 40, 10])
    assert found.differ[0] == (3, 0.75)
    assert {index for index, _ in found.differ} == {0, 1, 2, 3}
    assert agreement([1, 2], [10, 20]).differ == ()


def test_distribution() -> None:
    found = distribution([0.0, None, 1.0, 0.5, 0.0], (0.0, 1.0))
    assert (found.count, found.none, found.mean) == (4, 1, 0.375)
    assert found.sd == pytest.approx(0.4787135538781691)
    assert found.quantiles[0.25] == 0.0
    assert found.quantiles[0.95] == pytest.approx(0.925)
    assert (found.at_lowest, found.at_highest) == (0.5, 0.25)
    assert distribution([1.0], (0.0, float("inf"))).at_highest is None
    assert distribution([None], (0.0, 1.0)).mean is None
