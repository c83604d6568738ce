"""Every format in the shape its original has: what it becomes, and what awkward rows become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
import pytest

from aligntune.config import DatasetConfig
from aligntune.data import CONTRACTS, FORMATS, Prepared, prepare
from aligntune.enums import TaskType
from aligntune.errors import DataError

Write = Callable[..., str]
Row = dict[str, Any]


def turn(role: str, content: str) -> Row:
    return {"role": role, "content": content}


Q, A, B = turn("user", "Why?"), turn("assistant", "So."), turn("assistant", "Else.")
S = turn("system", "Be brief.")
HH = "\n\nHuman: Hi.\n\nAssistant: Yes?\n\nHuman: Why?\n\nAssistant:"

# Name -> contract, a row as the original has it, what it becomes, the columns that it is told by.
ORIGINALS: dict[str, tuple[str, Row, Row, str]] = {
    "alpaca": (
        "language-modelling",
        {"instruction": "Add.", "input": "1, 2", "output": "3", "text": "### Instruction: Add."},
        {"prompt": "Add.\n\n1, 2", "completion": "3"},
        "alpaca: the columns instruction, output and input",
    ),
    "alpaca without input": (
        "language-modelling",
        {"instruction": "Add.", "input": "", "output": "3"},
        {"prompt": "Add.", "completion": "3"},
        "alpaca: the columns instruction, output and input",
    ),
    "dolly": (
        "language-modelling",
        {"instruction": "When?", "context": "In 1815.", "response": "1815", "category": "qa"},
        {"prompt": "When?\n\nIn 1815.", "completion": "1815"},
        "dolly: the columns instruction, response and context",
    ),
    "sharegpt": (
        "language-modelling",
        {"id": "x_1", "conversations": [
            {"from": "system", "value": "Be brief."}, {"from": "human", "value": "Why?"},
            {"from": "gpt", "value": "So."}]},
        {"messages": [S, Q, A]},
        "sharegpt: the column conversations",
    ),
    "chat": (
        "language-modelling",
        {"prompt": "Why?", "prompt_id": "9f", "messages": [Q, A]},
        {"messages": [Q, A]},
        "chat: the column messages",
    ),
    "prompt_completion": (
        "language-modelling",
        {"prompt": "Why?", "completion": "So."},
        {"prompt": "Why?", "completion": "So."},
        "prompt_completion: the columns prompt and completion",
    ),
    "question and answer": (
        "language-modelling",
        {"question": "1+1?", "answer": "#### 2"},
        {"prompt": "1+1?", "completion": "#### 2"},
        "prompt_completion: the columns question and answer",
    ),
    "chat prompt, text completion": (
        "language-modelling",
        {"prompt": [S, Q], "completion": "So."},
        {"prompt": [S, Q], "completion": [A]},
        "prompt_completion: the columns prompt and completion",
    ),
    "text": (
        "language-modelling",
        {"text": "Once.", "url": "https://example.org"},
        {"text": "Once."},
        "text: the column text",
    ),
    "prompt": (
        "prompt",
        {"question": "1+1?", "answer": "#### 2"},
        {"prompt": "1+1?"},
        "prompt: the columns question and answer",
    ),
    "prompts of chats": (
        "prompt", {"messages": [S, Q, A]}, {"prompt": [S, Q]}, "chat: the column messages",
    ),
    "prompts of preferences": (
        "prompt",
        {"chosen": f"{HH} So.", "rejected": f"{HH} Else."},
        {"prompt": HH},
        "preference_implicit: the columns chosen and rejected",
    ),
    "preference": (
        "preference",
        {"prompt": "Why?", "chosen": "So.", "rejected": "Else."},
        {"prompt": "Why?", "chosen": "So.", "rejected": "Else."},
        "preference: the columns prompt, chosen and rejected",
    ),
    "preference of whole chats": (
        "preference",
        {"prompt": "Why?", "prompt_id": "9f", "chosen": [Q, A], "rejected": [Q, B]},
        {"prompt": [Q], "chosen": [A], "rejected": [B]},
        "preference: the columns prompt, chosen and rejected",
    ),
    "hh-rlhf": (
        "preference",
        {"chosen": f"{HH} So.", "rejected": f"{HH} Else."},
        {"prompt": HH, "chosen": " So.", "rejected": " Else."},
        "preference_implicit: the columns chosen and rejected",
    ),
    "implicit in chats": (
        "preference",
        {"chosen": [S, Q, A], "rejected": [S, Q, B]},
        {"prompt": [S, Q], "chosen": [A], "rejected": [B]},
        "preference_implicit: the columns chosen and rejected",
    ),
    "implicit in text": (
        "preference",
        {"chosen": "The sky is bluish.", "rejected": "The sky is black."},
        {"prompt": "The sky is", "chosen": " bluish.", "rejected": " black."},
        "preference_implicit: the columns chosen and rejected",
    ),
    "unpaired_preference": (
        "unpaired-preference",
        {"prompt": "Why?", "completion": "So.", "label": False},
        {"prompt": "Why?", "completion": "So.", "label": False},
        "unpaired_preference: the columns prompt, completion and label",
    ),
    "text_classification": (
        "text-classification",
        {"text": "Good.", "label": 1},
        {"text": "Good.", "label": 1},
        "text_classification: the columns text and label",
    ),
    "token_classification": (
        "token-classification",
        {"id": "0", "tokens": ["EU", "rejects"], "pos_tags": [22, 42], "ner_tags": [3, 0]},
        {"tokens": ["EU", "rejects"], "tags": [3, 0]},
        "token_classification: the columns tokens and ner_tags",
    ),
}  # fmt: skip


def read(contract: str, source: Any, **given: Any) -> Prepared:
    given.setdefault("task_type", CONTRACTS[contract].tasks[0])
    name = datasets.Dataset.from_list(source) if isinstance(source, list) else source
    return prepare([DatasetConfig(name=name, **given)], contract)


def made(contract: str, source: Any, **given: Any) -> list[Row]:
    rows: list[Row] = read(contract, source, **given).rows.to_list()
    return rows


def said(contract: str, source: Any, **given: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(contract, source, **given)
    return str(caught.value)


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_format_is_told_from_its_rows(name: str, write: Write) -> None:
    contract, row, becomes, why = ORIGINALS[name]
    prepared = read(contract, write([row]))
    assert prepared.rows.to_list() == [becomes]
    assert prepared.reports[0].why == why


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.name)
def test_every_format_has_an_original(one: Any) -> None:
    assert any(why.startswith(f"{one.name}:") for *_, why in ORIGINALS.values())


def needed(name: str) -> list[str]:
    """The columns that hold what the contract cannot do without."""
    contract, row, _, why = ORIGINALS[name]
    one = next(one for one in FORMATS if why.startswith(f"{one.name}:"))
    roles = one.find(list(row), DatasetConfig(name=name))
    unread = CONTRACTS[contract].unread
    return [roles[r.name] for r in one.roles if not r.optional and r.name not in unread]


def empties(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [None, []]
    return [None, "", " \n\t", "\u200b\ufeff"] if isinstance(value, str) else [None]


@pytest.mark.parametrize("name", ORIGINALS)
def test_rows_with_nothing_in_them_are_left_out_and_counted(name: str) -> None:
    contract, row, becomes, _ = ORIGINALS[name]
    rows = [row | {column: empty} for column in needed(name) for empty in empties(row[column])]
    prepared = read(contract, [*rows, row])
    report = prepared.reports[0]
    assert prepared.rows.to_list() == [becomes]
    assert (report.read, report.kept) == (len(rows) + 1, 1)
    assert sum(report.left_out.values()) == len(rows)
    assert all("empty" in reason for reason in report.left_out)
    assert "none of the" in said(contract, rows)


@pytest.mark.parametrize("name", ORIGINALS)
def test_nested_values_where_text_stands_are_refused(name: str, write: Write) -> None:
    contract, row, _, why = ORIGINALS[name]
    for column in needed(name):
        rows = write([row | {column: {"a": [1]}}])
        message = said(contract, rows, format_type=why.partition(":")[0])
        assert "row 0: the " in message
        assert "{'a': [1]}" in message
        assert "expected" in message


def without_labels(row: Row) -> bool:
    return all(isinstance(value, str) for value in row.values())


@pytest.mark.parametrize(
    "name", [n for n, (_, row, _, _) in ORIGINALS.items()
             if without_labels(row) and "chosen" not in row]
)  # fmt: skip
def test_numbers_of_a_csv_file_are_text(name: str, write: Write) -> None:
    contract, _, becomes, _ = ORIGINALS[name]
    columns = needed(name)
    lines = [",".join(columns), ",".join("7" for _ in columns), ",".join("2.5" for _ in columns)]
    wanted = set(becomes) - {"url"}
    assert made(contract, write("\n".join(lines), "rows.csv")) == [
        dict.fromkeys(wanted, "7"), dict.fromkeys(wanted, "2.5"),
    ]  # fmt: skip
    lines[2] = ",".join("" for _ in columns) + ","  # makes whole numbers floats
    lines[0] += ",more"
    lines[1] += ",x"
    assert made(contract, write("\n".join(lines), "gaps.csv")) == [dict.fromkeys(wanted, "7")]


def translated(value: Any, table: dict[int, str]) -> Any:
    """A row with characters replaced in all that is text, and not in roles."""
    if isinstance(value, str):
        return value.translate(table)
    if isinstance(value, list):
        return [translated(inner, table) for inner in value]
    if isinstance(value, dict):
        return {
            key: inner if key in ("role", "from") else translated(inner, table)
            for key, inner in value.items()
        }
    return value


# Emoji of several characters, right-to-left text with its marks, and what editors like to remove.
SCRIPTS = str.maketrans(
    {
        "W": "🦊 مرحبا",
        "S": "שָׁלוֹם",
        "E": "e\u0301",
        "1": "👩‍👧",
        "O": "\u202eעל",
        "G": "\ufeff",
        "k": "к",
        "d": "ð",
    }
)
LONG = str.maketrans(dict.fromkeys(".?", " word" * 10_000 + "."))


@pytest.mark.parametrize("name", ORIGINALS)
def test_no_character_is_changed(name: str, write: Write) -> None:
    contract, row, becomes, _ = ORIGINALS[name]
    wanted = translated(becomes, SCRIPTS)
    assert wanted != becomes
    assert made(contract, write([translated(row, SCRIPTS)])) == [wanted]


@pytest.mark.parametrize("name", ORIGINALS)
def test_long_rows_are_whole(name: str, write: Write) -> None:
    contract, row, becomes, _ = ORIGINALS[name]
    if name == "token_classification":
        row, becomes = (
            {key: value * 5_000 for key, value in some.items()} for some in (row, becomes)
        )
    wanted = translated(becomes, LONG)
    assert made(contract, write([translated(row, LONG)])) == [wanted]
    assert len(str(wanted)) > 40_000


CHATS = ["chat", "sharegpt", "prompts of chats"]


def chat(name: str, *turns: Row) -> Row:
    if name != "sharegpt":
        return {"messages": list(turns)}
    names = {"user": "human", "assistant": "gpt"}
    said = [{"from": names.get(t["role"], t["role"]), "value": t["content"]} for t in turns]
    return {"conversations": said}


@pytest.mark.parametrize("name", CHATS)
def test_turns_stay_in_their_order(name: str) -> None:
    contract, _, becomes, _ = ORIGINALS[name]
    (column,) = becomes
    for turns in ([Q, A, S, Q, A], [Q, A, B, Q, A], [S, Q, turn("tool", ""), A, Q, A]):
        wanted = turns[:-1] if contract == "prompt" else turns
        assert made(contract, [chat(name, *turns)]) == [{column: wanted}]


@pytest.mark.parametrize("name", CHATS)
def test_a_conversation_that_ends_with_the_user(name: str) -> None:
    contract, _, becomes, _ = ORIGINALS[name]
    (column,) = becomes
    prepared = read(contract, [chat(name, Q, A, Q)])
    if contract == "prompt":
        assert prepared.rows.to_list() == [{column: [Q, A, Q]}]
        return
    assert prepared.rows.to_list() == [{column: [Q, A]}]
    assert prepared.reports[0].cut == {"turns behind the assistant's last one": 1}
    assert "taken out of 1: turns behind the assistant's last one" in str(prepared.reports[0])


@pytest.mark.parametrize("name", CHATS)
def test_conversations_that_teach_nothing_are_left_out(name: str) -> None:
    contract, row, becomes, _ = ORIGINALS[name]
    more = [chat(name, A), chat(name, S, A), chat(name, turn("narrator", "Once."), Q, A),
            chat(name, turn("user", " "), A)]  # fmt: skip
    if contract != "prompt":
        more += [chat(name, S, Q), chat(name, S)]
    rows = [*more, {key: row[key] for key in more[0]}]
    prepared = read(contract, rows)
    assert prepared.rows.to_list() == [becomes]
    left_out = prepared.reports[0].left_out
    assert sum(left_out.values()) == len(more)
    assert left_out["a turn has the unknown role 'narrator'"] == 1
    assert left_out["a turn of the messages is empty"] == 1


def test_what_turns_bring_beside_text_stays(write: Write) -> None:
    call = [{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]
    calls = {"role": "assistant", "content": "", "tool_calls": call}
    result = {"role": "tool", "content": "3", "name": "add"}
    rows = [chat("chat", Q, A), chat("chat", Q, calls, result, A)]
    (_, row) = made("language-modelling", write(rows))
    turns = [{key: value for key, value in t.items() if value is not None} for t in row["messages"]]
    assert turns == [Q, calls, result, A]
    (row,) = made("language-modelling", [chat("chat", Q, {**A, "name": "Ada"})])
    assert row["messages"][1]["name"] == "Ada"


def test_parts_of_a_turn_that_are_text_are_joined(write: Write) -> None:
    parts = [{"type": "text", "text": "Wh"}, {"type": "text", "text": "y?"}]
    row = {"messages": [{"role": "user", "content": parts}, A]}
    assert made("language-modelling", write([row])) == [{"messages": [Q, A]}]
    row["messages"][0]["content"] = [{"type": "image", "image": "x.png"}]
    assert "expected text, or parts that are text" in said("language-modelling", write([row]))


def test_rows_of_two_kinds_are_refused(write: Write) -> None:
    rows = [{"prompt": "Why?", "completion": "So."}, {"prompt": [Q], "completion": "So."}]
    message = said("language-modelling", write(rows))
    assert "in row 0 prompt is text, completion is text" in message
    assert "in row 1 prompt is chat, completion is chat" in message


def test_preferences_without_a_preference_are_left_out() -> None:
    alike = {"prompt": "Why?", "chosen": "So.", "rejected": "So."}
    prepared = read("preference", [alike, ORIGINALS["preference"][1]])
    assert prepared.reports[0].left_out == {"chosen and rejected are the same": 1}
    rows = [{"chosen": [Q, A], "rejected": [Q]}, {"chosen": [A], "rejected": [B]},
            {"chosen": [Q, A, Q], "rejected": [Q, B]}]  # fmt: skip
    message = said("preference", rows)
    assert "the rejected has nothing behind the shared prompt: 1" in message
    assert "chosen and rejected share no prompt: 1" in message
    assert "the chosen does not end with a turn of the assistant: 1" in message
    apart = {"chosen": HH + " So.", "rejected": HH.replace("Hi", "Hello") + " So."}
    assert "chosen and rejected share no prompt: 1" in said("preference", [apart])


def test_labels() -> None:
    names = datasets.ClassLabel(names=["bad", "good"])
    rows = datasets.Dataset.from_dict(
        {"text": ["a", "b", "c"], "label": [0, 1, -1]},
        features=datasets.Features({"text": datasets.Value("string"), "label": names}),
    )
    config = DatasetConfig(name=rows, task_type=TaskType.TEXT_CLASSIFICATION)
    prepared = prepare([config], "text-classification")
    assert prepared.rows.features["label"] == names
    assert prepared.reports[0].left_out == {"the label is negative, which stands for none": 1}
    assert made("text-classification", [{"text": "a", "label": "good"}])[0]["label"] == "good"
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER"]))
    tagged = datasets.Dataset.from_dict(
        {"tokens": [["a", "b"]], "ner_tags": [[0, 1]]},
        features=datasets.Features({"tokens": datasets.List(datasets.Value("string")),
                                    "ner_tags": tags}),
    )  # fmt: skip
    assert read("token-classification", tagged.select([0]).to_list()).rows[0]["tags"] == [0, 1]
    config = DatasetConfig(name=tagged, task_type=TaskType.TOKEN_CLASSIFICATION)
    assert prepare([config], "token-classification").rows.features["tags"] == tags
    uneven = [{"tokens": ["a", "b"], "ner_tags": ["O"]}]
    assert "there are not as many tags as tokens: 1" in said("token-classification", uneven)


@pytest.mark.parametrize(
    ("label", "becomes"), [(1, True), (0, False), (1.0, True), ("True", True), ("false", False)]
)
def test_judgements(label: Any, becomes: bool) -> None:
    row = {"prompt": "Why?", "completion": "So.", "label": label}
    assert made("unpaired-preference", [row])[0]["label"] is becomes


def test_a_judgement_that_is_none() -> None:
    row = {"prompt": "Why?", "completion": "So.", "label": "maybe"}
    assert "row 0: the label is 'maybe'; expected true or false" in said(
        "unpaired-preference", [row]
    )
