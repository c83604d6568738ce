"""What an `EvalTask` takes, refuses and says of itself; and its templates over rows."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aligntune import EvalTask, TaskCategory
from aligntune.errors import EvaluationError
from aligntune.evaluation.templates import Template

ROWS = [{"prompt": "1+1=", "answer": "2"}]


def task(**changes: Any) -> EvalTask:
    return EvalTask(**{"name": "sums", "dataset": ROWS, "metrics": ["exact_match"], **changes})


def test_the_snippet_of_the_architecture_page_makes_a_task() -> None:
    made = EvalTask(
        name="custom",
        category=TaskCategory.CUSTOM,
        dataset=ROWS,
        metrics=["exact_match"],
    )
    assert made.category is TaskCategory.CUSTOM
    assert made.metrics == ("exact_match",)


def test_a_task_stays_as_it_is() -> None:
    made = task()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.num_fewshot = 3  # type: ignore[misc]
    assert dataclasses.replace(made, num_fewshot=3).num_fewshot == 3
    assert pickle.loads(pickle.dumps(made)) == made


def test_values_are_put_in_order() -> None:
    made = task(category="math", metrics="exact_match", stop="\n")
    assert (made.category, made.metrics, made.stop) == (
        TaskCategory.MATH,
        ("exact_match",),
        ("\n",),
    )


def function(row: dict[str, Any]) -> dict[str, Any]:
    return row


def test_a_task_says_itself_in_json() -> None:
    metric = {"type": "custom_metric", "params": {"function": function, "name": "f"}}
    said = json.loads(json.dumps(task(processing_fn=function, metrics=[metric]).as_dict()))
    where = f"{__name__}:function"
    assert said["dataset"] == {"type": "list", "rows": 1}
    assert said["processing_fn"] == where
    assert said["metrics"] == [
        {"type": "custom_metric", "params": {"function": where, "name": "f"}}
    ]
    assert set(said) == {field.name for field in dataclasses.fields(EvalTask)}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: expected a name, not ''"),
    ({"name": "a/b"}, "name: 'a/b' cannot be a name: it stands in file names"),
    ({"name": "x" * 101}, "name: it has 101 characters; 100 are possible"),
    ({"category": "maths"}, "category: unknown category 'maths'; did you mean 'math'.; known: "),
    ({"dataset": ()}, "dataset: there are no rows; give a hub name, a local file, rows, or a"),
    ({"dataset": " "}, "dataset: expected a hub name, a local file, rows"),
    ({"dataset": {"a": [1]}}, "dataset: expected a hub name, .*, not a dict"),
    ({"dataset": [{}, "row"]}, "dataset: row 1 is no dict of columns, but 'row'"),
    ({"dataset": [{1: "a"}]}, "dataset: row 0 has the column 1, whose name is no text"),
    ({"subset": "main"}, "subset: rows that are given as they are have none; leave it out"),
    ({"fewshot_split": "dev"}, "fewshot_split: rows that are given as they are have none"),
    ({"split": ""}, "split: expected text, not ''"),
    ({"prompt": "{{ question"}, r"prompt: it is no Jinja template: .* \(line 1 of it\)"),
    ({"prompt": "a\n{% if %}"}, r"prompt: it is no Jinja template: .* \(line 2 of it\)"),
    ({"prompt": 3}, "prompt: expected a Jinja template, that is text, not 3"),
    ({"columns": {"text": "{{"}}, "columns.text: it is no Jinja template"),
    ({"columns": "text"}, "columns: expected names of columns with templates, not 'text'"),
    ({"processing_fn": "split"}, 'processing_fn: expected a function, or .* "package.module:name"'),
    ({"chat": "yes"}, "chat: expected true or false, not 'yes'"),
    ({"chat_template_kwargs": {"f": function}}, "chat_template_kwargs: it must hold JSON values"),
    ({"num_fewshot": -1}, "num_fewshot: must be at least 0, not -1"),
    ({"num_fewshot": "3"}, "num_fewshot: expected a whole number, not '3'"),
    ({"num_fewshot": True}, "num_fewshot: expected a whole number, not True"),
    ({"fewshot_sampler": "last"}, "fewshot_sampler: expected 'random' or 'first', not 'last'"),
    ({"fewshot_delimiter": None}, "fewshot_delimiter: expected text, not None"),
    ({"metrics": []}, "metrics: a task without metrics measures nothing"),
    ({"metrics": 3}, "metrics: expected a list of metrics, not 3"),
    ({"metrics": ["bleu", 3]}, "metrics.1: a metric is a name, or `type` and `params`, not 3"),
    ({"metrics": [dict]}, "metrics.0: a metric is a name, or `type` and `params`, not <class"),
    ({"metrics": [{"params": {}}]}, "metrics.0: `type` is required"),
    ({"metrics": [{"type": "rouge", "stem": 1}]}, "metrics.0.stem: .*parameters stand under"),
    ({"metrics": [{"type": "a", "params": 3}]}, "metrics.0.params: expected keys with values"),
    ({"max_new_tokens": 0}, "max_new_tokens: must be at least 1, not 0"),
    ({"temperature": -0.1}, "temperature: must be 0 or more, not -0.1"),
    ({"temperature": float("inf")}, "temperature: must be 0 or more, not inf"),
    ({"top_p": 0}, "top_p: must be above 0 and at most 1, not 0"),
    ({"top_p": 0.9}, "top_p: 0.9 has no effect at temperature 0"),
    ({"top_k": 5}, "top_k: 5 has no effect at temperature 0"),
    ({"num_samples": 4}, "num_samples: 4 completions are all the same at temperature 0"),
    ({"stop": ["\n", ""]}, "stop: it holds an empty text"),
    ({"stop": [1]}, r"stop: expected a list of texts, not \[1\]"),
    ({"max_samples": 0}, "max_samples: must be at least 1, not 0"),
    ({"version": 0}, "version: must be at least 1, not 0"),
    ({"metadata": {"a": {1}}}, "metadata: it must hold JSON values"),
]


@pytest.mark.parametrize(
    ("changes", "said"), WRONG, ids=[f"{next(iter(c))}-{n}" for n, (c, _) in enumerate(WRONG)]
)
def test_a_wrong_value_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        task(**changes)
    name = changes.get("name", "sums")
    assert str(caught.value).startswith(f"task {name!r}: ")
    assert re.search(said, str(caught.value))


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(EvaluationError, match=r"category: .*; chat: .*; seed: .*"):
        task(category="x", chat=1, seed=-1)


def test_a_task_without_templates_does_not_import_jinja() -> None:
    code = (
        "import sys; from aligntune import EvalTask;"
        "EvalTask(name='a', dataset='b', metrics=['c']); assert 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


VALUES: list[tuple[str, dict[str, Any], Any]] = [
    ("{{ a }}+{{ b }}=", {"a": 1, "b": 2}, "1+2="),
    ("{{ a }}", {"a": [1, 2]}, [1, 2]),
    ("{{ a.text[1] }}", {"a": {"text": ["x", "y"]}}, "y"),
    ("{{ letters.index(key) }}", {"letters": ["A", "B"], "key": "B"}, 1),
    ("{{ a }}\n", {"a": 1}, "1\n"),
    (" {{ a }}", {"a": 1}, " 1"),
    ("{{ a or '' }}!", {"a": None}, "!"),
    ("{% for x in range(a) %}{{ x }}{% endfor %}", {"a": 3}, "012"),
    ("{{ row }}", {"self": 1, "row": 2}, 2),
]


@pytest.mark.parametrize(("source", "row", "value"), VALUES)
def test_a_template_gives_text_or_the_value_of_its_one_expression(
    source: str, row: dict[str, Any], value: Any
) -> None:
    assert Template(source, "'prompt'").render(row, 0) == value


MISSING: list[tuple[str, dict[str, Any], str]] = [
    ("{{ qestion }}?", {"question": 1}, "there is no column 'qestion'; did you mean 'question'?"),
    ("{{ qestion }}", {"question": 1}, "there is no column 'qestion'; did you mean 'question'?"),
    ("{{ a.b }} x", {"a": {}}, "'dict object' has no attribute 'b'"),
    ("{{ a }} x", {"a": None}, r"a value that it writes is None in this row \(a is\)"),
    ("{{ a }}", {"a": None}, r"a value that it writes is None in this row \(a is\)"),
    ("{{ a + 'x' }}", {"a": 1}, "TypeError: unsupported operand"),
    ("{{ a.__class__ }}", {"a": 1}, "access to attribute '__class__' of 'int' object is unsafe"),
    ("{{ a.append(1) }}", {"a": []}, "is unsafe|not safely callable"),
    ("{{ lipsum() }}", {}, "there is no column 'lipsum'"),
]


@pytest.mark.parametrize(("source", "row", "said"), MISSING)
def test_a_template_names_the_column_the_row_and_itself(
    source: str, row: dict[str, Any], said: str
) -> None:
    with pytest.raises(EvaluationError, match=said) as caught:
        Template(source, "'prompt'").render(row, 7)
    assert str(caught.value).startswith("'prompt' of row 7: ")
    assert str(caught.value).endswith(f"the template is {source!r}")
