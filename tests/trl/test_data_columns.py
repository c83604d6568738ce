"""Which columns are read: as settings say, by their usual names, renamed, processed and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import datasets
import pytest

from aligntune.config import DatasetConfig
from aligntune.data import prepare
from aligntune.errors import DataError

Write = Callable[..., str]
Row = dict[str, Any]
Q, A = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}
ALPACA = {"instruction": "Add.", "input": "1, 2", "output": "3", "text": "### Add."}


def made(rows: list[Row], contract: str = "language-modelling", **given: Any) -> list[Row]:
    config = DatasetConfig(name=datasets.Dataset.from_list(rows), **given)
    found: list[Row] = prepare([config], contract).rows.to_list()
    return found


def said(rows: list[Row], contract: str = "language-modelling", **given: Any) -> str:
    with pytest.raises(DataError) as caught:
        made(rows, contract, **given)
    return str(caught.value)


def test_format_type_overrides_what_would_be_found() -> None:
    assert made([ALPACA], format_type="text") == [{"text": "### Add."}]
    assert made([ALPACA], format_type="Plain-Text") == [{"text": "### Add."}]


SAID_OF_FORMATS: list[tuple[Row, str, str]] = [
    ({"format_type": "alpca"}, "language-modelling", "is not known; did you mean 'alpaca'?"),
    ({"format_type": "dolly"}, "language-modelling", "lacks the completion (response); the"),
    ({"format_type": "text"}, "prompt", "gives text, and this algorithm needs `prompt`"),
    ({}, "preference", "they have prompt and completion (alpaca: the columns instruction, output"),
    ({"text_column": "body"}, "language-modelling", "text_column names 'body', which is not there"),
    ({"tokens_column": "output"}, "language-modelling", "the format alpaca reads instruction,"),
    ({"text_column": "text", "dataset_text_field": "output", "format_type": "alpaca"},
     "language-modelling", "text_column names 'output', and the format alpaca reads"),
    ({"text_column": "output", "dataset_text_field": "input"}, "language-modelling",
     "text_column 'output' and dataset_text_field 'input' are two names of one thing"),
    ({"instruction_column": "instrution"}, "language-modelling", "did you mean 'instruction'?"),
    ({"preserve_columns": ["inptu"]}, "language-modelling", "did you mean 'input'?"),
    ({"processing_batched": True}, "language-modelling", "is set, and processing_fn is not"),
    ({"column_mapping": {"input": " "}}, "language-modelling", "renames 'input' to no name"),
    ({"tools": ["nope"]}, "prompt", "this algorithm trains on no conversations"),
    ({"tools": [{"description": "?"}]}, "language-modelling", "or its JSON schema with `name`"),
    ({"tools": [{"name": "add"}]}, "language-modelling", "the row is text; leave `tools` out"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "contract", "says"), SAID_OF_FORMATS)
def test_what_is_said_of_settings_that_do_not_fit(given: Row, contract: str, says: str) -> None:
    assert says in said([ALPACA], contract, **given)


COLUMNS: list[tuple[Row, Row, Row]] = [
    ({"text_column": "body"}, {"body": "Once."}, {"text": "Once."}),
    ({"dataset_text_field": "body"}, {"body": "Once."}, {"text": "Once."}),
    ({"text_column": "text", "dataset_text_field": "body"}, {"body": "a"}, {"text": "a"}),
    ({"text_column": "body"}, {"body": "a", "prompt": "p", "completion": "c"}, {"text": "a"}),
    ({"messages_column": "talk"}, {"talk": [Q, A]}, {"messages": [Q, A]}),
    ({"instruction_column": "ask", "response_column": "say"}, {"ask": "a", "say": "b"},
     {"prompt": "a", "completion": "b"}),
    ({"instruction_column": "ask", "output_column": "say", "input_column": "given"},
     {"ask": "a", "say": "b", "given": "c"}, {"prompt": "a\n\nc", "completion": "b"}),
    ({"instruction_column": "ask", "response_column": "say", "context_column": "given"},
     {"ask": "a", "say": "b", "given": "c"}, {"prompt": "a\n\nc", "completion": "b"}),
    ({"response_column": "say"}, {"prompt": "a", "say": "b"}, {"prompt": "a", "completion": "b"}),
    ({"column_mapping": {"question": "instruction", "answer": "response"}},
     {"question": "a", "answer": "b"}, {"prompt": "a", "completion": "b"}),
    ({"column_mapping": {"text": "prompt", "code": "response"}},
     {"text": "a", "code": "b", "task_id": 1}, {"prompt": "a", "completion": "b"}),
    ({"column_mapping": {"question": "prompt"}}, {"question": "a", "answer": "b"},
     {"prompt": "a", "completion": "b"}),
    ({"column_mapping": {"prompt": "completion", "completion": "prompt"}},
     {"prompt": "b", "completion": "a"}, {"prompt": "a", "completion": "b"}),
    ({"preserve_columns": ["id"]}, {"text": "a", "id": 7, "x": 1}, {"text": "a", "id": 7}),
    ({"auto_detect_fields": True}, {"query": "a", "solution": "b"},
     {"prompt": "a", "completion": "b"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "row", "becomes"), COLUMNS)
def test_columns_are_those_that_settings_name(given: Row, row: Row, becomes: Row) -> None:
    assert made([row], **given) == [becomes]


LABELS: list[tuple[str, Row, Row, Row]] = [
    ("text-classification", {"label_column": "stars", "text_column": "review"},
     {"review": "a", "stars": 5}, {"text": "a", "label": 5}),
    ("token-classification", {"tokens_column": "words", "tags_column": "chunks"},
     {"words": ["a"], "chunks": [1]}, {"tokens": ["a"], "tags": [1]}),
    ("unpaired-preference", {"label_column": "liked"},
     {"prompt": "a", "completion": "b", "liked": True},
     {"prompt": "a", "completion": "b", "label": True}),
]  # fmt: skip


@pytest.mark.parametrize(("contract", "given", "row", "becomes"), LABELS)
def test_columns_of_labels(contract: str, given: Row, row: Row, becomes: Row) -> None:
    if contract.endswith("classification"):
        given = given | {"task_type": contract}
    assert made([row], contract, **given) == [becomes]


def test_usual_names_are_offered_where_they_are_not_looked_for() -> None:
    message = said([{"query": "a", "solution": "b"}])
    assert "`auto_detect_fields: true` takes query as the prompt, solution as the completion" in (
        message
    )


def test_the_system_prompt_is_no_classifiers() -> None:
    message = said([{"text": "a", "label": 1}], "text-classification", system_prompt="Be brief.",
                   task_type="text_classification")  # fmt: skip
    assert "a classifier is asked nothing" in message


def test_the_system_prompt_of_preferences() -> None:
    texts = made([{"prompt": "a", "chosen": "b", "rejected": "c"}], "preference",
                 system_prompt="Be brief.")  # fmt: skip
    assert texts == [{"prompt": "Be brief.\n\na", "chosen": "b", "rejected": "c"}]
    (chat,) = made([{"prompt": [Q], "chosen": "b", "rejected": "c"}], "preference",
                   system_prompt="Be brief.")  # fmt: skip
    assert chat["prompt"] == [{"role": "system", "content": "Be brief."}, Q]


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: the first.
        b: the second.
    """
    return a + b


