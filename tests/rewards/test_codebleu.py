"""codebleu: the package's published example, matches counted by hand, and what earns nothing."""

from __future__ import annotations

import ast
import math
import time
from collections import Counter

import pytest

from aligntune_rewards import CodebleuReward
from aligntune_rewards.reference.codebleu_parts import Program, ngram_match

SUM = "def sum ( first , second ) :\n return second + first"
ADD = "def add ( a , b ) :\n return a + b"
MEAN = """
def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""


def program(code: str) -> Program:
    return Program.of(ast.parse(code))


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_published_example_of_the_package(symmetric: bool) -> None:
    # codebleu 0.7.0, README: calc_codebleu([reference], [prediction], lang="python")
    reward = CodebleuReward(symmetric=symmetric)
    assert reward.compute(ADD, SUM) == pytest.approx(0.5537842627792564, abs=1e-12)
    assert reward.parts(ADD, SUM) == {
        "ngram": pytest.approx(0.10419044640136393, abs=1e-12),
        "weighted_ngram": pytest.approx(0.11094660471566163, abs=1e-12),
        "syntax": 1.0,
        "dataflow": 1.0,
    }


def test_ngrams_by_hand() -> None:
    # 3 of 4, 2 of 3, 1 of 2 and 0 (smoothed: 0.1) of 1; four tokens against five: exp(1 - 5/4).
    by_hand = math.exp(1 - 5 / 4) * (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25
    assert ngram_match(list("abcx"), list("abcde")) == pytest.approx(by_hand)


def test_keywords_weigh_five_times_as_much() -> None:
    # The seven tokens of `def f(): return x`: of the words 2 keywords and 4 of 5 others are found,
    # of the pairs 5 of 6, of the triples 4 of 5, of the fours 3 of 4.
    by_hand = ((2 + 4 * 0.2) / (2 + 5 * 0.2) * 5 / 6 * 4 / 5 * 3 / 4) ** 0.25
    found = CodebleuReward().parts("def f():\n return x", "def f():\n return y")
    assert found["weighted_ngram"] == pytest.approx(by_hand)


def test_subtrees_by_hand() -> None:
    # Below `x = a + b`: Module, Assign and BinOp have nodes below them; names are left out.
    assert sum(program("x = a + b").subtrees.values()) == 3
    parts = CodebleuReward(symmetric=False).parts("x = a + b", "y = (c + d) * 2")
    # Of Module, Assign, BinOp * and BinOp + of the reference, only the last is found.
    assert parts["syntax"] == 1 / 4
    assert CodebleuReward(symmetric=False).parts("x = a * b", "x = a + b")["syntax"] == 0.0


def test_data_flow_by_hand() -> None:
    assert program("a = 1\nb = a\nc = a + b").flows == Counter(
        {
            ("var_0", "comesFrom", ("var_0",)): 2,  # a, read in the second and third line
            ("var_1", "computedFrom", ("var_0",)): 1,  # b from a
            ("var_1", "comesFrom", ("var_1",)): 1,  # b, read in the third line
            ("var_2", "computedFrom", ("var_0", "var_1")): 1,  # c from a and b
        }
    )
    renamed = CodebleuReward().parts("q = 1\nr = q\ns = q + r", "a = 1\nb = a\nc = a + b")
    assert renamed["dataflow"] == 1.0
    other = CodebleuReward(symmetric=False).parts("a = 1\nb = a\nc = b", "a = 1\nb = a\nc = a + b")
    # Found: a read once of twice, b from a, b read.
    assert other["dataflow"] == 3 / 5


@pytest.mark.parametrize(
    ("code", "flow"),
    [
        ("def f(a, b=1): return a", ("var_0", "comesFrom", ("var_0",))),
        ("x = 1\nx += x", ("var_0", "computedFrom", ("var_0", "var_0"))),
        ("v = []\nfor i in v: pass", ("var_1", "computedFrom", ("var_0",))),
        ("v = []\n[i for i in v]", ("var_1", "computedFrom", ("var_0",))),
        ("v = 1\nwith v as w: pass", ("var_1", "computedFrom", ("var_0",))),
        ("v = 1\nif (w := v): pass", ("var_1", "computedFrom", ("var_0",))),
        ("v = 1\nw: int = v", ("var_1", "computedFrom", ("var_0",))),
        ("v = 1\ndef f(a=v): pass", ("var_1", "computedFrom", ("var_0",))),
        ("a = b = 1\na, b = b, a", ("var_1", "computedFrom", ("var_0",))),
    ],
)
def test_where_values_come_from(code: str, flow: tuple[str, str, tuple[str, ...]]) -> None:
    assert flow in program(code).flows


def test_equal_programs_earn_1_whatever_their_names_comments_and_form() -> None:
    reward = CodebleuReward()
    assert reward.compute(MEAN, MEAN) == 1.0
    other = MEAN.replace("    total = 0", '    """The mean."""  # of them\n    total  =  0')
    assert reward.compute(f"```python\n{other}\n```", MEAN) == 1.0
    renamed = MEAN.replace("total", "s").replace("value", "v")
    assert reward.parts(renamed, MEAN)["syntax"] == reward.parts(renamed, MEAN)["dataflow"] == 1.0
    assert reward.compute(renamed, MEAN) < 1.0  # type: ignore[operator]


def test_data_flow_that_does_not_match_earns_nothing() -> None:
    # The package adds theta * (match or 1): an empty answer would earn 0.25.
    reward = CodebleuReward(weights={"dataflow": 1.0})
    assert reward.compute("import os", MEAN) == 0.0
    assert CodebleuReward().compute("", MEAN) == 0.0


def test_a_reference_without_data_flow_is_judged_by_the_rest() -> None:
    reward = CodebleuReward()
    assert reward.parts("import os", "import os")["dataflow"] is None
    parts = reward.parts("import re", "import os")
    rest = [part for part in parts.values() if part is not None]
    assert reward.compute("import re", "import os") == pytest.approx(sum(rest) / 3)
    assert CodebleuReward({"dataflow": 1.0}).compute("import os", "import os") is None


def test_more_code_does_not_pay_unless_recall_is_asked_for() -> None:
    padded = "import re\nvalues = [1, 2]\nfor value in values:\n    print(value)\n" + MEAN + MEAN
    assert CodebleuReward().compute(padded, MEAN) < 0.7  # type: ignore[operator]
    recall = CodebleuReward(symmetric=False).parts(padded, MEAN)
    assert recall["syntax"] > CodebleuReward().parts(padded, MEAN)["syntax"]  # type: ignore[operator]


def test_the_best_of_several_references_counts() -> None:
    reward = CodebleuReward()
    assert reward.compute(ADD, [MEAN, ADD]) == 1.0
    assert reward.compute(ADD, None) is None
    assert reward.compute(ADD, []) is None
    assert reward.compute(ADD, ["", ADD]) == 1.0
    assert reward.compute(ADD, " ") is None


def test_weights() -> None:
    parts = CodebleuReward().parts(ADD, SUM)
    assert CodebleuReward((1, 0, 0, 0)).compute(ADD, SUM) == pytest.approx(parts["ngram"])
    assert CodebleuReward((0, 0, 2, 2)).compute(ADD, SUM) == 1.0


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ((1, 2, 3), "it is four numbers"),
        ("all", "it is four numbers"),
        ({"bleu": 1.0}, "weights has 'bleu'; the parts are ngram"),
        ((0, 0, 0, 0), "all 0"),
        ((-1, 0, 0, 1), "weights has -1 for 'ngram'"),
        ((True, 0, 0, 1), "weights has True"),
        ((float("nan"), 0, 0, 1), "weights has nan"),
    ],
)
def test_weights_that_are_wrong(weights: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        CodebleuReward(weights)


def test_symmetric_is_true_or_false() -> None:
    with pytest.raises(ValueError, match="symmetric is 'no'; it must be true or false"):
        CodebleuReward(symmetric="no")  # type: ignore[arg-type]


def test_what_failed_is_counted() -> None:
    reward = CodebleuReward()
    for text in ("def f(", "", "x = 1\n" * 20_000):
        assert reward.compute(text, MEAN) == 0.0
    assert reward.failures == {"syntax error": 1, "no code": 1, "too long": 1}


def test_a_reference_that_is_no_program_is_our_fault() -> None:
    with pytest.raises(ValueError, match=r"is no Python program; name the column"):
        CodebleuReward().compute(ADD, "The sum of both.")
    with pytest.raises(TypeError, match="the reference is 5; it is a text or a list of texts"):
        CodebleuReward().compute(ADD, 5)


def test_it_is_linear() -> None:
    code = "x = [1, 2]\n" * 5000
    begun = time.process_time()
    assert CodebleuReward().compute(code, MEAN) < 0.3  # type: ignore[operator]
    assert time.process_time() - begun < 10
