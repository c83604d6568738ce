"""Cases of the group code."""

from __future__ import annotations

from aligntune_rewards import CodeQualityReward
from hacking import Case

_HONEST = "def double(value):\n    return 2 * value\n"
_POOR = "import os\ndef Double(value):\n    if value == None: return 0\n    return 2*value\n"

CASES: dict[str, Case] = {
    "code_quality": Case(
        build=lambda _: CodeQualityReward(),
        honest=f"Here it is:\n\n```python\n{_HONEST}```\n",
        poor=f"Here it is:\n\n```python\n{_POOR}```\n",
        keywords=("# noqa", "# ruff: noqa", "def", "clean", "readable"),
    ),
    "code_quality/bare": Case(
        build=lambda _: CodeQualityReward(),
        honest=_HONEST,
        poor=_POOR,
        keywords=("# noqa", "# ruff: noqa", "def", "clean", "readable"),
    ),
}
