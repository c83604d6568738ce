"""What this group brings: names and facts; rewards are imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligntune.facts import RewardFacts
    from aligntune.plugins import Register

__all__ = ["register_rewards"]


def register_rewards(register: Register[RewardFacts]) -> None:
    """Register the rewards of this group."""
    register(
        "accuracy",
        "aligntune_rewards.verifiable.accuracy:AccuracyReward",
        summary="1 if the final answer is the reference; numbers compared exactly",
        requires=("reference",),
    )
    register(
        "code_syntax",
        "aligntune_rewards.verifiable.code_syntax:CodeSyntaxReward",
        summary="1 if the code is a Python program, by Python's own parser",
        cost="process",
    )
    register(
        "exact_match",
        "aligntune_rewards.verifiable.exact_match:ExactMatchReward",
        summary="1 if the whole completion is the reference",
        requires=("reference",),
    )
    register(
        "math_accuracy",
        "aligntune_rewards.verifiable.math_accuracy:MathAccuracyReward",
        summary="1 if the final answer is mathematically equal to the reference (math-verify)",
        requires=("reference",),
        cost="process",
        packages=("math-verify>=0.9",),
        install="aligntune-rewards[math]",
    )
    register(
        "multiple_choice",
        "aligntune_rewards.verifiable.multiple_choice:MultipleChoiceReward",
        summary="1 if the one option that is chosen is the right one",
        requires=("reference",),
    )
    register(
        "regex_match",
        "aligntune_rewards.verifiable.regex_match:RegexMatchReward",
        summary="1 if the completion matches a regular expression",
        cost="process",
    )
    register(
        "json_schema",
        "aligntune_rewards.verifiable.json_schema:JsonSchemaReward",
        summary="1 if the completion is a JSON document that a schema allows",
        cost="process",
        packages=("jsonschema>=4.23",),
        install="aligntune-rewards[schema]",
    )
    register(
        "sql_execution",
        "aligntune_rewards.verifiable.sql_execution:SqlExecutionReward",
        summary="1 if a query returns the right rows, found out by running it (SQLite)",
        requires=("schema",),
        cost="process",
    )
    register(
        "code_execution",
        "aligntune_rewards.verifiable.code_execution:CodeExecutionReward",
        summary="1 if a program passes its tests, found out by running it in the sandbox",
        requires=("tests",),
        cost="process",
    )
    register(
        "instruction_following",
        "aligntune_rewards.verifiable.instruction_following:InstructionFollowingReward",
        summary="the share of IFEval's verifiable instructions that are followed",
        requires=("instruction_id_list", "kwargs"),
        packages=("py3langid>=0.4",),
        install="aligntune-rewards[text]",
    )
