"""Any rows whatsoever meet the contract, are left out, or end in an error of the family."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aligntune.config import DatasetConfig
from aligntune.data import CONTRACTS, FORMATS, LeaveOut, Normaliser, make_normaliser
from aligntune.errors import DataError

EXAMPLES = int(os.environ.get("ALIGNTUNE_EXAMPLES", "500")) // 5
ROLES = {"system", "developer", "user", "assistant", "tool", "function"}

columns = sorted({name for one in FORMATS for role in one.roles for name in (
    *role.known, *role.usual)})  # fmt: skip
words = st.sampled_from(
    ["", " ", "\n\t", "yes", "1", "null", "🦊 emoji", "שלום עולם", "مرحبا", "\ud800", "\x00",
     "\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a\n\nAssistant: c"]
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
turns = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from([*sorted(ROLES), "human", "gpt", "User ", "narrator"]) | values,
        "content": words | values,
        "from": st.sampled_from(["human", "gpt", "system", "tool", "wizard"]) | values,
        "value": words | values,
        "tool_calls": values,
    },
)
sensible_turns = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["system", "user", "assistant"]),
    st.sampled_from(["a", "b", ""]),
)
sensible_chats = st.lists(sensible_turns, max_size=4)
chats = sensible_chats | st.lists(turns, max_size=4)
tags = st.lists(st.integers(-2, 3) | st.sampled_from(["O", "B-PER", ""]), max_size=3)
hh = st.builds(
    "\n\nHuman: {}\n\nAssistant:{}".format, st.sampled_from("ab"), st.sampled_from(["", " 1", " 2"])
)
# What stands in the columns of real data, mostly; anything else may stand there too.
likely = {
    "messages": chats,
    "label": st.sampled_from([0, 1, True, "good", -1, None]),
    "tokens": st.lists(st.sampled_from(["a", "b", ""]), max_size=2),
    "tags": tags,
}
texts = st.sampled_from(["a", "b c", "d", 7, 2.5]) | hh | sensible_chats | words
names = st.sampled_from(columns) | st.text(max_size=6)


def rarely(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """None, and one time in eight something else."""
    return st.integers(0, 7).flatmap(lambda number: strategy if number == 7 else st.none())


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    """A contract, and rows that have the columns of one of its formats, more or fewer."""
    contract = draw(st.sampled_from(sorted(CONTRACTS)))
    one = draw(st.sampled_from(CONTRACTS[contract].formats))
    cells: dict[str, st.SearchStrategy[Any]] = {}
    for role in one.roles:
        if draw(rarely(st.just("lacks it"))) is None:
            name = draw(st.sampled_from((*role.known, *role.usual)))
            usual = likely.get(role.name, texts)
            cells[name] = usual if draw(rarely(st.just("odd"))) is None else values
    for name in draw(st.lists(names, max_size=2)):
        cells.setdefault(name, words | chats | values)
    return contract, draw(st.lists(st.fixed_dictionaries(cells), max_size=4))


PARTS: dict[str, list[tuple[str, ...]]] = {
    "language-modelling": [("messages",), ("text",), ("prompt", "completion")],
    "prompt": [("prompt",)],
    "preference": [("prompt", "chosen", "rejected")],
    "unpaired-preference": [("prompt", "completion")],
}


def is_text(value: Any) -> bool:
    value.encode()
    return isinstance(value, str) and bool(value.strip())


def is_chat(value: Any) -> bool:
    return bool(value) and all(
        turn["role"] in ROLES
        and isinstance(turn["content"], str)
        and (turn["content"].strip() or turn["role"] == "tool" or turn.get("tool_calls"))
        for turn in value
    )


def meets(contract: str, row: dict[str, Any]) -> bool:
    """Whether a row is what the page on data says of the contract."""
    if contract == "text-classification":
        return is_text(row["text"]) and is_label(row["label"])
    if contract == "token-classification":
        tokens, tags = row["tokens"], row["tags"]
        return (
            0 < len(tokens) == len(tags)
            and all(map(is_text, tokens))
            and all(map(is_label, tags))
            and len(set(map(type, tags))) == 1
        )
    if contract == "unpaired-preference" and "label" not in row:
        contract = "preference"  # a pair is two judgements
    parts = next(some for some in PARTS[contract] if some[0] in row)
    kind = is_chat if isinstance(row[parts[0]], list) else is_text
    good = all(kind(row[part]) for part in parts)
    if contract == "language-modelling" and kind is is_chat:
        good = good and row[parts[-1]][-1]["role"] == "assistant"
    if contract == "preference":
        good = good and row["chosen"] != row["rejected"]
    if contract == "unpaired-preference":
        good = good and isinstance(row["label"], bool)
    return good


def is_label(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and is_text(value))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=data_sets(),
    format_type=rarely(st.sampled_from([one.name for one in FORMATS]) | words),
    auto=st.booleans(),
    system=st.none() | st.just("Be brief."),
    column=rarely(st.sampled_from(columns)),
)
def test_any_rows_meet_the_contract_or_say_why_not(
    data: tuple[str, list[dict[str, Any]]],
    format_type: str | None,
    auto: bool,
    system: str | None,
    column: str | None,
) -> None:
    contract, rows = data
    given: dict[str, Any] = {"text_column": column, "messages_column": column} if column else {}
    config = DatasetConfig(
        name="rows",
        task_type=CONTRACTS[contract].tasks[0],
        format_type=format_type,
        auto_detect_fields=auto,
        system_prompt=system if CONTRACTS[contract].chats else None,
        **given,
    )
    try:
        normalise = make_normaliser(config, contract, list(rows[0]) if rows else [], rows)
        outcomes = [outcome(normalise, row, index) for index, row in enumerate(rows)]
    except DataError:
        return
    for made in outcomes:
        assert made is None or meets(contract, made)


def outcome(normalise: Normaliser, row: dict[str, Any], index: int) -> dict[str, Any] | None:
    try:
        return normalise(row, index).row
    except LeaveOut:
        return None
