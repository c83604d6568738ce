"""Cases of the group verifiable: no trick makes a wrong answer earn more than the lowest value."""

from __future__ import annotations

from aligntune_rewards import (
    AccuracyReward,
    CodeSyntaxReward,
    ExactMatchReward,
    JsonSchemaReward,
    MathAccuracyReward,
    MultipleChoiceReward,
    RegexMatchReward,
    SqlExecutionReward,
)
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
    "multiple_choice": Case(
        build=lambda get: MultipleChoiceReward(),
        honest="The Tiber is in Italy. The answer is (B).",
        poor="The Tiber is in France. The answer is (A).",
        prompt="Where is the Tiber? A) France B) Italy C) Spain",
        reference="B",
        columns={"choices": ["France", "Italy", "Spain"]},
        keywords=("A", "B", "C", "Italy"),
        at_most=0.0,
    ),
    "multiple_choice/undeclared": Case(
        build=lambda get: MultipleChoiceReward(),
        honest="It is in Italy.",
        poor="It is in France.",
        prompt="Where is the Tiber? A) France B) Italy C) Spain",
        reference="Italy",
        columns={"choices": ["France", "Italy", "Spain"]},
        keywords=("(A)", "(B)", "(C)", "Italy"),
        at_most=0.0,
    ),
    "regex_match": Case(
        build=lambda get: RegexMatchReward(r"Answer: \d+ pens", timeout=20.0),
        honest="Answer: 72 pens",
        poor="Answer: many pens",
        prompt=SUM,
        keywords=("Answer:", "72", "pens"),
        at_most=0.0,
    ),
    "json_schema": Case(
        build=lambda get: JsonSchemaReward(
            {"type": "object", "required": ["pens"], "properties": {"pens": {"type": "integer"}}},
            timeout=20.0,
        ),
        honest='{"pens": 72}',
        poor='{"pens": "72"}',
        prompt=SUM,
        keywords=('{"pens":', "72", "}", '{"pens": 72}'),
        at_most=0.0,
    ),
    "sql_execution": Case(
        build=lambda get: SqlExecutionReward(),
        honest="```sql\nSELECT name FROM city WHERE people > 1\n```",
        poor="```sql\nSELECT name FROM city WHERE people < 1\n```",
        prompt="Which cities have more than 1 million people?",
        reference="SELECT name FROM city WHERE people > 1",
        columns={"schema": "CREATE TABLE city (name, people); INSERT INTO city VALUES ('A', 2)"},
        keywords=("SELECT", "name", "FROM", "city", "'A'"),
        at_most=0.0,
    ),
    "sql_execution/bare": Case(
        build=lambda get: SqlExecutionReward(),
        honest="SELECT name FROM city WHERE people > 1",
        poor="SELECT name FROM city WHERE people < 1",
        prompt="Which cities have more than 1 million people?",
        reference="SELECT name FROM city WHERE people > 1",
        columns={"schema": "CREATE TABLE city (name, people); INSERT INTO city VALUES ('A', 2)"},
        keywords=("SELECT", "name", "FROM", "city", "'A'"),
        at_most=0.0,
    ),
}
