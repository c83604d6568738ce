"""The column contracts: what rows look like when they reach an algorithm.

`language-modelling` rows have `messages`, or `prompt` and `completion`, or `text`. `prompt` rows
have `prompt`, and every other column reaches the rewards. A prompt is a string or a list of chat
messages. Which contract applies is said by the algorithm's manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aligntune.errors import DataError, did_you_mean

__all__ = ["CONTRACTS", "Contract", "Shape", "find_shape"]

_PROMPTS = ("prompt", "instruction", "question", "query", "problem")
_COMPLETIONS = ("completion", "output", "response", "answer", "solution")


@dataclass(frozen=True)
class Shape:
    """One shape that rows may have: the role of each column -> the column that plays it."""

    name: str
    roles: dict[str, str]
    why: str


@dataclass(frozen=True)
class Contract:
    """A contract: its name, the shapes it takes, and what to say when none is there."""

    name: str
    wanted: str

    def find(self, columns: Sequence[str]) -> Shape | None:
        """The first shape of the contract that rows with these columns have, or None."""
        prompt = next((c for c in _PROMPTS if c in columns), None)
        completion = next((c for c in _COMPLETIONS if c in columns), None)
        chat = _shape("messages", {"messages": "messages"}, columns)
        if self.name == "prompt":
            if prompt is not None:
                return _shape("prompt", {"prompt": prompt}, columns)
            return chat if "messages" in columns else None
        if "messages" in columns:
            return chat
        if prompt is not None and completion is not None:
            roles = {"prompt": prompt, "completion": completion}
            return _shape("prompt and completion", roles, columns)
        return _shape("text", {"text": "text"}, columns) if "text" in columns else None


def _shape(name: str, roles: dict[str, str], columns: Sequence[str]) -> Shape:
    if roles.get("prompt") == "instruction":
        extra = next((c for c in ("input", "context") if c in columns), None)
        if extra is not None:
            roles["input"] = extra
    said = ", ".join(
        f"the column {column!r}" + ("" if column == role else f" as the {role}")
        for role, column in roles.items()
    )
    return Shape(name, roles, f"rows have {said}")


CONTRACTS = {
    "language-modelling": Contract(
        "language-modelling", "`messages`, or `prompt` and `completion`, or `text`"
    ),
    "prompt": Contract("prompt", "`prompt`, or `messages`"),
}


def find_shape(contract: str, columns: Sequence[str], source: str) -> Shape:
    """Return the shape that rows with these columns have under a contract.

    Raises:
        DataError: if they have none; names the columns there are, and a mapping that mends it.
    """
    wanted = CONTRACTS[contract]
    shape = wanted.find(columns)
    if shape is not None:
        return shape
    near = [
        hint for column in columns if (hint := did_you_mean(column, (*_PROMPTS, *_COMPLETIONS)))
    ]
    example = columns[0] if columns else "your_column"
    raise DataError(
        f"{source}: rows need {wanted.wanted}; "
        f"the columns there are: {', '.join(columns) or 'none'}\n"
        f"    {near[0] + ' ' if near else ''}rename with `column_mapping: {{{example}: prompt}}`"
    )
