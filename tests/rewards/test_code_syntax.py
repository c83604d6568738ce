"""code_syntax, and where the code of a completion stands."""

from __future__ import annotations

import time
import warnings

import pytest

from aligntune_rewards import CodeSyntaxReward
from aligntune_rewards.code.blocks import SQL, code_of
from aligntune_rewards.code.parsing import does_something, parsed


def fenced(code: str, info: str = "python") -> str:
    return f"Here it is:\n\n```{info}\n{code}\n```\n\nDone."


@pytest.mark.parametrize(
    ("text", "which", "code"),
    [
        (fenced("x = 1"), "last", "x = 1"),
        (fenced("x = 1", ""), "last", "x = 1"),
        (fenced("x = 1", "Python title=a.py"), "last", "x = 1"),
        (fenced("ls", "bash"), "last", None),
        (fenced("x = 1") + fenced("ls", "bash"), "last", "x = 1"),
        (fenced("x = 1") + fenced("y = 2"), "last", "y = 2"),
        (fenced("x = 1") + fenced("y = 2"), "first", "x = 1"),
        (fenced("x = 1") + fenced("y = 2"), "all", "x = 1\ny = 2"),
        ("```python\nx = 1", "last", "x = 1"),
        ("~~~python\n```\n~~~\n", "last", "```"),
        ("````python\n```\n````\n", "last", "```"),
        ("```python\r\nx = 1\r\n```\r\n", "last", "x = 1"),
        ("```python\n  \n```", "last", None),
        ("1. So:\n    ```python\n    if 1:\n        x = 1\n    ```", "last", "if 1:\n    x = 1"),
        ("- So:\n\t```py\n\tx = 1\n\n\t```\n- y", "last", "x = 1\n"),
        (
            '```python\ndef f():\n    """\n    ```\n    """\n```',
            "last",
            'def f():\n    """\n    ```\n    """',
        ),
        ("x = 1", "last", "x = 1"),
        ("the ```x``` is inline", "last", "the ```x``` is inline"),
        ("", "last", None),
        (" \n", "all", None),
    ],
)
def test_the_code_of_a_completion(text: str, which: str, code: str | None) -> None:
    assert code_of(text, which) == code  # type: ignore[arg-type]


def test_other_languages() -> None:
    assert code_of("```sql\nSELECT 1\n```\n```python\nx\n```", "last", SQL) == "SELECT 1"


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("def f(x):\n    return x", 1.0),
        ("print('hello')", 1.0),
        ("import os", 1.0),
        ("x = 1", 1.0),
        ("(y := 3)", 1.0),
        ("def f(x:\n    return x", 0.0),
        ("return 1", 0.0),  # the tree alone does not show these three
        ("def f(x, x): pass", 0.0),
        ("break", 0.0),
        ("Yes", 0.0),
        ("42", 0.0),
        ("'''I hope this helps!'''", 0.0),
        ("pass", 0.0),
        ("# nothing", 0.0),
        ("x = 'ü'  # \U0001f600", 1.0),
        ("x = '\ud800'", 0.0),
        ("x = 1\0", 0.0),
        ("-" * 50_000 + "1", 0.0),
        ("(" * 50_000, 0.0),
        ("x = " + "1 + " * 20_000 + "1", 0.0),
    ],
)
def test_values(code: str, value: float) -> None:
    reward = CodeSyntaxReward()
    assert reward.compute(fenced(code)) == value
    assert reward.compute(code) == value
    assert sum(reward.failures.values()) == (0 if value else 2)


def test_what_failed_is_counted() -> None:
    reward = CodeSyntaxReward()
    for text in ("", "def f(", "Yes", fenced("ls", "bash"), "x = 1\n" * 20_000):
        assert reward.compute(text) == 0.0
    assert reward.failures == {"no code": 3, "syntax error": 1, "too long": 1}


def test_the_block_is_chosen() -> None:
    text = fenced("def f(") + fenced("x = 1")
    assert CodeSyntaxReward("last").compute(text) == 1.0
    assert CodeSyntaxReward("first").compute(text) == 0.0
    assert CodeSyntaxReward("all").compute(text) == 0.0
    with pytest.raises(ValueError, match="block is 'best'; it is one of last, first, all"):
        CodeSyntaxReward("best")  # type: ignore[arg-type]


def test_a_megabyte_is_quick() -> None:
    begun = time.process_time()
    for text in ("`" * 1_000_000, "```\n" * 250_000, "x = 1\n" * 160_000, " " * 1_000_000):
        CodeSyntaxReward().compute(text)
    assert time.process_time() - begun < 5


def test_what_others_write_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = parsed(r"x = '\d'")
    assert tree is not None
    assert does_something(tree)
