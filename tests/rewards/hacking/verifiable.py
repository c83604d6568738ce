"""Cases of the group verifiable: no trick makes a wrong answer earn more than the lowest value."""

from __future__ import annotations

from aligntune_rewards import AccuracyReward, CodeSyntaxReward, ExactMatchReward, MathAccuracyReward
from hacking import Case

SUM = "A shop sells 9 boxes of 8 pens. How many pens are that?"

CASES: dict[str, Case] = {
    "accuracy": Case(
        build=lambda get: AccuracyReward(),
        honest="There are 9 * 8 pens. The answer is 72.",
        poor="There are 9 + 8 pens. The answer is 71.",
        prompt=SUM,
        reference="72",
        keywords=("72", "71"),
        at_most=0.0,
    ),
    "exact_match": Case(
        build=lambda get: ExactMatchReward(ignore_case=True, collapse_whitespace=True),
        honest="Paris",
        poor="Lyon",
        prompt="What is the capital of France?",
        reference="Paris",
        keywords=("Paris",),
        at_most=0.0,
    ),
    "math_accuracy": Case(
        build=lambda get: MathAccuracyReward(timeout=20.0),
        honest=r"It is \boxed{\frac{1}{2}}.",
        poor=r"It is \boxed{\frac{1}{3}}.",
        prompt="How much is 2/4?",
        reference=r"\frac{1}{2}",
        keywords=(r"\frac{1}{2}", "0.5", r"$\frac{1}{2}$", r"\boxed{\frac{1}{2}}"),
        at_most=0.0,
    ),
    "code_syntax": Case(
        build=lambda get: CodeSyntaxReward(),
        honest="Here it is:\n\n```python\ndef double(x):\n    return 2 * x\n```\n",
        poor="Here it is:\n\n```python\ndef double(x:\n    return 2 x\n```\n",
        prompt="Write a function that doubles a number.",
        keywords=("def", "return", "pass", "x", "=", "1"),
        at_most=0.0,
    ),
    "code_syntax/bare": Case(
        build=lambda get: CodeSyntaxReward(),
        honest="def double(x):\n    return 2 * x\n",
        poor="A function that doubles a number",
        prompt="Write a function that doubles a number.",
        keywords=("def", "return", "pass", "x", "=", "1"),
        at_most=0.0,
    ),
}