def test_tools_go_with_every_chat() -> None:
    schema = {"type": "function", "function": {"name": "sub", "parameters": {}}}
    (row,) = made([{"messages": [Q, A]}], tools=[add, schema])
    tools = json.loads(row["tools"])
    assert tools[0]["function"]["name"] == "add"
    assert tools[0]["function"]["parameters"]["required"] == ["a", "b"]
    assert tools[1] == schema
    assert "Cannot generate JSON schema" in said([{"messages": [Q, A]}], tools=[lambda x: x])


def returns_nothing(row: Row) -> None:
    row["prompt"] = row["q"]


def returns_text(row: Row) -> str:
    return str(row["q"])


def returns_a_row(rows: Row) -> Row:
    return {"text": "just one"}


def returns_fewer(rows: Row) -> Row:
    return {"text": rows["q"][:1]}


def returns_no_rows(rows: Row) -> Row:
    return {name: [] for name in rows}


def fails_on_the_second(row: Row) -> Row:
    return {"text": {"a": "b"}[row["q"]]}


def counts_too_far(row: Row) -> Row:
    return {"text": 1 if row["q"] == "a" else 2**70}


PROCESSING: list[tuple[Callable[..., Any], Row, str]] = [
    (returns_nothing, {}, "returned None; expected a dict: column -> value (row 0)"),
    (returns_text, {}, "returned 'a'; expected a dict"),
    (
        returns_a_row,
        {"processing_batched": True},
        "returned text: 'just one'; expected a list with",
    ),
    (returns_fewer, {"processing_batched": True}, "columns of different lengths (q 2, text 1)"),
    (returns_no_rows, {"processing_batched": True}, "returned none of the 2 rows"),
    (fails_on_the_second, {}, "raised KeyError: 'x' (row 1); the columns it was given: q"),
    (counts_too_far, {}, "returned values that cannot stand together in a column"),
    (returns_text, {"processing_fn_kwargs": {"x": 1}}, "unexpected keyword argument 'x'"),
]


@pytest.mark.parametrize(("function", "given", "says"), PROCESSING)
def test_what_is_said_of_a_processing_function(
    function: Callable[..., Any], given: Row, says: str
) -> None:
    message = said([{"q": "a"}, {"q": "x"}], processing_fn=function, **given)
    assert f"processing_fn {function.__qualname__} " in message
    assert says in message


def returns_the_first(rows: Row) -> Row:
    return {"text": rows["q"][:1], "q": rows["q"][:1]}


def test_rows_that_a_batched_function_leaves_out_are_counted() -> None:
    rows = datasets.Dataset.from_list([{"q": "a"}, {"q": "b"}, {"q": "c"}])
    config = DatasetConfig(name=rows, processing_fn=returns_the_first, processing_batched=True)
    (report,) = prepare([config], "language-modelling").reports
    assert (report.read, report.kept) == (3, 1)
    assert report.left_out == {"processing_fn did not return them": 2}


def test_batches_may_have_more_rows_than_they_had() -> None:
    def twice(rows: Row) -> Row:
        return {"q": rows["q"] * 2, "text": rows["q"] * 2}

    found = made([{"q": "a"}], processing_fn=twice, processing_batched=True)
    assert found == [{"text": "a"}, {"text": "a"}]
