r"""Formats of preferences: pairs with an explicit or an implicit prompt, and single judgements.

With an implicit prompt `chosen` and `rejected` are whole conversations that begin alike: lists of
messages that share turns, or texts as Anthropic/hh-rlhf has them,
`"\n\nHuman: ...\n\nAssistant: ..."`, whose prompt ends with the last `"\n\nAssistant:"` that they
share.
"""

from __future__ import annotations

import re
from typing import Any

from aligntune.data.formats.base import Format, LeaveOut, Role, Values
from aligntune.data.formats.pairs import ASKED, COMPLETION, pair
from aligntune.data.formats.values import is_chat, prompt_of, shared_length, shown
from aligntune.errors import DataError

__all__ = ["PREFERENCE", "PREFERENCE_IMPLICIT", "UNPAIRED"]

ASSISTANT = "\n\nAssistant:"
_CHOSEN, _REJECTED = Role("chosen", ("chosen",)), Role("rejected", ("rejected",))
_LABELS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_ASKING = ("system", "developer", "user")


def _explicit(values: Values) -> dict[str, Any]:
    prompt = prompt_of(values["prompt"], "prompt")
    chosen, rejected = _both(values)
    if is_chat(prompt) or is_chat(chosen):
        prompt = prompt if is_chat(prompt) else [{"role": "user", "content": prompt}]
        chosen, rejected = _turns(chosen), _turns(rejected)
        if all(turns[0]["role"] in _ASKING for turns in (chosen, rejected)):
            return _implicit_turns(chosen, rejected)  # whole conversations, which have the prompt
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def _implicit(values: Values) -> dict[str, Any]:
    chosen, rejected = _both(values)
    if is_chat(chosen):
        return _implicit_turns(chosen, rejected)
    shared = chosen[: shared_length(chosen, rejected)]
    end = shared.rfind(ASSISTANT)
    if end >= 0:
        end += len(ASSISTANT)
    elif ASSISTANT in chosen and ASSISTANT in rejected:
        end = 0  # conversations that differ from the first question on
    else:  # behind the last whole word that they share; the space belongs to what follows
        whole = shared if shared[-1:].isspace() else re.sub(r"\S+\Z", "", shared)
        end = len(whole.rstrip())
    return _parts(chosen[:end], chosen[end:], rejected[end:])


def _implicit_turns(chosen: list[Any], rejected: list[Any]) -> dict[str, Any]:
    end = shared_length(chosen, rejected)
    return _parts(chosen[:end], chosen[end:], rejected[end:])


def _parts(prompt: Any, chosen: Any, rejected: Any) -> dict[str, Any]:
    for name, part in (("chosen", chosen), ("rejected", rejected)):
        if not (part if is_chat(part) else part.strip()):
            raise LeaveOut(f"the {name} has nothing behind the shared prompt")
    if not (prompt if is_chat(prompt) else prompt.strip()):
        raise LeaveOut("chosen and rejected share no prompt")
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def _both(values: Values) -> tuple[Any, Any]:
    chosen, rejected = (prompt_of(values[name], name) for name in ("chosen", "rejected"))
    if is_chat(chosen) or is_chat(rejected):
        chosen, rejected = _turns(chosen), _turns(rejected)
    if chosen == rejected:
        raise LeaveOut("chosen and rejected are the same")
    return chosen, rejected


def _turns(value: Any) -> list[Any]:
    return value if is_chat(value) else [{"role": "assistant", "content": value}]


def _unpaired(values: Values) -> dict[str, Any]:
    label = values["label"]
    if label is None or label == "":
        raise LeaveOut("the label is empty")
    known = _LABELS.get(str(label).strip().lower())
    if known is None:
        raise DataError(f"the label is {shown(label)}; expected true or false, or 1 or 0")
    return {**pair(values), "label": known}


PREFERENCE = Format(
    "preference",
    "preference",
    (ASKED, _CHOSEN, _REJECTED),
    _explicit,
    ("dpo", "preference_explicit"),
)
PREFERENCE_IMPLICIT = Format(
    "preference_implicit",
    "preference",
    (_CHOSEN, _REJECTED),
    _implicit,
    ("hh_rlhf",),
)
UNPAIRED = Format(
    "unpaired_preference",
    "unpaired preference",
    (ASKED, COMPLETION, Role("label", ("label",), ("label_column",), ("desirable", "thumbs_up"))),
    _unpaired,
    ("unpaired", "kto"),
)
