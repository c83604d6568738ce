"""The share of verifiable instructions that a completion follows, as in IFEval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aligntune.scoring import RewardFunction
from aligntune_rewards.verifiable.instructions import Check, check_of

__all__ = ["InstructionFollowingReward"]


class InstructionFollowingReward(RewardFunction):
    """The share of a row's instructions that the completion follows, or 1 only for all of them.

    The instructions are the 25 of IFEval that a program can check (Zhou et al. 2023, arXiv
    2311.07911), such as `length_constraints:number_words`; `aligntune_rewards.verifiable.
    instructions` has them all. The columns are those of the data set `google/IFEval`. The empty
    text follows none.

    Strict is the text as it is. Loose counts an instruction as followed if it is by the text, by
    the text without its first line, its last line or both, or by one of these without asterisks,
    as in the paper.

    Differences to the official program: languages are named by py3langid, sentences and words in
    capitals are found by rules (it uses langdetect and NLTK's models); invisible characters and
    look-alikes hide no forbidden word or comma and make no words; keywords are texts, not patterns;
    several constrained answers are none; JSON is that of RFC 8259.

    Range: 0 to 1. Higher is better. Columns: `instruction_id_list`, a list of names, and `kwargs`,
    a list with a mapping of parameters for each (None is left out), either also as JSON text; a row
    without instructions is left out (None). Needs `pip install "aligntune-rewards[text]"`.

    Args:
        loose: count as in the paper's loose accuracy.
        all_or_nothing: 1 if all instructions are followed, else 0.

    Raises:
        ValueError: when scoring, if an instruction is not known or its parameters are wrong.
    """

    name = "instruction_following"
    requires = frozenset({"instruction_id_list", "kwargs"})
    range = (0.0, 1.0)

    def __init__(self, loose: bool = False, all_or_nothing: bool = False) -> None:
        self.loose = loose
        self.all_or_nothing = all_or_nothing

    def compute(self, text: str, instruction_id_list: Any, kwargs: Any) -> float | None:
        if instruction_id_list is None or kwargs is None:
            return None
        checks = _checks(instruction_id_list, kwargs)
        if not checks:
            return None
        texts = _variants(text) if self.loose else [text]
        followed = [any(map(check, texts)) for check in checks]
        if self.all_or_nothing:
            return float(all(followed))
        return sum(followed) / len(followed)


def _checks(names: Any, given: Any) -> list[Check]:
    names, given = _listed("instruction_id_list", names), _listed("kwargs", given)
    if len(names) != len(given):
        raise ValueError(
            f"instruction_id_list has {len(names)} names and kwargs {len(given)} mappings"
        )
    return [check_of(name, _mapping(params)) for name, params in zip(names, given, strict=True)]


def _listed(column: str, value: Any) -> list[Any]:
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, list | tuple):
        raise TypeError(f"{column} is {value!r}; it is a list")
    return list(value)


def _mapping(params: Any) -> Mapping[str, Any]:
    params = json.loads(params) if isinstance(params, str) else params
    if params is not None and not isinstance(params, Mapping):
        raise TypeError(f"kwargs holds {params!r}; it is a list of mappings")
    return params or {}


def _variants(text: str) -> list[str]:
    """The eight texts of the loose accuracy, each once."""
    lines = text.split("\n")
    cut = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys([*cut, *(each.replace("*", "") for each in cut)]))
